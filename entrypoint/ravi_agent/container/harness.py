"""`ravi-init --harness NAME`: what a recipe adds to an orchestrator's own settings, and undoing it.

The user's file keeps all it has. What was changed is recorded on the host, beside the ledger, so
that `--undo` finds it whoever has edited the file since.
"""

import getpass
import hashlib
import json
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from ravi_agent.container.answer import write_answer
from ravi_agent.errors import RaviError, SettingsError, UsageError, WorkspaceError
from ravi_agent.plain_file import read_plain_file, replace_plain_file
from ravi_agent.workspace import json_merge, ledger

_LIMIT = 4 * 1024 * 1024  # bytes of a settings file
_INDENTED = re.compile(rb"^([ \t]+)\S", re.MULTILINE)
_RECORDS = "ravi/harnesses"
_ENV = '. "$HOME/.config/ravi.env" && '
_INIT = f'{_ENV}ravi-init --workspace "$PWD" --key auto'
_CLAUDE_SQUAD = "exec claude-squad-agent claude"


class Harness:
    """Where a tool's settings are, and what the recipe adds; `defaults` for a file that is new."""

    def __init__(self, path: str, ours: Any, defaults: Any = None) -> None:
        self.path = path
        self.ours = ours
        self.defaults = defaults


def _hook(command: str, **more: object) -> list[object]:
    return [{"hooks": [{"type": "command", "command": command, **more}]}]


HARNESSES = {
    # Its own defaults are those of config/config.go:92 of v1.0.17; a file replaces all of them.
    "claude-squad": Harness(
        "~/.claude-squad/config.json",
        {"default_program": "ravi", "profiles": [{"name": "ravi", "program": _CLAUDE_SQUAD}]},
        {"default_program": "claude", "auto_yes": False, "daemon_poll_interval": 1000},
    ),
    "claude-code": Harness(
        ".claude/settings.json",
        {
            "hooks": {
                "SessionStart": _hook(
                    f"{_INIT} && sed 's/^/export /' .ravi/env >>\"$CLAUDE_ENV_FILE\"", timeout=90
                ),
                "UserPromptSubmit": _hook(f"{_ENV}ravi-entrypoint -- true || exit 2"),
            }
        },
        {},
    ),
    "lalph": Harness(
        ".lalph/config/settings.cliAgentPresets",
        [{"id": "default", "commandPrefix": ["env", "ravi-entrypoint", "--"]}],
        [
            {
                "id": "default",
                "cliAgent": "claude",
                "commandPrefix": [],
                "extraArgs": [],
                "sourceMetadata": {},
            }
        ],
    ),
    # Its own defaults: crates/executors/default_profiles.json of v0.1.44.
    "vibe-kanban": Harness(
        "~/.local/share/vibe-kanban/profiles.json",
        {
            "executors": {
                "CLAUDE_CODE": {
                    "DEFAULT": {
                        "CLAUDE_CODE": {
                            "base_command_override": (
                                "vibe-kanban-agent npx -y @anthropic-ai/claude-code@2.1.119"
                            )
                        }
                    }
                }
            }
        },
        {
            "executors": {
                "CLAUDE_CODE": {"DEFAULT": {"CLAUDE_CODE": {"dangerously_skip_permissions": True}}}
            }
        },
    ),
}


def add_options(parser: ArgumentParser) -> None:
    """Take `--harness`, `--undo` and `--print`."""
    parser.add_argument(
        "--harness",
        metavar="NAME",
        help="add the recipe to the settings of an orchestrator, and exit: "
        + ", ".join(f"`{name}`" for name in HARNESSES),
    )
    parser.add_argument("--undo", action="store_true", help="with --harness: take that back")
    parser.add_argument(
        "--print", action="store_true", help="with --harness: print the settings, change nothing"
    )


def configure(parser: ArgumentParser, argv: list[str], environ: Mapping[str, str]) -> int:
    """Add to the settings, or take it back. Raises RaviError, with nothing changed."""
    given = parser.parse_args(argv)
    harness = HARNESSES.get(given.harness or "")
    if harness is None:
        raise UsageError(
            f"--harness {given.harness or ''}".rstrip(),
            "there is a recipe for " + ", ".join(HARNESSES),
            "--harness claude-squad",
        )
    home = environ.get("HOME") or "/"
    path = os.path.realpath(harness.path.replace("~", home, 1))
    try:
        _configure(given.harness, harness, path, environ, given)
    except OSError as exc:
        raise WorkspaceError(
            f"{exc.filename or path} cannot be used",
            str(exc.strerror),
            f"give it to your user, or add what --harness {given.harness} --print shows",
        ) from exc
    return 0


def _configure(
    name: str, harness: Harness, path: str, environ: Mapping[str, str], given: Any
) -> None:
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    record = ledger.ledger_path(environ, f"{_RECORDS}/{name}-{digest}.json")
    settings = _read(path)
    changes = _read(record) or []
    if given.undo:
        if not changes:
            sys.stderr.write(f"ravi-init: {path} has nothing to take back\n")
            return
        json_merge.undo(settings, changes)
        changes = []
    else:
        if settings is None:
            settings = json.loads(json.dumps(_defaults(name, harness)))
        try:
            changes += json_merge.merge(settings, _ours(name, harness, settings))
        except json_merge.ShapeError as exc:
            raise _not_understood(path, f"{str(exc)!r} of ") from exc
    if given.print:
        write_answer(f"{json.dumps(settings, indent=2)}\n")
        return
    if settings is not None:
        _write(path, settings)
    if changes:
        _write(record, changes)
    elif os.path.exists(record):
        os.unlink(record)
    sys.stderr.write(f"ravi-init: {path}\n")


def _defaults(name: str, harness: Harness) -> Any:
    if name == "claude-squad":
        return {**harness.defaults, "branch_prefix": f"{getpass.getuser().lower()}/"}
    return harness.defaults


def _ours(name: str, harness: Harness, settings: Any) -> Any:
    """What is added, of the shape that the file has."""
    if type(settings) is not type(harness.ours):
        raise _not_understood(harness.path)
    ours = json.loads(json.dumps(harness.ours))
    if name == "claude-squad":
        before = settings.get("default_program")
        profiles = settings.get("profiles") or []
        names = [one.get("name") for one in profiles if isinstance(one, dict)]
        if before and before not in ["ravi", *names]:
            # Without a profile the tool would no longer offer it.
            ours["profiles"].insert(0, {"name": before, "program": before})
    return ours


def _read(path: str) -> Any:
    """A file's JSON; None where there is no file, or an empty one."""
    try:
        text = read_plain_file(path, _LIMIT)[0]
    except FileNotFoundError:
        return None
    try:
        return json.loads(text) if text.strip() else None
    except (ValueError, RecursionError) as exc:
        raise _not_understood(path) from exc


def _not_understood(path: str, part: str = "") -> RaviError:
    return SettingsError(
        f"{part}{path}", "it is not the JSON that the tool writes", f"repair or remove {path}"
    )


def _write(path: str, value: Any) -> None:
    """Replace a file, whole or not at all; an existing one keeps its mode and indentation."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    mode, indent = 0o600, "  "
    if os.path.exists(path):
        text, status = read_plain_file(path, _LIMIT)
        mode = status.st_mode & 0o777
        if found := _INDENTED.search(text):
            indent = found[1].decode()
    replace_plain_file(path, _encoded(value, indent) + b"\n", mode)


def _encoded(value: Any, indent: str) -> bytes:
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a character, which only its escape can stand for
        return json.dumps(value, indent=indent).encode()

"""`ravi-init --harness NAME`: what a recipe adds to an orchestrator's own settings, and undoing it.

The user's file keeps all it has. What was changed is recorded on the host, beside the ledger, so
that `--undo` finds it whoever has edited the file since.
"""

import hashlib
import json
import os
import pwd
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
_DATA_HOME = "$XDG_DATA_HOME"
_CLAUDE_SQUAD = "exec claude-squad-agent claude"


class Harness:
    """Where a tool's settings are, and what the recipe adds to them.

    defaults: what the tool writes into a new file, and lacks where a file does not have it: where
    that is, as `json_merge.find` takes it, and a value or what computes one.
    """

    def __init__(self, path: str, ours: Any, *defaults: tuple[list[Any], Any]) -> None:
        self.path = path
        self.ours = ours
        self.defaults = defaults


def _hook(command: str, **more: object) -> list[object]:
    return [{"hooks": [{"type": "command", "command": command, **more}]}]


def _branch_prefix() -> str:
    """What Claude Squad would write into a new file."""
    try:
        return f"{pwd.getpwuid(os.getuid()).pw_name.lower()}/"
    except KeyError:
        return "session/"


HARNESSES = {
    # Its own defaults: config/config.go:92 of v1.0.17. What a file leaves out is zero or "".
    "claude-squad": Harness(
        "~/.claude-squad/config.json",
        {"default_program": "ravi", "profiles": [{"name": "ravi", "program": _CLAUDE_SQUAD}]},
        (["default_program"], "claude"),
        (["auto_yes"], False),
        (["daemon_poll_interval"], 1000),
        (["branch_prefix"], _branch_prefix),
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
    ),
    "lalph": Harness(
        ".lalph/config/settings.cliAgentPresets",
        [{"id": "default", "commandPrefix": ["env", "ravi-entrypoint", "--"]}],
        (
            [["id", "default"]],
            {
                "id": "default",
                "cliAgent": "claude",
                "commandPrefix": [],
                "extraArgs": [],
                "sourceMetadata": {},
            },
        ),
    ),
    # Its own defaults: crates/executors/default_profiles.json of v0.1.44. A file replaces each
    # profile that it has (profile.rs:338), and has one once somebody has chosen a model.
    "vibe-kanban": Harness(
        f"{_DATA_HOME}/vibe-kanban/profiles.json",
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
        (
            ["executors", "CLAUDE_CODE", "DEFAULT"],
            {"CLAUDE_CODE": {"dangerously_skip_permissions": True}},
        ),
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
    path = settings_path(harness, environ)
    try:
        _configure(given.harness, harness, path, environ, given)
    except OSError as exc:
        raise WorkspaceError(
            f"{exc.filename or path} cannot be used",
            str(exc.strerror),
            f"give it to your user, or add what --harness {given.harness} --print shows",
        ) from exc
    return 0


def settings_path(harness: Harness, environ: Mapping[str, str]) -> str:
    """Where the settings really are; in the current directory, if they are a project's."""
    home = environ.get("HOME") or "/"
    of_home = {**environ, "HOME": home}
    data_home = ledger.base_directory(of_home, "XDG_DATA_HOME", ".local/share")
    path = harness.path.replace(_DATA_HOME, data_home, 1).replace("~", home, 1)
    return os.path.realpath(path)


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
        is_new = settings is None
        if is_new:
            settings = type(harness.ours)()
        try:
            added = _add_defaults(harness, settings)
            changes += [] if is_new else added  # a new file keeps them when the recipe goes
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


def _add_defaults(harness: Harness, settings: Any) -> list[json_merge.Change]:
    """Put the tool's own where nothing is; what was changed."""
    if type(settings) is not type(harness.ours):
        raise _not_understood(harness.path)
    changes = []
    for at, value in harness.defaults:
        if json_merge.find(settings, at) is None:
            there = value() if callable(value) else value
            changes += json_merge.merge(settings, json_merge.nested(at, there))
    return changes


def _ours(name: str, harness: Harness, settings: Any) -> Any:
    """What is added."""
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

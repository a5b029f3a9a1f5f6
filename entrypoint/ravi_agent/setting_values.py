"""The values of settings, parsed; every function raises ValueError with what is wrong."""

import os

from ravi_agent import contract
from ravi_agent.identity import is_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

JSON, DOTENV, FRONT_MATTER = "json", "dotenv", "yaml-front-matter"
LALPH = "lalph"
_SHORT_FORMS = {LALPH: (".lalph/ravi.json", JSON)}

# Where each looks for the skills of a project: https://code.claude.com/docs/en/skills,
# https://developers.openai.com/codex/skills, https://cursor.com/docs/context/skills
_SKILLS = {"claude": ".claude/skills", "codex": ".agents/skills", "cursor": ".cursor/skills"}

CredentialFile = tuple[str, str]  # a path below the workspace, and its form


def one_of(choices: "tuple[str, ...]") -> "Callable[[str], str]":
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError("choose " + ", ".join(choice for choice in choices if choice))
        return text

    return parse


def limit(text: str) -> int | None:
    if text == "unlimited":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueError("neither a whole number nor `unlimited`")
    return int(text)


def seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError as exc:
        raise ValueError("not a number of seconds") from exc
    if not 0 < seconds <= 86400:
        raise ValueError("give seconds above 0 and up to a day")
    return seconds


def lifetime(text: str) -> float | None:
    """Seconds that may be many days; None for "", which is without end."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as exc:
        raise ValueError("not a number of seconds") from exc
    if not 0 < value <= 366 * 86400:
        raise ValueError("give seconds above 0 and up to a year")
    return value


def signal_map(text: str) -> dict[int, int]:
    return dict(_pair(entry, _signal_number) for entry in text.split(",") if entry)


def exit_remap(text: str) -> dict[int, int]:
    return dict(_pair(entry, _exit_code) for entry in text.split(",") if entry)


def _pair(entry: str, parse: "Callable[[str], int]") -> tuple[int, int]:
    left, separator, right = entry.partition(":")
    if not separator or not left or (parse(left) == 0 and parse is _signal_number):
        raise ValueError(f"{entry!r} is not a pair FROM:TO")
    return parse(left), parse(right)


def _exit_code(text: str) -> int:
    if not (text.isdecimal() and int(text) < 256):
        raise ValueError(f"{text!r} is not an exit code from 0 to 255")
    return int(text)


def _signal_number(text: str) -> int:
    """A signal by name, with or without SIG, RTMIN+n or number; 0 where it says 0."""
    import signal

    name = "SIG" + text.upper().removeprefix("SIG")
    base, _, offset = name.partition("+")
    if text.isdecimal():
        number = int(text)
    elif base in signal.Signals.__members__ and (not offset or offset.isdecimal()):
        number = signal.Signals[base] + int(offset or 0)
    else:
        raise ValueError(f"{text!r} is not a signal")
    if number and number not in signal.valid_signals():
        raise ValueError(f"{text!r} is not a signal")
    return number


def absolute_path(text: str) -> str:
    if not text.startswith("/") or not is_plain(text):
        raise ValueError("not an absolute path on one line, printable and without a single quote")
    return os.path.normpath(text)


def credential_files(text: str, workspace: str) -> list[CredentialFile]:
    """`lalph,.env.ravi:dotenv` as paths and forms; raises ValueError for what leads elsewhere."""
    files = [_credential_file(entry, workspace) for entry in text.split(",") if entry]
    paths = [path for path, _ in files]
    if len(set(paths)) < len(paths):
        raise ValueError("one file is named twice")
    return files


def _credential_file(entry: str, workspace: str) -> CredentialFile:
    if entry in _SHORT_FORMS:
        return _SHORT_FORMS[entry]
    path, _, form = entry.rpartition(":")
    if not path or form not in {JSON, DOTENV, FRONT_MATTER}:
        raise ValueError(
            f"{entry!r} is neither {LALPH} nor PATH:{JSON}, PATH:{DOTENV}, PATH:{FRONT_MATTER}"
        )
    whole = os.path.normpath(os.path.join(workspace, path))
    inside = whole.removeprefix(workspace.rstrip("/") + "/")
    if inside == whole or path.endswith("/") or not is_plain(path):
        raise ValueError(f"{path!r} is not a file inside {workspace}")
    if inside.partition("/")[0] in {contract.RAVI_DIR, contract.STAGING_DIR, ".git"}:
        raise ValueError(f"{path!r} is not a place for a file of yours")
    return inside, form


def skill_files(text: str) -> list[str]:
    """`claude,codex` as the paths of their skill files below the workspace."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in _SKILLS]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(_SKILLS)}")
    return [f"{_SKILLS[name]}/ravi-inbox/SKILL.md" for name in dict.fromkeys(names)]

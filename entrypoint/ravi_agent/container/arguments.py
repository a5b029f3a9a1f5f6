"""Command lines of the image's commands that are not in an agent's start path."""

import argparse
import difflib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from ravi_agent import __version__
from ravi_agent.container.nearby import current_directory, name_by_workspace
from ravi_agent.errors import UsageError
from ravi_agent.settings import VARIABLES, Settings

_AUTO = "auto"  # the key that is made of the workspace
KEY_AUTO = f"--key {_AUTO}"
# What gives a name where the command line does not.
_NAMING = ("RAVI_IDENTITY_NAME", "TASK_ID", "JOB_NAME")
_KEY_LENGTH = 160  # leaves room for a prefix and the hash below the 255 of a name
_SIMILARITY = 0.6  # of a flag that could have been meant
# What somebody is after who types a setting's flag at a command that does not read it.
_RELATED = {"--on-exit": "--delete", "--identity-name": "--name"}


class Parser(argparse.ArgumentParser):
    """argparse with whole flags only, our form of errors and our exit code."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def add_version(self) -> None:
        """Take `--version`."""
        self.add_argument(
            "--version",
            action="version",
            version=f"{self.prog} {__version__}",
            help="show the version and exit",
        )

    def parse_args(  # type: ignore[override] # always of a given list, into a new namespace
        self, args: list[str]
    ) -> argparse.Namespace:
        """Raises UsageError for a flag of another command, and says which one was meant."""
        given, unknown = self.parse_known_args(args)
        if unknown:
            raise UsageError("command line", self._unrecognized(unknown), f"{self.prog} -h")
        return given

    def error(self, message: str) -> NoReturn:
        raise UsageError("command line", message, f"{self.prog} -h")

    def _unrecognized(self, words: list[str]) -> str:
        message = f"unrecognized arguments: {' '.join(words)}"
        flag = words[0].partition("=")[0]
        flags = [flag for action in self._actions for flag in action.option_strings]
        if _RELATED.get(flag) in flags:
            return f"{message}; did you mean {_RELATED[flag]}?"
        variable = f"RAVI_{flag.lstrip('-').replace('-', '_').upper()}"
        if flag.startswith("--") and variable in VARIABLES:
            return f"{message}; did you mean the variable {variable} of ravi-entrypoint?"
        if near := difflib.get_close_matches(flag, flags, n=1, cutoff=_SIMILARITY):
            return f"{message}; did you mean {near[0]}?"
        return message


def parse_settings(
    parser: Parser,
    variables: Iterable[str],
    argv: list[str],
    environ: Mapping[str, str],
    switches: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, str], set[str]]:
    """`environ` with what the flags say instead, and which of `switches` were given.

    variables: the settings that the command reads and has a flag for, besides `--workspace`,
    `--name` and `--key`; KEY_AUTO counts as a switch. switches: flags without a value, and what
    they do. Raises UsageError, and SettingsError where the current directory is gone and needed.
    """
    parser.add_version()
    for switch, meaning in switches.items():
        parser.add_argument(switch, action="store_true", dest=switch, help=meaning)
    parser.add_argument("--workspace", metavar="DIR", help="the agent's directory")
    parser.add_argument("--name", metavar="NAME", help="the identity's name, to adopt it by")
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="derive the name: the prefix, then KEY (an issue, a branch); "
        f"`{_AUTO}`: the repository, the directory and a hash of where they are",
    )
    flags = {"RAVI_WORKSPACE": "workspace", "RAVI_IDENTITY_NAME": "name"}
    for variable in variables:
        default, meaning = VARIABLES[variable]
        flags[variable] = variable.removeprefix("RAVI_").lower()
        parser.add_argument(
            f"--{flags[variable].replace('_', '-')}",
            metavar="VALUE",
            help=f"{meaning} (default: {default or 'none'}; variable {variable})",
        )
    given = vars(parser.parse_args(argv))
    if given["workspace"]:
        given["workspace"] = _absolute(given["workspace"])
    chosen = {name: given[flag] for name, flag in flags.items() if given[flag] is not None}
    environ = {**environ, **chosen}
    if given["key"] is not None:
        if given["name"] is not None:
            raise UsageError("command line", "both --name and --key", f"{parser.prog} -h")
        if not given["key"]:
            raise UsageError("--key ''", "every workspace would be the same", f"{parser.prog} -h")
        if given["key"] == _AUTO:
            environ = {name: value for name, value in environ.items() if name not in _NAMING}
        else:
            prefix = environ.get("RAVI_NAME_PREFIX") or VARIABLES["RAVI_NAME_PREFIX"][0]
            environ["RAVI_IDENTITY_NAME"] = prefix + safe_key(given["key"])
    switched = {switch for switch in switches if given[switch]}
    return environ, switched | ({KEY_AUTO} if given["key"] == _AUTO else set())


def _absolute(path: str) -> str:
    if path.startswith("/"):
        return os.path.normpath(path)
    return os.path.normpath(os.path.join(current_directory(), path))


def settings_of(environ: Mapping[str, str], given: set[str]) -> Settings:
    """The settings that `parse_settings` has found. Raises SettingsError."""
    settings = Settings(environ)
    if KEY_AUTO in given:
        name_by_workspace(settings)
    return settings


def safe_key(key: str) -> str:
    """The key in letters, digits, `.`, `_` and `-`; a hash keeps apart what had to be changed.

    Keys are issues, branches and directories: `feature/x` and `feature_x` are two.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", key)[:_KEY_LENGTH]
    if safe == key:
        return key
    digest = hashlib.sha256(os.fsencode(key)).hexdigest()
    return f"{safe}--{digest[:16]}"

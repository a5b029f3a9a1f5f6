"""Flags of the commands that are not in an agent's start path: one for each setting."""

import argparse
import hashlib
import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

from ravi_agent.errors import UsageError
from ravi_agent.settings import VARIABLES

# A key on a command line is seen by every user of the machine.
_NO_FLAG = {"RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN", "RAVI_HANDOVER"}
_KEY_LENGTH = 160  # leaves room for a prefix and the hash below the 255 of a name


class Parser(argparse.ArgumentParser):
    """argparse, with our form of errors and our exit code."""

    def error(self, message: str) -> NoReturn:
        raise UsageError("command line", message, f"{self.prog} -h")


def parse_settings(
    program: str,
    description: str,
    argv: list[str],
    environ: Mapping[str, str],
    switches: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, str], set[str]]:
    """`environ` with what the flags say instead, and which of `switches` were given.

    switches: flags without a value, and what they do. Raises UsageError.
    """
    parser = Parser(prog=program, description=description, allow_abbrev=False)
    for switch, meaning in switches.items():
        parser.add_argument(switch, action="store_true", dest=switch, help=meaning)
    parser.add_argument("--workspace", metavar="DIR", help="the agent's directory")
    parser.add_argument("--name", metavar="NAME", help="the identity's name, to adopt it by")
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="make the name of the prefix and this: an issue, a directory's name",
    )
    flags = {"RAVI_WORKSPACE": "workspace", "RAVI_IDENTITY_NAME": "name"}
    for variable, (default, meaning) in VARIABLES.items():
        if variable not in flags and variable not in _NO_FLAG:
            flags[variable] = variable.removeprefix("RAVI_").lower()
            parser.add_argument(
                f"--{flags[variable].replace('_', '-')}",
                metavar="VALUE",
                help=f"{meaning} (default: {default or 'none'}; variable {variable})",
            )
    given = vars(parser.parse_args(argv))
    if given["workspace"]:
        given["workspace"] = os.path.abspath(given["workspace"])
    chosen = {name: given[flag] for name, flag in flags.items() if given[flag] is not None}
    environ = {**environ, **chosen}
    if given["key"] is not None:
        if given["name"] is not None:
            raise UsageError("command line", "both --name and --key", f"{program} -h")
        if not given["key"]:
            raise UsageError("--key ''", "every workspace would be the same", f"{program} -h")
        prefix = environ.get("RAVI_NAME_PREFIX") or VARIABLES["RAVI_NAME_PREFIX"][0]
        environ["RAVI_IDENTITY_NAME"] = prefix + safe_key(given["key"])
    return environ, {switch for switch in switches if given[switch]}


def safe_key(key: str) -> str:
    """The key in letters, digits, `.`, `_` and `-`; a hash keeps apart what had to be changed.

    Keys are issues, branches and directories: `feature/x` and `feature_x` are two.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", key)[:_KEY_LENGTH]
    if safe == key:
        return key
    digest = hashlib.sha256(os.fsencode(key)).hexdigest()
    return f"{safe}--{digest[:16]}"

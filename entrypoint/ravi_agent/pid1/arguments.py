"""Flags of the commands that are not in an agent's start path: one for each setting."""

import argparse
import os
from collections.abc import Mapping
from typing import NoReturn

from ravi_agent.errors import UsageError
from ravi_agent.settings import VARIABLES

# A key on a command line is seen by every user of the machine.
_NO_FLAG = {"RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN", "RAVI_HANDOVER"}


class Parser(argparse.ArgumentParser):
    """argparse, with our form of errors and our exit code."""

    def error(self, message: str) -> NoReturn:
        raise UsageError("command line", message, f"{self.prog} -h")


def parse_settings(
    program: str, description: str, argv: list[str], environ: Mapping[str, str]
) -> dict[str, str]:
    """`environ` with what the flags say instead; raises UsageError."""
    parser = Parser(prog=program, description=description, allow_abbrev=False)
    parser.add_argument("--workspace", metavar="DIR", help="the agent's directory")
    parser.add_argument("--name", metavar="NAME", help="the identity's name, to adopt it by")
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
    return {**environ, **chosen}

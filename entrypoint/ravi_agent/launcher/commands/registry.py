"""The commands of `ravi-launch`. Each is loaded when it is typed: most of them are not."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ravi_agent.launcher.commands.flags import Command

# In the order of `--help`; each is a module of this package.
NAMES = (
    "run",
    "render",
    "ps",
    "top",
    "logs",
    "wait",
    "stop",
    "rm",
    "reap",
    "identities",
    "audit",
    "doctor",
    "images",
    "kubernetes",
    "completion",
)
DEFAULT = "run"


def command(name: str) -> "Command[Any]":
    """The command of one of these names."""
    loaded: Command[Any] = import_module(f"ravi_agent.launcher.commands.{name}").COMMAND
    return loaded


def commands() -> "list[Command[Any]]":
    """All of them."""
    return [command(name) for name in NAMES]

"""The commands of `ravi-launch`."""

from typing import Any

from ravi_agent.launcher.commands import (
    audit,
    completion,
    doctor,
    identities,
    images,
    kubernetes,
    logs,
    ps,
    reap,
    render,
    rm,
    run,
    stop,
    top,
    wait,
)
from ravi_agent.launcher.commands.flags import Command

COMMANDS: tuple[Command[Any], ...] = (
    run.COMMAND,
    render.COMMAND,
    ps.COMMAND,
    top.COMMAND,
    logs.COMMAND,
    wait.COMMAND,
    stop.COMMAND,
    rm.COMMAND,
    reap.COMMAND,
    identities.COMMAND,
    audit.COMMAND,
    doctor.COMMAND,
    images.COMMAND,
    kubernetes.COMMAND,
    completion.COMMAND,
)
DEFAULT = run.COMMAND

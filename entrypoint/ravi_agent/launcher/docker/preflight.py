"""What would fail in every container of a run, found before one is started or paid for."""

import os
import posixpath
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.docker.calls import ask
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.images import Images
from ravi_agent.launcher.docker.probe import File, Probe
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.plan import Plan, Task, mounts_of
from ravi_agent.launcher.planning.preflight import check_settings, is_below

# What execvp(3) and Docker take where PATH is not set.
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Each of our entrypoints, installed in whatever way, loads this.
_OWN_CODE = b"ravi_agent.container.boot"
_FREE_LIMIT = 64 * 1024 * 1024  # bytes; below this an engine fails to start containers
_IN_MEMORY = ("/dev", "/proc", "/sys", "/run", "/tmp")  # noqa: S108 - paths in a container


def check_run(
    engine: DockerEngine, plan: Plan, images: Images, *, is_dry_run: bool = False
) -> None:
    """Look at each image of a run that the engine has, and at the engine's disk.

    is_dry_run: start nothing. Raises UsageError for what the command line can mend, EngineError
    for what the engine refuses.
    """
    check_disk(engine)
    for image in plan.images:
        config = images.config(image)
        if config is not None:  # a dry run pulls nothing
            is_trying = not is_dry_run and _is_seen_at_start(plan)
            check_image(engine, plan, image, config, is_trying=is_trying)


def _is_seen_at_start(plan: Plan) -> bool:
    """Whether there are settings that an engine looks at when a container starts."""
    options, docker = plan.container, plan.container.docker
    return bool(
        options.user
        or options.gpus
        or options.security_opt != ContainerOptions().security_opt
        or docker.log_opts
        or docker.ulimits
        or docker.mounts
        or docker.tmpfs
        or docker.ipc
        or docker.devices
        or any(task.volumes for task in plan.tasks)
    )


def check_image(
    engine: DockerEngine,
    plan: Plan,
    image: str,
    config: Mapping[str, Any],
    *,
    is_trying: bool = False,
) -> None:
    """Raises UsageError for an image that starts something else, or whose program is missing.

    is_trying: start a container as well, which runs no agent; raises EngineError.
    """
    tasks = [task for task in plan.tasks if task.image == image]
    variables = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    check_settings(plan, variables, image)
    mounted = {*(config.get("Volumes") or ()), *plan.container.docker.targets()}
    with Probe(engine, plan, tasks[0]) as probe:
        _check_entrypoint(probe, image, config, variables)
        looked_up = set()
        own = (config.get("Entrypoint") or [])[1:]  # words of the command that the image fixes
        for task in tasks:
            behind = config.get("Cmd") or () if task.command is None else task.command
            command = [*own, *behind]
            path = {**variables, **task.environment}.get("PATH") or _DEFAULT_PATH
            away = frozenset({*mounted, *mounts_of(task), *_IN_MEMORY})
            looked = (command[:1] and command[0], path, away)
            if looked in looked_up:
                continue
            looked_up.add(looked)
            _check_program(probe, task, command, path, away)
        if is_trying:
            probe.start(config["Entrypoint"][0])


def _check_entrypoint(
    probe: Probe, image: str, config: Mapping[str, Any], variables: Mapping[str, str]
) -> None:
    """The program behind the name is ours: another one would find a key on its input."""
    entrypoint = (config.get("Entrypoint") or [""])[0]
    path = variables.get("PATH") or _DEFAULT_PATH
    found = _look_up(probe, entrypoint, path, config.get("WorkingDir") or "/")
    if found is None or _OWN_CODE not in probe.read(found):
        why = "is not there" if found is None else "is a program of another name"
        raise UsageError(
            f"image {image!r}",
            f"its entrypoint {entrypoint!r} {why}, not the one of ravi-agent-base",
            "build it FROM ravi-agent-base, without an ENTRYPOINT of its own",
        )


def _check_program(
    probe: Probe, task: Task, command: Sequence[str], path: str, away: frozenset[str]
) -> None:
    """Raises UsageError for a program that is surely missing, or surely no program.

    away: directories whose content is not the image's.
    """
    if not command:
        raise UsageError(
            f"task {task.id}",
            f"image {task.image!r} has no CMD, and no command is given",
            "ravi-launch --count 5 -- python3 agent.py",
        )
    name = command[0]
    if name == "--" and len(command) > 1:
        name = command[1]
    directories = [posixpath.dirname(name)] if "/" in name else path.split(":")
    is_unknown = any(
        not one.startswith("/") or any(is_below(one, there) for there in away)
        for one in directories
    )
    # A relative path begins in the workspace, and `$(NAME)` is filled in by the entrypoint.
    if name.startswith("-") or "$(" in name:
        return
    found = _look_up(probe, name, path, "/")
    if found and found.is_executable and not found.is_directory:
        return
    if is_unknown:
        return
    if found is None:
        why = f"image {task.image!r} has no such program" + (
            "" if "/" in name else f" in its PATH ({path})"
        )
    else:
        why = f"{found.path} in image {task.image!r} is not executable"
    raise UsageError(
        f"command {name!r} of task {task.id}", why, "check the spelling, or add it to the image"
    )


def _look_up(probe: Probe, name: str, path: str, directory: str) -> File | None:
    """What execvp(3) would run, or else the first thing of that name, or else nothing."""
    if "/" in name:
        return probe.find(posixpath.normpath(posixpath.join(directory, name)))
    first = None
    for one in path.split(":") if name else ():
        found = probe.find(posixpath.join(one or directory, name)) if one else None
        if found and not found.is_directory:
            if found.is_executable:
                return found
            first = first or found
    return first


def check_disk(engine: DockerEngine) -> str:
    """How much is free on the disk of an engine of this host, in words.

    Raises EngineError where that is too little to start anything.
    """
    root = str(ask("the engine", engine.client.api.info).get("DockerRootDir") or "")
    if not engine.is_on_this_host or not os.path.isdir(root):
        return "not checked: the engine is on another host"
    free = shutil.disk_usage(root).free
    if free < _FREE_LIMIT:
        raise EngineError(
            f"the engine's disk at {root}",
            f"{free >> 20} MB are free",
            "docker system prune, or make room on it",
        )
    return f"{free >> 20} MB free at {root}"

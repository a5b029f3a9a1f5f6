"""One agent's container, in the engine's terms."""

from typing import Any

import docker
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.docker_flags import (
    DockerSettings,
    parse_host,
    parse_log_option,
    parse_mount,
    parse_tmpfs,
    parse_ulimit,
)
from ravi_agent.launcher.planning.plan import Plan, Task, mounts_of, workspace_of

# What PID 1 needs to step down from root and to signal the agent after it has; the agent itself
# gets none of it.
CAPABILITIES = ("CHOWN", "KILL", "SETGID", "SETUID")
# Writable on a read-only root, as podman's --read-only has it; the workspace too, unless the user
# mounts one.
# A fleet that runs for days must not fill the disk with its logs.
_LOG_DRIVER, _LOG_OPTIONS = "json-file", {"max-size": "50m", "max-file": "2"}
_SCRATCH = ("/run/ravi", "/tmp")  # noqa: S108 - paths in a container


def container_settings(
    api: docker.APIClient, plan: Plan, task: Task, network: str | None
) -> dict[str, Any]:
    """The arguments of the SDK's `create_container`."""
    options = plan.container
    host_config = api.create_host_config(
        network_mode=network,
        binds=list(task.volumes),
        cap_drop=["ALL"],
        cap_add=[*CAPABILITIES, *options.cap_add],
        security_opt=list(options.security_opt),
        pids_limit=options.pids_limit,
        nano_cpus=None if options.cpus is None else round(options.cpus * 1e9),
        mem_limit=options.memory,
        shm_size=options.shm_size,
        device_requests=_gpus(options.gpus),
        read_only=options.is_read_only,
        tmpfs=_tmpfs(options, task) or None,
        log_config=_log_config(options.docker),
        ulimits=[
            Ulimit(name=name, soft=soft, hard=hard)
            for name, soft, hard in map(parse_ulimit, options.docker.ulimits)
        ],
        extra_hosts=list(map(parse_host, options.docker.hosts)),
        mounts=list(map(_mount, options.docker.mounts)),
        dns=list(options.docker.dns) or None,
        ipc_mode=options.docker.ipc,
        devices=list(options.docker.devices) or None,
    )
    return {
        "image": task.image,
        "command": None if task.command is None else list(task.command),
        "name": plan.container_name(task),
        "environment": {**plan.variables(task), **_lifetime(plan)},
        "labels": plan.labels_of(task),
        "user": options.user,
        "platform": options.platform,
        "stdin_open": True,
        # The launcher hears of a start by itself; a check a container would cost a core.
        "healthcheck": {"test": ["NONE"]},
        "host_config": host_config,
    }


def _lifetime(plan: Plan) -> dict[str, str]:
    """PID 1 keeps the time by itself, so that --timeout holds without a launcher."""
    timeout_s = plan.flow.timeout_s
    return {} if timeout_s is None else {"RAVI_TIMEOUT": str(timeout_s)}


def _gpus(gpus: str | None) -> list[DeviceRequest] | None:
    """docker's `--gpus` as the API takes it; -1 is all (Docker Engine API, DeviceRequest)."""
    if gpus is None:
        return None
    if gpus.startswith("device="):
        ids = gpus.removeprefix("device=").split(",")
        return [DeviceRequest(device_ids=ids, capabilities=[["gpu"]])]
    return [DeviceRequest(count=-1 if gpus == "all" else int(gpus), capabilities=[["gpu"]])]


def _tmpfs(options: ContainerOptions, task: Task) -> dict[str, str]:
    mounted = {*mounts_of(task), *options.docker.targets()}
    wanted = (*_SCRATCH, workspace_of(task.environment)) if options.is_read_only else ()
    own = {path: "mode=1777,exec" for path in wanted if path not in mounted}
    return {**own, **dict(map(parse_tmpfs, options.docker.tmpfs))}


def _log_config(docker: DockerSettings) -> LogConfig:
    given = dict(map(parse_log_option, docker.log_opts))
    if docker.log_driver not in {None, _LOG_DRIVER}:
        return LogConfig(type=docker.log_driver, config=given)
    return LogConfig(type=_LOG_DRIVER, config={**_LOG_OPTIONS, **given})


def _mount(entry: str) -> Mount:
    asked = parse_mount(entry)
    return Mount(
        asked.target,
        asked.source,
        type=asked.type,
        read_only=asked.is_read_only,
        propagation=asked.propagation,
        no_copy=asked.is_nocopy,
        tmpfs_size=asked.tmpfs_size,
        tmpfs_mode=asked.tmpfs_mode,
    )

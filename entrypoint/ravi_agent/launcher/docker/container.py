"""One agent's container, in the engine's terms."""

from typing import Any

import docker
from docker.types import DeviceRequest, LogConfig

from ravi_agent.launcher.planning.plan import Plan, Task, workspace_of

# What PID 1 needs to step down from root and to signal the agent after it has; the agent itself
# gets none of it.
CAPABILITIES = ("CHOWN", "KILL", "SETGID", "SETUID")
# Writable on a read-only root, as podman's --read-only has it; the workspace too, unless the user
# mounts one.
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
        tmpfs=_scratch(task) if options.is_read_only else None,
        # A fleet that runs for days must not fill the disk with its logs.
        log_config=LogConfig(type="json-file", config={"max-size": "50m", "max-file": "2"}),
    )
    return {
        "image": task.image,
        "command": None if task.command is None else list(task.command),
        "name": plan.container_name(task),
        "environment": plan.variables(task),
        "labels": plan.labels_of(task),
        "user": options.user,
        "platform": options.platform,
        "stdin_open": True,
        # The launcher hears of a start by itself; a check a container would cost a core.
        "healthcheck": {"test": ["NONE"]},
        "host_config": host_config,
    }


def _gpus(gpus: str | None) -> list[DeviceRequest] | None:
    """docker's `--gpus` as the API takes it; -1 is all (Docker Engine API, DeviceRequest)."""
    if gpus is None:
        return None
    if gpus.startswith("device="):
        ids = gpus.removeprefix("device=").split(",")
        return [DeviceRequest(device_ids=ids, capabilities=[["gpu"]])]
    return [DeviceRequest(count=-1 if gpus == "all" else int(gpus), capabilities=[["gpu"]])]


def _scratch(task: Task) -> dict[str, str]:
    mounted = {volume.split(":")[1] for volume in task.volumes}
    wanted = (*_SCRATCH, workspace_of(task.environment))
    return {path: "mode=1777,exec" for path in wanted if path not in mounted}

"""Flags of `docker run` that are passed on to the engine as they are."""

from dataclasses import dataclass

from ravi_agent.launcher.backend import DOCKER
from ravi_agent.launcher.commands.flags import Group, flag
from ravi_agent.launcher.commands.run_options import ENGINES
from ravi_agent.launcher.planning.docker_flags import DockerSettings

_NO_HOST_PATHS = "no node has the directories of this host"


@dataclass(frozen=True, kw_only=True)
class PassedFlags:
    """Settings of a Docker container with docker's names, syntax and meaning."""

    log_driver: str | None = flag(
        "--log-driver",
        metavar="DRIVER",
        group=Group.CONTAINER,
        default_text="json-file",
        help="Logging driver of the containers.",
        only_on=DOCKER,
        why="the kubelet keeps the logs of pods",
        fixed_on=ENGINES,
    )
    log_opt: tuple[str, ...] = flag(
        "--log-opt",
        default=(),
        metavar="KEY=VALUE",
        group=Group.CONTAINER,
        default_text="max-size=50m, max-file=2",
        help="Option of the logging driver.",
        only_on=DOCKER,
        why="the kubelet keeps the logs of pods",
        fixed_on=ENGINES,
    )
    ulimit: tuple[str, ...] = flag(
        "--ulimit",
        default=(),
        metavar="NAME=SOFT[:HARD]",
        group=Group.CONTAINER,
        help="Resource limit of the processes: nofile=4096:8192.",
        only_on=DOCKER,
        why="the container runtime of the node sets them",
        fixed_on=ENGINES,
    )
    add_host: tuple[str, ...] = flag(
        "--add-host",
        default=(),
        metavar="HOST:IP",
        group=Group.CONTAINER,
        help="Add a line to /etc/hosts; IP can be host-gateway.",
        only_on=DOCKER,
        why="pods get /etc/hosts from the kubelet; use a Service of that name",
        fixed_on=ENGINES,
    )
    mount: tuple[str, ...] = flag(
        "--mount",
        default=(),
        metavar="TYPE,…",
        group=Group.CONTAINER,
        help="Mount, as docker has it: type=bind,source=/data,target=/data,readonly.",
        only_on=DOCKER,
        why=_NO_HOST_PATHS,
        fixed_on=ENGINES,
    )
    tmpfs: tuple[str, ...] = flag(
        "--tmpfs",
        default=(),
        metavar="PATH[:OPTIONS]",
        group=Group.CONTAINER,
        help="Mount a directory in memory.",
        only_on=DOCKER,
        why="a pod has no such mount without a volume in its template",
        fixed_on=ENGINES,
    )
    dns: tuple[str, ...] = flag(
        "--dns",
        default=(),
        metavar="IP",
        group=Group.CONTAINER,
        help="DNS server.",
        only_on=DOCKER,
        why="pods use the DNS of the cluster",
        fixed_on=ENGINES,
    )
    ipc: str | None = flag(
        "--ipc",
        metavar="MODE",
        group=Group.CONTAINER,
        help="IPC namespace: private, shareable, host or container:ID.",
        only_on=DOCKER,
        why="Pod Security `restricted` allows no other",
        fixed_on=ENGINES,
    )
    device: tuple[str, ...] = flag(
        "--device",
        default=(),
        metavar="HOST[:CONTAINER[:rwm]]",
        group=Group.CONTAINER,
        help="Add a device of the host.",
        only_on=DOCKER,
        why="a device plugin of the cluster gives devices to pods; use --gpus",
        fixed_on=ENGINES,
    )

    def settings(self) -> DockerSettings:
        return DockerSettings(
            log_driver=self.log_driver,
            log_opts=self.log_opt,
            ulimits=self.ulimit,
            hosts=self.add_host,
            mounts=self.mount,
            tmpfs=self.tmpfs,
            dns=self.dns,
            ipc=self.ipc,
            devices=self.device,
        )

"""Settings of the agents' containers, under the names that docker gives them."""

from dataclasses import dataclass, replace

from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import DOCKER
from ravi_agent.launcher.commands.flags import Completion, Group, flag
from ravi_agent.launcher.commands.passed_flags import PassedFlags
from ravi_agent.launcher.commands.run_options import ENGINES
from ravi_agent.launcher.planning.container import (
    PIDS_LIMIT,
    PULL_POLICIES,
    ContainerOptions,
    parse_container_options,
)

_NO_HOST_PATHS = "no node has the directories of this host"


@dataclass(frozen=True, kw_only=True)
class ContainerFlags:
    """Settings that both engines have."""

    cpus: float | None = flag(
        "--cpus",
        metavar="CORES",
        group=Group.CONTAINER,
        help="Number of CPUs for each agent: 0.5.",
        fixed_on=ENGINES,
    )
    memory: str | None = flag(
        "--memory",
        "-m",
        metavar="SIZE",
        group=Group.CONTAINER,
        help="Memory limit of each agent: 512m.",
        fixed_on=ENGINES,
    )
    gpus: str | None = flag(
        "--gpus",
        metavar="GPUS",
        group=Group.CONTAINER,
        help="GPUs for each agent: all, a number, or device=ID,ID.",
        fixed_on=ENGINES,
    )
    user: str | None = flag(
        "--user",
        "-u",
        metavar="UID[:GID]",
        group=Group.CONTAINER,
        help="Run PID 1 and the agent as this user.",
        fixed_on=ENGINES,
    )
    is_read_only: bool = flag(
        "--read-only",
        default=False,
        group=Group.CONTAINER,
        help="Mount the root file system read-only; /tmp, /run/ravi and the workspace stay"
        " writable, in memory.",
        fixed_on=ENGINES,
    )
    is_isolated: bool = flag(
        "--isolated",
        default=False,
        group=Group.CONTAINER,
        help="Keep the agents from reaching each other over the network; on Kubernetes by a"
        " NetworkPolicy, which the network plugin has to enforce.",
        fixed_on=ENGINES,
    )
    pull: str = flag(
        "--pull",
        default="missing",
        choices=PULL_POLICIES,
        group=Group.CONTAINER,
        help="When to pull the image.",
        fixed_on=ENGINES,
    )


@dataclass(frozen=True, kw_only=True)
class DockerFlags:
    """Settings that a pod cannot have, or that its cluster makes."""

    volume: tuple[str, ...] = flag(
        "--volume",
        "-v",
        default=(),
        metavar="SOURCE:TARGET[:ro]",
        group=Group.CONTAINER,
        help="Mount a volume or a directory of the host. {index} {count} {id} {run} are replaced.",
        only_on=DOCKER,
        why=_NO_HOST_PATHS,
        fixed_on=ENGINES,
    )
    workspace_dir: str | None = flag(
        "--workspace-dir",
        metavar="DIR/{id}",
        group=Group.CONTAINER,
        completion=Completion.DIRECTORY,
        help="Mount a directory of the host as the workspace of each agent.",
        only_on=DOCKER,
        why=_NO_HOST_PATHS,
        fixed_on=ENGINES,
    )
    network: str | None = flag(
        "--network",
        metavar="NAME",
        group=Group.CONTAINER,
        help="Connect the agents to this network.",
        only_on=DOCKER,
        why="pods have the network of the cluster",
        fixed_on=ENGINES,
    )
    pids_limit: int | None = flag(
        "--pids-limit",
        metavar="N",
        group=Group.CONTAINER,
        default_text=str(PIDS_LIMIT),
        help="Maximum number of processes of each agent, `-1` for no limit.",
        only_on=DOCKER,
        why="the kubelet sets it for all pods of a node",
        fixed_on=ENGINES,
    )
    shm_size: str | None = flag(
        "--shm-size",
        metavar="SIZE",
        group=Group.CONTAINER,
        help="Size of /dev/shm: 1g.",
        only_on=DOCKER,
        why="pods get /dev/shm from their node",
        fixed_on=ENGINES,
    )
    cap_add: tuple[str, ...] = flag(
        "--cap-add",
        default=(),
        metavar="CAPABILITY",
        group=Group.CONTAINER,
        help="Add a Linux capability.",
        only_on=DOCKER,
        why="Pod Security `restricted` allows no capability",
        fixed_on=ENGINES,
    )
    security_opt: tuple[str, ...] = flag(
        "--security-opt",
        default=(),
        metavar="OPTION",
        group=Group.CONTAINER,
        help="Security option, as docker has it; no-new-privileges is on by default.",
        only_on=DOCKER,
        why="pods get the default seccomp profile",
        fixed_on=ENGINES,
    )
    platform: str | None = flag(
        "--platform",
        metavar="OS/ARCH",
        group=Group.CONTAINER,
        help="Platform of the image.",
        only_on=DOCKER,
        why="the node decides; use --node-selector kubernetes.io/arch=arm64",
        fixed_on=ENGINES,
    )


def container_options(
    flags: ContainerFlags, docker: DockerFlags, more: PassedFlags
) -> ContainerOptions:
    """Raises UsageError for the first value that is wrong."""
    if flags.is_isolated and docker.network:
        raise UsageError(
            "--isolated and --network",
            "what a network lets pass is decided where it is created",
            "docker network create --opt com.docker.network.bridge.enable_icc=false NAME",
        )
    options = parse_container_options(
        cpus=flags.cpus,
        memory=flags.memory,
        gpus=flags.gpus,
        user=flags.user,
        is_read_only=flags.is_read_only,
        pull=flags.pull,
        network=docker.network,
        pids_limit=docker.pids_limit,
        shm_size=docker.shm_size,
        cap_add=docker.cap_add,
        security_opt=docker.security_opt,
        platform=docker.platform,
    )
    settings = more.settings()
    settings.check()
    return replace(options, docker=settings, is_isolated=flags.is_isolated)

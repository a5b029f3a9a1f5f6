"""What every container of a run is given: Docker's settings under Docker's names."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.docker_flags import DockerSettings
from ravi_agent.launcher.planning.values import parse_bytes

PIDS_LIMIT = 4096
_UNLIMITED = -1  # processes, for docker too
PULL_POLICIES = ("always", "missing", "never")
_NO_NEW_PRIVILEGES = "no-new-privileges"


@dataclass(frozen=True, kw_only=True)
class ContainerOptions:
    """cpus: cores; memory, shm_size: bytes; None leaves the engine's own default.

    gpus: `all`, a number, or `device=ID,ID`. security_opt comes with no-new-privileges unless it
    says otherwise itself. pull: `always`, `missing` or `never`. is_isolated: agents of a run cannot
    reach each other.
    """

    cpus: float | None = None
    memory: int | None = None
    shm_size: int | None = None
    pids_limit: int = PIDS_LIMIT
    gpus: str | None = None
    user: str | None = None
    is_read_only: bool = False
    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = (_NO_NEW_PRIVILEGES,)
    network: str | None = None
    platform: str | None = None
    pull: str = "missing"
    docker: DockerSettings = field(default_factory=DockerSettings)
    is_isolated: bool = False


def parse_container_options(
    *,
    cpus: float | None = None,
    memory: str | None = None,
    shm_size: str | None = None,
    pids_limit: int | None = None,
    gpus: str | None = None,
    user: str | None = None,
    is_read_only: bool = False,
    cap_add: Sequence[str] = (),
    security_opt: Sequence[str] = (),
    network: str | None = None,
    platform: str | None = None,
    pull: str = "missing",
) -> ContainerOptions:
    """From what was typed; raises UsageError for the first value that is wrong."""
    if cpus is not None and not 0.01 <= cpus <= 10_000:
        raise UsageError(f"--cpus {cpus}", "give a number of cores above 0", "--cpus 0.5")
    if gpus is not None and not re.fullmatch(r"all|\d+|device=[^,]+(,[^,]+)*", gpus):
        raise UsageError(f"--gpus {gpus!r}", "give all, a number or device=ID,ID", "--gpus all")
    if pids_limit is not None and pids_limit != _UNLIMITED and pids_limit < 16:
        raise UsageError(
            f"--pids-limit {pids_limit}", "no agent starts with so few", "--pids-limit 256"
        )
    if pull not in PULL_POLICIES:
        raise UsageError(f"--pull {pull!r}", "choose always, missing or never", "--pull always")
    return ContainerOptions(
        cpus=cpus,
        memory=None if memory is None else parse_bytes("--memory", memory),
        shm_size=None if shm_size is None else parse_bytes("--shm-size", shm_size),
        pids_limit=PIDS_LIMIT if pids_limit is None else pids_limit,
        gpus=gpus,
        user=user,
        is_read_only=is_read_only,
        cap_add=tuple(name.upper().removeprefix("CAP_") for name in cap_add),
        security_opt=_security_options(security_opt),
        network=network,
        platform=platform,
        pull=pull,
    )


def _security_options(given: Sequence[str]) -> tuple[str, ...]:
    options = tuple(_with_profile(option) for option in given)
    if any(option.startswith(_NO_NEW_PRIVILEGES) for option in options):
        return options
    return (_NO_NEW_PRIVILEGES, *options)


def _with_profile(option: str) -> str:
    """`seccomp=FILE` with the file's content: the engine may not see this host's files."""
    name, separator, path = option.partition("=")
    if name != "seccomp" or not separator or path in {"unconfined", "builtin"}:
        return option
    try:
        with open(path, encoding="utf-8") as file:
            profile = json.load(file)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not JSON"
        raise UsageError(
            f"--security-opt {option}", str(why), "--security-opt seccomp=/path/to/profile.json"
        ) from exc
    return f"seccomp={json.dumps(profile, separators=(',', ':'))}"

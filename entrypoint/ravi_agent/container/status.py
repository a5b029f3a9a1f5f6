"""Where a start is, for health checks: a small file without secrets."""

import os

from ravi_agent import contract
from ravi_agent.log import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.container.options import Options

_READ_LIMIT = 4096  # bytes; ours are 300 long


def remove_status(workspace: str) -> None:
    """Remove the file that an earlier start has left beside `.ravi/`; not that of one that runs."""
    path = os.path.join(workspace, contract.STATUS_FILE)
    record = read_status(path)
    if record is None or is_running(record):
        return
    try:
        os.unlink(path)
    except OSError:
        return  # a directory that cannot be written: the next start replaces the file


def status_path(workspace: str) -> str | None:
    """The file this start writes: under /run in a container, else in the workspace.

    What an earlier start has left there is removed. None where another start that still runs
    writes it: `docker exec` of a second one must not speak for the container.
    """
    path = _place(workspace)
    record = read_status(path)
    if record is not None and is_running(record) and record.get("pid") != os.getpid():
        return None
    try:
        os.unlink(path)
    except OSError:
        return path  # there was none, or it is for write_status to try
    return path


def _place(workspace: str) -> str:
    from ravi_agent.container.surroundings import is_started_by_engine

    beside = os.path.join(workspace, contract.STATUS_FILE)
    if not is_started_by_engine():
        return beside  # a host's /run, or one container's with many agents in it
    folder = os.path.dirname(contract.STATUS_PATH)
    try:
        os.mkdir(folder)
        # Like /tmp: written as root and, while provisioning, as the agent's user.
        os.chmod(folder, 0o1777)  # noqa: S103
    except FileExistsError:
        pass  # from an earlier start, or from the image
    except OSError:
        return beside
    trial = f"{contract.STATUS_PATH}.{os.getpid()}"  # access(2) is a guess on older engines
    try:
        os.close(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.unlink(trial)
    except OSError:
        return beside
    return contract.STATUS_PATH


def read_status(path: str) -> dict[str, object] | None:
    """What a status file holds; None for what is none. An agent may have put anything there."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    from ravi_agent.small_json import read_json  # supervise only writes

    try:
        record = read_json(os.read(descriptor, _READ_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(descriptor)
    return record if isinstance(record, dict) else None


def is_running(record: "Mapping[str, object]") -> bool:
    """Whether the process that wrote the record is still there, and not another of its number."""
    pid = record.get("pid")
    if not isinstance(pid, int) or pid < 1:
        return False
    birth = _birth(pid)
    return birth is not None and birth == record.get("birth")


def _birth(pid: int) -> str | None:
    """When a process was started, as no other of that pid ever was; None if it is gone.

    The boot of the kernel, and the clock ticks since then (proc(5), field 22).
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:
            boot = file.read().decode().strip()
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            ticks = file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError, UnicodeDecodeError):
        return None
    return f"{boot}/{ticks}"


def write_status(
    path: str | None,
    *,
    phase: str,
    attempts: int | None = None,
    uuid: str | None = None,
    agent_pid: int | None = None,
    exit_code: int | None = None,
) -> None:
    """Replace the file: `phase` is `provisioning`, `running`, `ended` or `failed`.

    An agent must not fail for want of a status, so what cannot be written is left. None for a
    command that has no status to show.
    """
    if path is None:
        return
    fields: dict[str, str | int | None] = {
        "phase": phase,
        "pid": os.getpid(),
        "birth": _birth(os.getpid()),
        "attempts": attempts,
        "uuid": uuid,
        "agent_pid": agent_pid,
        "exit_code": exit_code,
    }
    # Words and numbers: importing json for them would cost every start 7 ms.
    words = [f'"{name}": {_json(value)}' for name, value in fields.items() if value is not None]
    temporary = f"{path}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass  # no killed start left one
        descriptor = os.open(temporary, flags, 0o644)
        try:
            os.write(descriptor, ("{" + ", ".join(words) + "}\n").encode())
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        return


def write_agent_status(
    options: "Options",
    *,
    phase: str,
    uuid: str | None,
    agent_pid: int | None = None,
    exit_code: int | None = None,
) -> None:
    """Write it as the agent's user where the agent may have put a link into the way."""
    user = options.user if options.status_path != contract.STATUS_PATH else None
    if user:
        os.setegid(user[1])
        os.seteuid(user[0])
    try:
        write_status(
            options.status_path, phase=phase, uuid=uuid, agent_pid=agent_pid, exit_code=exit_code
        )
    finally:
        if user:
            os.seteuid(0)
            os.setegid(0)


def _json(value: str | int) -> str:
    return json_text(value) if isinstance(value, str) else str(value)

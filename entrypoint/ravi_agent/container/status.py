"""Where a start is, for health checks: a small file without secrets."""

import os

from ravi_agent import contract


def status_path(workspace: str) -> str:
    """The file this start writes: under /run if that is ours alone, else in the workspace."""
    beside = os.path.join(workspace, contract.STATUS_FILE)
    if os.getpid() != 1:  # a host's /run, or a neighbour's in a shared pid namespace
        return beside
    folder = os.path.dirname(contract.STATUS_PATH)
    try:
        os.mkdir(folder)
        # Like /tmp: written as root and, while provisioning, as the agent's user.
        os.chmod(folder, 0o1777)  # noqa: S103
    except FileExistsError:
        pass  # from an earlier start, or from the image
    except OSError:
        return beside
    return contract.STATUS_PATH if os.access(folder, os.W_OK, effective_ids=True) else beside


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
    fields = {
        "phase": phase,
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


def _json(value: str | int) -> str:
    """A number, or a printable text, which has only these two characters to escape."""
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

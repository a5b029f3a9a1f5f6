"""Where a start is, for health checks: a small file without secrets."""

import os

DEFAULT_PATH = "/run/ravi/status.json"
# Where /run cannot be written: beside `.ravi` in the workspace, kept from git like it.
FALLBACK_NAME = ".ravi-status.json"


def status_path(workspace: str) -> str:
    """The file this start writes: under /run where that can be had, else in the workspace."""
    folder = os.path.dirname(DEFAULT_PATH)
    try:
        os.mkdir(folder)
        # Like /tmp: written as root and, while provisioning, as the agent's user.
        os.chmod(folder, 0o1777)  # noqa: S103
    except FileExistsError:
        pass  # from an earlier start, or from the image
    except OSError:
        return os.path.join(workspace, FALLBACK_NAME)
    if os.access(folder, os.W_OK, effective_ids=True):
        return DEFAULT_PATH
    return os.path.join(workspace, FALLBACK_NAME)


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
    # Plain words and numbers: importing json for them would cost every start 7 ms.
    words = [
        f'"{name}": ' + (f'"{value}"' if isinstance(value, str) else str(value))
        for name, value in fields.items()
        if value is not None
    ]
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

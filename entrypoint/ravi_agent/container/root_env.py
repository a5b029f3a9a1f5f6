"""What PID 1 remembers where only root can write: the agent's public variables.

Root's login shells read it (profile.sh) instead of the agent's own file, in which an agent could
name a service of its own for the account's key. After a restart it says which identity this
container had, however the workspace has been changed meanwhile.
"""

import os
import stat

from ravi_agent.contract import ROOT_ENV_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMIT = 64 * 1024  # bytes
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_root_env(variables: "Mapping[str, str]", path: str = ROOT_ENV_PATH) -> bool:
    """Replace the file; False where it cannot be written, or others could change it.

    variables: values without a line break or a single quote, none of them secret.
    """
    folder = os.path.dirname(path)
    temporary = f"{path}.new"
    data = "".join(f"{name}='{value}'\n" for name, value in variables.items()).encode()
    try:
        if not _is_roots(os.lstat(folder)):
            return False
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass  # no killed start left one
        descriptor = os.open(temporary, _FLAGS, 0o644)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        return False  # a read-only root
    return True


def read_root_env(path: str = ROOT_ENV_PATH) -> dict[str, str]:
    """What `write_root_env` has written; {} where nothing is, or others could have changed it."""
    from ravi_agent.plain_file import read_plain_file

    try:
        if not _is_roots(os.lstat(os.path.dirname(path))):
            return {}
        data, status = read_plain_file(path, _LIMIT)
    except OSError:
        return {}
    if not _is_roots(status):
        return {}
    lines = (line.partition("=") for line in data.decode(errors="replace").splitlines())
    return {name: value[1:-1] for name, _, value in lines if value[:1] == value[-1:] == "'"}


def has_root_env(path: str = ROOT_ENV_PATH) -> bool:
    """Whether there is one that only root can have written."""
    try:
        return _is_roots(os.lstat(os.path.dirname(path))) and _is_roots(os.lstat(path))
    except OSError:
        return False


def _is_roots(status: os.stat_result) -> bool:
    return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

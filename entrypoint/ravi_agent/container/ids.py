"""Becoming another user, and finding out from the kernel whether that is what has happened."""

import errno
import os

# The last one means "leave it as it is" to setresuid(2): an agent would stay root.
HIGHEST_ID = 2**32 - 2


def become(uid: int, gid: int, groups: list[int]) -> None:
    """Take these ids for good. Raises OSError where the kernel does not give each of them."""
    set_groups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if (
        os.getresuid() != (uid, uid, uid)
        or os.getresgid() != (gid, gid, gid)
        or set(os.getgroups()) != set(groups)
    ):
        raise OSError(errno.EPERM, "the kernel has kept other ids")


def set_groups(groups: list[int]) -> None:
    """Take these supplementary groups; asks the kernel only where they are others."""
    if set(os.getgroups()) != set(groups):
        os.setgroups(groups)


def explain_refusal(exc: OSError, uid: int, gid: int) -> tuple[str, str]:
    """Why this process cannot become that user, and what to do about it."""
    stay = "set RAVI_AGENT_USER=0 to run the agent as this user"
    if exc.errno == errno.EINVAL:
        return (
            f"uid {uid} or gid {gid} is not mapped into this user namespace",
            f"give the namespace more ids (/etc/subuid, /etc/subgid), or {stay}",
        )
    if exc.errno == errno.EAGAIN:
        return (
            f"uid {uid} has as many processes as it may have",
            "raise the limit: docker run --ulimit nproc=…",
        )
    if _are_groups_denied():
        return (
            "this user namespace refuses setgroups(2), and the agent would keep root's groups",
            f"map groups into it (newgidmap, as rootless engines do), or {stay}",
        )
    add = "docker run --cap-add SETUID --cap-add SETGID …"
    return str(exc.strerror), f"{add}, or docker run --user {uid}:{gid} …, or {stay}"


def _are_groups_denied() -> bool:
    try:
        with open("/proc/self/setgroups", "rb", buffering=0) as file:
            return file.read().strip() == b"deny"
    except OSError:
        return False

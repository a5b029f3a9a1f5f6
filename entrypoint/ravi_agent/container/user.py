"""Whom the agent runs as, and doing something as that user before it runs."""

import os
import pwd

from ravi_agent.errors import SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class AgentUser:
    """Ids to run the agent as; `home` is None for a uid without a passwd entry."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str | None) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home

    def to_ids(self) -> tuple[int, int, list[int]]:
        """The ids alone: uid, gid, supplementary groups."""
        return self.uid, self.gid, self.groups


def find_agent_user(spec: str, *, is_asked_for: bool) -> AgentUser | None:
    """The user to step down to, or None to stay: not root, or an image without such a user.

    spec: `name`, `uid`, `name:group` or `uid:gid`, as for `docker run --user`. Raises
    SettingsError for one that does not exist, where it was asked for.
    """
    if os.geteuid() != 0:
        return None
    name, _, group = spec.partition(":")
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        entry = None
    if entry is None and not name.isdigit():
        if not is_asked_for:
            return None
        raise SettingsError(
            f"RAVI_AGENT_USER={spec!r}",
            f"no user {name!r} in this image",
            "give a uid, or add the user in the Dockerfile",
        )
    uid = entry.pw_uid if entry else int(name)
    if uid == 0:
        return None
    gid = _find_group(group, spec) if group else (entry.pw_gid if entry else uid)
    groups = set(os.getgrouplist(entry.pw_name, gid)) if entry and not group else {gid}
    # What `--group-add` or Kubernetes' `fsGroup` gave this container is for the agent to use.
    groups |= set(os.getgroups()) - set(os.getgrouplist("root", 0))
    return AgentUser(uid, gid, sorted(groups), entry.pw_dir if entry else None)


def _find_group(group: str, spec: str) -> int:
    if group.isdigit():
        return int(group)
    import grp  # hardly anyone names a group

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SettingsError(
            f"RAVI_AGENT_USER={spec!r}", f"no group {group!r} in this image", "give a gid"
        ) from None


def can_read(user: AgentUser | None, path: str) -> bool:
    """Whether the agent could read a file."""
    with ActingAs(user):
        return os.access(path, os.R_OK, effective_ids=True)


class ActingAs:
    """Be the agent's user for a while, so that root never opens what the agent could have set.

    Files come out owned by the agent without CAP_CHOWN, and a link planted in the workspace leads
    no further than the agent could go itself. `None` changes nothing.
    """

    def __init__(self, user: AgentUser | None) -> None:
        self._user = user
        self._gid = os.getegid()
        self._groups = os.getgroups()

    def __enter__(self) -> None:
        if not self._user:
            return
        try:
            os.setgroups(self._user.groups)
            os.setegid(self._user.gid)
            os.seteuid(self._user.uid)
        except PermissionError as exc:
            raise SettingsError(
                f"cannot step down from root to uid {self._user.uid}",
                str(exc.strerror),
                "docker run --cap-add SETUID --cap-add SETGID …, or docker run --user "
                f"{self._user.uid}:{self._user.gid} …",
            ) from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if self._user:
            os.seteuid(0)
            os.setegid(self._gid)
            os.setgroups(self._groups)

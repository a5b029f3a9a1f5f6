"""Whom the agent runs as, and doing something as that user before it runs."""

import os
import pwd

from ravi_agent.container.ids import HIGHEST_ID, explain_refusal, set_groups
from ravi_agent.errors import SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


_DEFAULT_ID = 1000  # the user `agent` of the image; node and ubuntu have one of their own name


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
    """The user to step down to; None to stay: this is not root, or root was asked for by number.

    spec: `name`, `uid`, `name:group` or `uid:gid`, as for `docker run --user`. Where nobody asked
    for the default and the image has no user of that name, it is uid 1000, whatever its name is
    there: an agent never becomes root by the renaming of a user. Raises SettingsError for a user
    that does not exist, or is root by another name.
    """
    if os.geteuid() != 0:
        return None
    name, _, group = spec.partition(":")
    is_number = name.isascii() and name.isdigit()
    if not is_number:
        entry = _entry_of_name(name)
        if entry is None and not is_asked_for:
            name, is_number = str(_DEFAULT_ID), True
        elif entry is None:
            raise SettingsError(
                f"RAVI_AGENT_USER={spec!r}",
                f"no user {name!r} in this image",
                "give a uid, or add the user in the Dockerfile",
            )
        elif entry.pw_uid == 0 and name != "root":
            raise SettingsError(
                f"RAVI_AGENT_USER={spec!r}",
                f"the user {name!r} is root (uid 0) in this image",
                "RAVI_AGENT_USER=0 to run the agent as root, or name another user",
            )
    else:
        entry = None
    if is_number:
        entry = _entry_of_uid(_id_of(name, spec))
    uid = entry.pw_uid if entry else _id_of(name, spec)
    if uid == 0:
        return None
    gid = _find_group(group, spec) if group else (entry.pw_gid if entry else uid)
    groups = set(os.getgrouplist(entry.pw_name, gid)) if entry and not group else {gid}
    # What `--group-add` or Kubernetes' `fsGroup` gave this container is for the agent to use.
    groups |= set(os.getgroups()) - set(os.getgrouplist("root", 0))
    return AgentUser(uid, gid, sorted(groups), entry.pw_dir if entry else None)


def _entry_of_name(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _entry_of_uid(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _id_of(text: str, spec: str) -> int:
    # Ten digits first: Python refuses to read thousands of them.
    number = int(text) if len(text) <= 10 else HIGHEST_ID + 1
    if number > HIGHEST_ID:
        raise SettingsError(
            f"RAVI_AGENT_USER={spec!r}",
            f"{text} is not an id: the highest is {HIGHEST_ID}",
            "give the uid of a user in this image",
        )
    return number


def _find_group(group: str, spec: str) -> int:
    if group.isascii() and group.isdigit():
        return _id_of(group, spec)
    import grp  # hardly anyone names a group

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as exc:
        raise SettingsError(
            f"RAVI_AGENT_USER={spec!r}", f"no group {group!r} in this image", "give a gid"
        ) from exc


def can_read(user: AgentUser | None, path: str) -> bool:
    """Whether the agent could read a file, by trying: access(2) is a guess on older engines."""
    with ActingAs(user):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
        except OSError:
            return False
        return True


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
        user = self._user
        try:
            set_groups(user.groups)
            os.setegid(user.gid)
            os.seteuid(user.uid)
        except OSError as exc:
            self._leave()
            why, fix = explain_refusal(exc, user.uid, user.gid)
            raise SettingsError(f"cannot step down from root to uid {user.uid}", why, fix) from exc

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if self._user:
            self._leave()

    def _leave(self) -> None:
        os.seteuid(0)
        os.setegid(self._gid)
        set_groups(self._groups)

"""What was done with identities on this host: one append-only file of the user, without secrets.

`$XDG_STATE_HOME/ravi/ledger.jsonl` (by default below ~/.local/state) has a JSON object a line:
`at` (ISO 8601, UTC), `action`, `uuid`, `name`, `api_url`, `host` and, where they are known, `path`
of the workspace, `repository` (git's common directory), `branch`, `run` and `key`, by which the
service knows a key and nobody can call. It answers who made
what and when, and whose a work tree was that a harness has removed. It is in no repository and no
workspace: an agent must not name identities for somebody else to delete.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ravi_agent.identity import Identity
from ravi_agent.service_url import is_same_service
from ravi_agent.workspace.git import Worktree

FILE = "ravi/ledger.jsonl"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# `use`: the workspace was provisioned already, by a start that has written no line here.
CREATE, ADOPT, USE, KEY, REVOKE, DELETE = "create", "adopt", "use", "key", "revoke", "delete"
_OWNING = (CREATE, ADOPT, USE)
_REQUIRED = ("at", "action", "uuid", "name", "api_url", "host")
_OPTIONAL = ("path", "repository", "branch", "run", "key")
_LINE_LIMIT = 64 * 1024  # bytes; ours have some hundred
_LOCK_TIMEOUT_S, _LOCK_RETRY_S = 10.0, 0.02  # who holds it reads one file and writes one line
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EINVAL}


class Entry:
    """One line. Those of `_OPTIONAL` are None where there is none."""

    __slots__ = (*_REQUIRED, *_OPTIONAL)

    at: str
    action: str
    uuid: str
    name: str
    api_url: str
    host: str
    path: str | None
    repository: str | None
    branch: str | None
    run: str | None
    key: str | None

    def __init__(self, **fields: str | None) -> None:
        for name in self.__slots__:
            setattr(self, name, fields.get(name))

    def line(self) -> str:
        """The entry as the file holds it."""
        record = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({name: value for name, value in record.items() if value is not None})

    @property
    def seconds(self) -> float:
        """When it was written, in Unix seconds; 0.0 where another program wrote no time of ours."""
        import calendar  # a start on a host that only writes does not wait for it

        try:
            return float(calendar.timegm(time.strptime(self.at, TIME_FORMAT)))
        except ValueError:
            return 0.0

    def is_of_here(self, api_url: str) -> bool:
        """Whether this host wrote it, of that service: elsewhere the same path is another."""
        return self.host == os.uname().nodename and is_same_service(self.api_url, api_url)

    def is_same_place(self, other: "Entry") -> bool:
        """Whether both say the same of one workspace, whenever and by whatever action."""
        fields = ("uuid", "name", "api_url", "host", "path", "repository", "branch")
        return all(getattr(self, name) == getattr(other, name) for name in fields)


def base_directory(environ: Mapping[str, str], variable: str, default: str) -> str:
    """What a variable of the XDG Base Directory Specification says, else `default` in the home.

    A path that is not absolute is ignored, as the specification says. Relative without a home.
    """
    base = environ.get(variable) or ""
    return base if os.path.isabs(base) else os.path.join(environ.get("HOME") or "", default)


def ledger_path(environ: Mapping[str, str], file: str = FILE) -> str:
    """Where the file is, or another beside it. Raises OSError without a home."""
    base = base_directory(environ, "XDG_STATE_HOME", ".local/state")
    if not os.path.isabs(base):
        raise OSError(errno.ENOENT, "HOME is not set")
    return os.path.join(base, file)


def note(
    environ: Mapping[str, str],
    action: str,
    identity: Identity,
    api_url: str,
    *,
    workspace: str | None = None,
    run: str | None = None,
) -> None:
    """Append a line; a `use` of what an earlier line says already is left out. Raises OSError."""
    entry = entry_of(
        action, identity.name, api_url, uuid=identity.uuid, workspace=workspace, run=run
    )
    if action in {KEY, REVOKE}:
        entry.key = identity.key_uuid
    if action == USE and any(entry.is_same_place(one) for one in owned(environ)):
        return
    append(environ, entry)


def entry_of(
    action: str,
    name: str,
    api_url: str,
    *,
    uuid: str = "",
    workspace: str | None = None,
    run: str | None = None,
) -> Entry:
    """A line of here and now. Raises OSError for a workspace whose `.git` makes no sense."""
    worktree = _worktree(workspace) if workspace else None
    return Entry(
        at=time.strftime(TIME_FORMAT, time.gmtime()),
        action=action,
        uuid=uuid,
        name=name,
        api_url=api_url,
        host=os.uname().nodename,
        path=os.path.realpath(workspace) if workspace else None,
        repository=os.path.realpath(worktree.common_dir) if worktree else None,
        branch=worktree.branch() if worktree else None,
        run=run,
    )


def _worktree(workspace: str) -> Worktree | None:
    """The work tree around a workspace, or the one in it where a hook runs."""
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:
        here = ""  # it has been removed: a release comes after the harness
    if here.startswith(os.path.realpath(workspace).rstrip("/") + "/"):
        return Worktree.find(here)
    return Worktree.find(workspace)


def append(environ: Mapping[str, str], *entries: Entry) -> None:
    """Write lines, whole whoever writes at once. Raises OSError."""
    descriptor = _open(environ)
    try:
        # One write: fifty hooks at once never mix their lines (write(2), O_APPEND).
        os.write(descriptor, b"".join(entry.line().encode() + b"\n" for entry in entries))
    finally:
        os.close(descriptor)


@contextmanager
def locked(environ: Mapping[str, str]) -> Iterator[None]:
    """Nobody else decides by what the ledger says meanwhile. Raises OSError."""
    descriptor = _open(environ)
    ends = time.monotonic() + _LOCK_TIMEOUT_S
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > ends:
                    raise
                time.sleep(_LOCK_RETRY_S)
            except OSError as exc:
                if exc.errno not in _NO_LOCKS:
                    raise
                break  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def _open(environ: Mapping[str, str]) -> int:
    path = ledger_path(environ)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def read(environ: Mapping[str, str], file: str = FILE) -> list[Entry]:
    """Every entry, oldest first; what is not an entry is passed over. Raises OSError."""
    entries = []
    try:
        with open(ledger_path(environ, file), "rb") as lines:
            while line := lines.readline(_LINE_LIMIT):
                if entry := _parse(line):
                    entries.append(entry)
    except FileNotFoundError:
        return []
    return entries


def owned(environ: Mapping[str, str]) -> list[Entry]:
    """The entries of identities that were made or adopted here and not deleted since."""
    living: dict[tuple[str, str], list[Entry]] = {}
    for entry in read(environ):
        key = (entry.api_url, entry.uuid)
        if entry.action == DELETE:
            living.pop(key, None)
        elif entry.action in _OWNING:
            living.setdefault(key, []).append(entry)
    return [entry for entries in living.values() for entry in entries]


def _parse(line: bytes) -> Entry | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    if not all(isinstance(record.get(name), str) for name in _REQUIRED):
        return None
    if not all(isinstance(record.get(name), str | None) for name in _OPTIONAL):
        return None
    return Entry(**{name: record.get(name) for name in (*_REQUIRED, *_OPTIONAL)})

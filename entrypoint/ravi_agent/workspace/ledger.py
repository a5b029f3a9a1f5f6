"""What was done with identities on this host: one append-only file of the user, without secrets.

`$XDG_STATE_HOME/ravi/ledger.jsonl` (by default below ~/.local/state) has a JSON object a line:
`at` (ISO 8601, UTC), `action`, `uuid`, `name`, `api_url`, `host` and, where they are known, `path`
of the workspace, `repository` (git's common directory), `branch` and `run`. It answers who made
what and when, and whose a work tree was that a harness has removed. It is in no repository and no
workspace: an agent must not name identities for somebody else to delete.
"""

import errno
import json
import os
import time
from collections.abc import Mapping

from ravi_agent.identity import Identity
from ravi_agent.workspace.git import Worktree

FILE = "ravi/ledger.jsonl"
# `use`: the workspace was provisioned already, by a start that has written no line here.
CREATE, ADOPT, USE, KEY, REVOKE, DELETE = "create", "adopt", "use", "key", "revoke", "delete"
_OWNING = (CREATE, ADOPT, USE)
_REQUIRED = ("at", "action", "uuid", "name", "api_url", "host")
_OPTIONAL = ("path", "repository", "branch", "run")
_LINE_LIMIT = 64 * 1024  # bytes; ours have some hundred


class Entry:
    """One line. `path`, `repository`, `branch` and `run` are None where there is none."""

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

    def __init__(self, **fields: str | None) -> None:
        for name in self.__slots__:
            setattr(self, name, fields.get(name))

    def line(self) -> str:
        """The entry as the file holds it."""
        record = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({name: value for name, value in record.items() if value is not None})

    def is_of_here(self, api_url: str) -> bool:
        """Whether this host wrote it, of that service: elsewhere the same path is another."""
        return self.host == os.uname().nodename and self.api_url == api_url

    def is_same_place(self, other: "Entry") -> bool:
        """Whether both say the same of one workspace, whenever and by whatever action."""
        fields = ("uuid", "name", "api_url", "host", "path", "repository", "branch")
        return all(getattr(self, name) == getattr(other, name) for name in fields)


def ledger_path(environ: Mapping[str, str]) -> str:
    """Where the file is (XDG Base Directory Specification). Raises OSError without a home."""
    base = environ.get("XDG_STATE_HOME") or ""
    if not os.path.isabs(base):
        home = environ.get("HOME") or ""
        if not os.path.isabs(home):
            raise OSError(errno.ENOENT, "HOME is not set")
        base = os.path.join(home, ".local/state")
    return os.path.join(base, FILE)


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
    worktree = Worktree.find(workspace) if workspace else None
    entry = Entry(
        at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        action=action,
        uuid=identity.uuid,
        name=identity.name,
        api_url=api_url,
        host=os.uname().nodename,
        path=os.path.realpath(workspace) if workspace else None,
        repository=os.path.realpath(worktree.common_dir) if worktree else None,
        branch=worktree.branch() if worktree else None,
        run=run,
    )
    if action == USE and any(entry.is_same_place(one) for one in owned(environ)):
        return
    path = ledger_path(environ)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        # One write: fifty hooks at once never mix their lines (write(2), O_APPEND).
        os.write(descriptor, entry.line().encode() + b"\n")
    finally:
        os.close(descriptor)


def read(environ: Mapping[str, str]) -> list[Entry]:
    """Every entry, oldest first; what is not an entry is passed over. Raises OSError."""
    entries = []
    try:
        with open(ledger_path(environ), "rb") as file:
            while line := file.readline(_LINE_LIMIT):
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

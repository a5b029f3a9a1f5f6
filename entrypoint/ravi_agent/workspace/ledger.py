"""Which identities belong to a repository's work trees: a line for each, beside its objects.

A work tree that is gone cannot say whose it was, and most harnesses remove one without telling
anybody. `<git common dir>/ravi/worktrees.jsonl` holds name, UUID, path, branch, service and host,
and no key; git neither shows nor commits it.
"""

import fcntl
import json
import os
from collections.abc import Callable

from ravi_agent.identity import Identity
from ravi_agent.service_url import is_same_service
from ravi_agent.workspace.git import Worktree

FILE = "ravi/worktrees.jsonl"
_FIELDS = ("name", "uuid", "path", "api_url", "host")


class Entry:
    """One work tree's identity; `branch` is None where no branch was checked out."""

    __slots__ = ("api_url", "branch", "host", "name", "path", "uuid")

    def __init__(
        self, *, name: str, uuid: str, path: str, api_url: str, host: str, branch: str | None
    ) -> None:
        self.name = name
        self.uuid = uuid
        self.path = path
        self.api_url = api_url
        self.host = host
        self.branch = branch

    def line(self) -> str:
        """The entry as the file holds it."""
        return json.dumps({name: getattr(self, name) for name in (*_FIELDS, "branch")}) + "\n"

    def is_of_here(self, api_url: str) -> bool:
        """Whether this host made it, at that service: elsewhere the same path is another."""
        return self.host == os.uname().nodename and is_same_service(self.api_url, api_url)


def note(workspace: str, identity: Identity, api_url: str) -> None:
    """Write down whose this work tree is, once; nothing to do outside one. Raises OSError."""
    worktree = Worktree.find(workspace)
    if worktree is None:
        return
    entry = Entry(
        name=identity.name,
        uuid=identity.uuid,
        path=os.path.realpath(workspace),
        api_url=api_url,
        host=os.uname().nodename,
        branch=worktree.branch(),
    )
    _change(
        worktree.common_dir,
        lambda lines: lines if entry.line() in lines else [*lines, entry.line()],
    )


def read(common_dir: str) -> list[Entry]:
    """The entries of a repository, oldest first; what is no entry is passed over."""
    try:
        with open(os.path.join(common_dir, FILE), encoding="utf-8") as file:
            return [entry for line in file if (entry := _parse(line))]
    except FileNotFoundError:
        return []


def forget(common_dir: str, uuids: set[str]) -> None:
    """Take out every line of these identities. Raises OSError."""

    def is_kept(line: str) -> bool:
        entry = _parse(line)
        return entry is None or entry.uuid not in uuids

    _change(common_dir, lambda lines: [line for line in lines if is_kept(line)])


def _parse(line: str) -> Entry | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not all(isinstance(record.get(n), str) for n in _FIELDS):
        return None
    branch = record.get("branch")
    fields = {name: record[name] for name in _FIELDS}
    return Entry(**fields, branch=branch if isinstance(branch, str) else None)


def _change(common_dir: str, change: Callable[[list[str]], list[str]]) -> None:
    path = os.path.join(common_dir, FILE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o644), "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # fifty hooks write one file
        before = file.readlines()
        after = change(before)
        if after != before:
            file.seek(0)
            file.write("".join(after))
            file.truncate()

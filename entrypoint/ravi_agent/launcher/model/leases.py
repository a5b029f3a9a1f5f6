"""Which run has which identity of a pool: a file of this host's user, changed under a lock.

`pools.json` beside the ledger has one object a lease, without secrets. An identity without a lease
is free. Who takes one over from a run that is over says so by writing the lease anew.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from ravi_agent.errors import SettingsError
from ravi_agent.plain_file import read_plain_file, replace_plain_file
from ravi_agent.workspace.ledger import ledger_path

FILE, LOCK = "ravi/pools.json", "ravi/pools.lock"
RUN_WORD = "pool"  # begins the names of pools' identities where others have their run's
# The fields of a launcher's process (`docker.driver.Process`).
_OWNER = {"host": str, "place": str, "pid": int, "started_at": float}
_LIMIT = 16 * 1024 * 1024  # bytes; a lease has some 400
_LOCK_TIMEOUT_S, _LOCK_RETRY_S = 60.0, 0.02


@dataclass(frozen=True, kw_only=True)
class Lease:
    """engine: the ID of the one that runs the agent. owner: the launcher's process, in fields."""

    api_url: str
    name: str
    pool: str
    run: str
    task: str
    engine: str
    owner: Mapping[str, Any]


def pool_prefix(name_prefix: str, pool: str) -> str:
    """What the names of a pool's identities begin with; a number follows."""
    return f"{name_prefix}{RUN_WORD}-{pool}-"


def pool_of(name: str, name_prefix: str) -> str | None:
    """The pool that an identity of that name belongs to; None where it belongs to none.

    No run may have a name of which it could be made, too: `is_pool_word`.
    """
    word = f"{name_prefix}{RUN_WORD}-"
    pool, _, number = name.removeprefix(word).rpartition("-")
    return pool if name.startswith(word) and pool and number.isdecimal() else None


def is_pool_word(run: str) -> bool:
    """Whether identities of a run of that name could have names like those of a pool."""
    return run == RUN_WORD or run.startswith(f"{RUN_WORD}-")


def read_leases(environ: Mapping[str, str]) -> list[Lease]:
    """All leases. Raises OSError, and SettingsError for a file that is none of this kind."""
    path = ledger_path(environ, FILE)
    try:
        text, _ = read_plain_file(path, _LIMIT)
    except FileNotFoundError:
        return []
    try:
        leases = [Lease(**one) for one in json.loads(text)]
        if all(map(_is_whole, leases)):
            return leases
        why = ValueError("a field of another type")
    except (ValueError, TypeError, RecursionError) as exc:
        why = ValueError(str(exc))
    raise SettingsError(path, "it is not a list of leases", f"mv {path} {path}.bad") from why


def _is_whole(lease: Lease) -> bool:
    words = (lease.api_url, lease.name, lease.pool, lease.run, lease.task, lease.engine)
    owner = lease.owner
    return (
        all(isinstance(word, str) for word in words)
        and isinstance(owner, dict)
        and {name: type(value) for name, value in owner.items()} == _OWNER
        and bool(owner["place"].strip())
    )


@contextmanager
def changing(environ: Mapping[str, str]) -> Iterator[list[Lease]]:
    """All leases, to be changed by nobody else meanwhile; written unless an error ends it.

    Raises OSError, also where another launcher holds the lock for a minute, and SettingsError.
    """
    path = ledger_path(environ, FILE)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(ledger_path(environ, LOCK), flags, 0o600)
    try:
        _lock(descriptor)
        before = read_leases(environ)
        leases = list(before)
        yield leases
        if leases != before:
            text = json.dumps([asdict(one) for one in leases], indent=1)
            replace_plain_file(path, f"{text}\n".encode())
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    ends = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                raise OSError(errno.EAGAIN, "another launcher holds the lock") from None
            time.sleep(_LOCK_RETRY_S)
        else:
            return


def leased_names(environ: Mapping[str, str], api_url: str) -> frozenset[str]:
    """The names of the service's identities that are leased. Raises SettingsError."""
    try:
        return frozenset(one.name for one in read_leases(environ) if one.api_url == api_url)
    except OSError:
        return frozenset()  # no home, so no leases either

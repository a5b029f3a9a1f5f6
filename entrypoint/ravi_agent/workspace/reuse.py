"""Identities of work trees that are gone, for the next work tree of the same repository.

A harness that makes a work tree for each iteration, and removes it without a word, would pay for
an identity each time. Taking over is decided by the host's ledger, under its lock: two starts at
once take two.
"""

import os
from collections.abc import Mapping

from ravi_agent.workspace import ledger


def take_over(
    environ: Mapping[str, str], workspace: str, api_url: str, prefix: str
) -> ledger.Entry | None:
    """The identity of a work tree that is gone, from now on that of `workspace`; None without one.

    It had no branch, from which it could come back. prefix: of the names that may be taken.
    Raises OSError.
    """
    with ledger.locked(environ):
        last = {entry.uuid: entry for entry in ledger.owned(environ)}
        mine = ledger.entry_of(ledger.ADOPT, "", api_url, workspace=workspace)
        if mine.repository is None:
            return None
        for entry in last.values():
            if (
                entry.repository == mine.repository
                and entry.branch is None
                and entry.is_of_here(api_url)
                and entry.name.startswith(prefix)
                and not (entry.path and os.path.lexists(entry.path))
            ):
                mine.uuid, mine.name = entry.uuid, entry.name
                ledger.append(environ, mine)
                return mine
    return None

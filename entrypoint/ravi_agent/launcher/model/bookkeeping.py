"""Notes in this host's ledger what runs make, so that it can be listed and deleted later."""

import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime

from ravi_agent.identity import Identity
from ravi_agent.launcher.model.agents import Agent
from ravi_agent.workspace import ledger

_CLOCKS_APART_S = 60.0  # this host's and the service's


class Books:
    """The ledger as one run writes it; safe to use from several threads.

    A ledger that cannot be written costs a warning, and no agent.
    """

    def __init__(self, environ: Mapping[str, str], api_url: str, run: str | None = None) -> None:
        self._environ = environ
        self._api_url = api_url
        self._run = run
        self._lock = threading.Lock()
        self._is_broken = False

    def made(self, identity: Identity, *, is_created: bool) -> None:
        """An agent of the run has got an identity: a new one, or one that was there."""
        action = ledger.CREATE if is_created else ledger.ADOPT
        self.note(identity, action, *([ledger.KEY] if identity.key or identity.key_uuid else []))

    def note(self, identity: Identity, *actions: str) -> None:
        """These things were done with an identity, in the words of the ledger."""
        with self._lock:
            if self._is_broken:
                return
            try:
                for action in actions:
                    ledger.note(self._environ, action, identity, self._api_url, run=self._run)
            except OSError as exc:
                self._is_broken = True
                print(
                    f"ravi-launch: warning: the ledger cannot be written: {exc.strerror};"
                    " `ravi-launch identities` and `audit` will not know of this",
                    file=sys.stderr,
                )


class BooksObserver:
    """Notes the identities that containers make, as their agents get ready.

    is_fresh: the run's name is new, so every identity is.
    """

    def __init__(self, books: Books, *, is_fresh: bool) -> None:
        self._books = books
        self._is_fresh = is_fresh
        self._since = time.time() - _CLOCKS_APART_S
        self._noted: set[str] = set()

    def changed(self, agent: Agent) -> None:
        identity = agent.identity
        if identity is None or identity.uuid in self._noted:
            return
        self._noted.add(identity.uuid)
        is_created = self._is_fresh or self._is_later(identity.created_at)
        self._books.made(identity, is_created=is_created)

    def _is_later(self, created_at: str) -> bool:
        try:
            return datetime.fromisoformat(created_at).timestamp() > self._since
        except ValueError:
            return False

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        """Output makes nothing."""

    def note(self, text: str) -> None:
        """Notes make nothing."""

    def flush(self) -> None:
        """Each line is in the file already."""

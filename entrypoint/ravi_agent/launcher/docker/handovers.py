"""What each container is handed: the key to provision with, or the identity made here."""

import time
from typing import Protocol

from ravi_agent.credential import Credential
from ravi_agent.handover import Handover
from ravi_agent.identity import Identity
from ravi_agent.launcher.model.bookkeeping import Books
from ravi_agent.launcher.planning.plan import Plan, Task
from ravi_agent.log import Log


class Handovers(Protocol):
    """Where hand-over lines come from; called from several threads at once."""

    def line_for(self, task: Task, *, is_first: bool) -> bytes:
        """The line for this task's container. It holds a key. Raises RaviError.

        is_first: no container of this task has been started, so none can have made its identity.
        """

    def close(self) -> None:
        """Nothing more will be asked for."""


class KeyHandovers:
    """`--provision container`: every line carries the management key."""

    def __init__(self, plan: Plan, credential: Credential) -> None:
        self._is_fresh = plan.is_fresh
        self._credential = credential

    def line_for(self, task: Task, *, is_first: bool) -> bytes:
        """The same for all that have not been started before."""
        del task
        is_fresh = self._is_fresh and is_first
        return Handover(credential=self._credential, is_fresh=is_fresh).to_line()

    def close(self) -> None:
        """Nothing is open."""


class IdentityHandovers:
    """`--provision host`: one client makes all identities, and no key of the account's leaves.

    It keeps the pace for the whole fleet: told to wait, nobody asks before that time is over.
    """

    def __init__(
        self,
        plan: Plan,
        api_url: str,
        credential: Credential,
        *,
        phone_policy: str,
        timeout_s: float,
        log: Log,
        known: dict[str, Identity],
        books: Books | None = None,
        is_used_before: bool = False,
    ) -> None:
        """known: gets every identity that was made or adopted, by name. books: where to note what
        is made; None for identities that are not real. is_used_before: what an adopted one has in
        its inbox was for another agent.
        """
        # Only who provisions on the host waits for what calls the service.
        from ravi_agent.service.api import RaviApi
        from ravi_agent.service.provision import Pacer, Provisioner
        from ravi_agent.service.watcher import Watcher

        self._provisioner = Provisioner
        self._api = RaviApi(api_url, credential)
        self._credential = credential
        self._watcher = Watcher()
        self._pacer = Pacer(self._watcher)
        self._is_fresh = plan.is_fresh
        self._phone_policy = phone_policy
        self._timeout_s = timeout_s
        self._log = log
        self._known = known
        self._books = books
        self._is_used_before = is_used_before

    def line_for(self, task: Task, *, is_first: bool) -> bytes:
        """Make or adopt this task's identity."""
        provisioner = self._provisioner(
            self._api,
            deadline=time.monotonic() + self._timeout_s,
            phone_policy=self._phone_policy,
            log=self._log,
            pacer=self._pacer,
        )
        is_fresh = self._is_fresh and is_first
        identity = provisioner.provision(task.identity_name, is_fresh=is_fresh)
        self._known[identity.name] = identity.with_key(None)
        if self._books:
            self._books.made(identity, is_created=not provisioner.has_adopted)
        if self._is_used_before and provisioner.has_adopted:
            self._empty_inbox(identity)
        return Handover(identity=identity).to_line()

    def _empty_inbox(self, identity: Identity) -> None:
        from ravi_agent.service.api import RaviApi
        from ravi_agent.service.inbox import mark_all_read

        credential = Credential(identity.key, "pool") if identity.key else self._credential
        with RaviApi(self._api.api_url, credential, identity_uuid=identity.uuid) as api:
            count = mark_all_read(api, timeout_s=self._timeout_s, log=self._log)
        if count:
            self._log.info(f"{identity.name}: {count} older messages marked as read")

    def close(self) -> None:
        """Close the connections to the service."""
        self._watcher.close()
        self._api.close()

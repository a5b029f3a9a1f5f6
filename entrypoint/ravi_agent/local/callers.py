"""Who calls the local Ravi, and which identity a call is about."""

import secrets
import time
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from ravi_agent.local.record import Record
from ravi_agent.local.refusals import RefusalError, StoreError
from ravi_agent.local.store import Store

ACCESS_TOKEN_S = 3600


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is calling: the account, or one identity (`own`) by its key.

    has_keys: false for an older account, known by its access token.
    """

    own: Record | None = None
    has_keys: bool = True

    def require_account(self) -> None:
        if self.own:
            raise RefusalError(403, "An identity key may not do this.")


class Callers:
    """Everybody who may call: the holders of management keys, identities, older accounts.

    refresh_token: what renews an access token of an older account; None where there is none.
    """

    def __init__(self, store: Store, management_key: str, refresh_token: str | None) -> None:
        self._store = store
        self._management_key = management_key.encode()
        self._refresh_token = refresh_token
        self._access_tokens: dict[str, float] = {}

    def authenticate(self, connection: HTTPConnection) -> Caller:
        """Who sent a request, by its Authorization header; RefusalError for everybody else."""
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            if self.is_management_key(token):
                return Caller()
            if self._access_tokens.get(token, 0) > time.monotonic():
                return Caller(has_keys=False)
            own = self._store.identity_of_key(token)
            if own:
                return Caller(own=own)
        raise RefusalError(401, "Invalid token.", headers={"www-authenticate": "Bearer"})

    def is_management_key(self, token: str) -> bool:
        if secrets.compare_digest(token.encode(), self._management_key):
            return True
        return token.startswith("ravi_mgmt_") and self._store.is_management_key(token)

    def renew(self, refresh_token: str) -> str:
        """A new access token for an older account."""
        expected = self._refresh_token
        if expected is None or not secrets.compare_digest(
            refresh_token.encode(), expected.encode()
        ):
            raise RefusalError(401, "Token is invalid or expired")
        now = time.monotonic()
        for token in [token for token, ends in self._access_tokens.items() if ends <= now]:
            del self._access_tokens[token]
        token = f"local.{secrets.token_urlsafe(24)}.jwt"
        self._access_tokens[token] = now + ACCESS_TOKEN_S
        return token

    def scope(self, connection: HTTPConnection, caller: Caller) -> Record | None:
        """The identity a call is about; None where an account names none.

        `?identity=` names it in the newest generation and never selects another than the key's
        own. The header of older ones is heard from an account alone: an identity key says it
        itself.
        """
        asked = connection.query_params.get("identity")
        if caller.own:
            if asked is not None and asked != caller.own.uuid:
                raise RefusalError(403, "This key belongs to another identity.")
            return caller.own
        if asked is not None:
            record = self._store.identity(asked)
            if record is None:
                raise RefusalError(404, "No such identity.", code="identity.not_found")
            return record
        named = connection.headers.get("x-ravi-identity")
        if named is None:
            return None
        record = self._store.identity(named)
        if record is None:
            raise StoreError("X-Ravi-Identity: no such identity", cause="identity.not_found")
        return record

    def scoped(self, connection: HTTPConnection, caller: Caller) -> Record:
        """The identity a call is about; RefusalError where there is none."""
        record = self.scope(connection, caller)
        if record is None:
            raise StoreError(
                "Name an identity: ?identity=UUID, or the header X-Ravi-Identity.",
                cause="identity.required",
            )
        return record

"""Keys of identities and of the account, and the access tokens of older accounts."""

from ravi_agent.local.endpoints import Call, Endpoint, Who
from ravi_agent.local.fields import text
from ravi_agent.local.refusals import StoreError, not_found

_IDENTITY = "/api/auth/keys/identity/"
_MANAGEMENT = "/api/auth/keys/management/"
_LABEL = text(limit=255)


def _list_identity_keys(call: Call) -> object:
    return call.store.keys(of_identities=True)


def _list_management_keys(call: Call) -> object:
    return call.store.keys(of_identities=False)


def _mint_identity_key(call: Call) -> object:
    identity_uuid = call.text("identity_uuid")
    if call.store.identity(identity_uuid) is None:
        raise StoreError("identity_uuid: no such identity", cause="identity.not_found")
    return call.store.new_key(identity_uuid, call.text("label"))


def _mint_management_key(call: Call) -> object:
    return call.store.new_key(None, call.text("label"))


def _revoke_identity_key(call: Call) -> None:
    if not call.store.revoke_key(call.part("uuid"), of_identity=True):
        raise not_found()


def _revoke_management_key(call: Call) -> None:
    if not call.store.revoke_key(call.part("uuid"), of_identity=False):
        raise not_found()


def _refresh(call: Call) -> object:
    refresh = call.text("refresh")
    return {"access": call.service.callers.renew(refresh), "refresh": refresh}


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=_IDENTITY,
        answer=_list_identity_keys,
        does="List the active identity keys, without the keys themselves",
        who=Who.ACCOUNT_WITH_KEYS,
        returns="IdentityKey",
        many=True,
    ),
    Endpoint(
        method="POST",
        path=_IDENTITY,
        answer=_mint_identity_key,
        does="Make a key for one identity; the whole key is in this answer alone",
        who=Who.ACCOUNT_WITH_KEYS,
        body={"identity_uuid": text(limit=64).required(), "label": _LABEL},
        returns="IdentityKey",
        status=201,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_IDENTITY}{{uuid}}/",
        answer=_revoke_identity_key,
        does="Revoke an identity key",
        who=Who.ACCOUNT_WITH_KEYS,
        status=204,
    ),
    Endpoint(
        method="GET",
        path=_MANAGEMENT,
        answer=_list_management_keys,
        does="List the active management keys that were made here, without the keys themselves",
        who=Who.ACCOUNT_WITH_KEYS,
        returns="ManagementKey",
        many=True,
    ),
    Endpoint(
        method="POST",
        path=_MANAGEMENT,
        answer=_mint_management_key,
        does="Make a management key; the whole key is in this answer alone",
        who=Who.ACCOUNT_WITH_KEYS,
        body={"label": _LABEL},
        returns="ManagementKey",
        status=201,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_MANAGEMENT}{{uuid}}/",
        answer=_revoke_management_key,
        does="Revoke a management key",
        who=Who.ACCOUNT_WITH_KEYS,
        status=204,
    ),
    Endpoint(
        method="POST",
        path="/api/auth/token/refresh/",
        answer=_refresh,
        does="Renew the access token of an older account",
        who=Who.ANYONE,
        body={"refresh": text()},
        returns="AccessToken",
    ),
)

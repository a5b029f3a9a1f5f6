"""The CLI's login without a key, and tokens that prove an identity to a third party."""

import secrets
from datetime import UTC, datetime, timedelta

from starlette.responses import JSONResponse

from ravi_agent.local.endpoints import Call, Endpoint, Who
from ravi_agent.local.fields import FLAG, text
from ravi_agent.local.logins import INTERVAL_S, VALID_S

_SSO_S = 300
_EXPLAINED = {
    "authorization_pending": "The login has not been approved yet.",
    "expired_token": "There is no such login, or it has expired.",
}
_USER = {"id": 1, "email": "owner@ravi-local.test", "first_name": "Local", "last_name": "Owner"}


def _start(call: Call) -> object:
    login = call.service.logins.start()
    return {
        "device_code": login.device_code,
        "user_code": login.user_code,
        "verification_uri": call.url("/device/"),
        "expires_in": VALID_S,
        "interval": INTERVAL_S,
    }


async def _redeem(call: Call) -> object:
    """A management key for a login that was approved, and the identities to choose from."""
    wait = bool(call.body.get("wait"))
    error = await call.service.logins.redeem(call.text("device_code"), wait=wait)
    if error:
        # RFC 8628's form, in every generation.
        body = {"error": error, "error_description": _EXPLAINED[error]}
        return JSONResponse(body, status_code=400)
    made = call.store.new_key(None, "device login")
    identities = call.store.listing().rows()
    return {"management_key": made["key"], "identities": identities, "user": _USER}


def _sso_token(_call: Call) -> object:
    """Who has the token can prove nothing by it: the local Ravi vouches for nobody."""
    expires = datetime.now(UTC) + timedelta(seconds=_SSO_S)
    return {"token": f"rvt_{secrets.token_urlsafe(24)}", "expires_at": expires.isoformat()}


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/auth/device/",
        answer=_start,
        does="Begin a login on a device that has no key",
        who=Who.ANYONE,
        returns="DeviceCode",
    ),
    Endpoint(
        method="POST",
        path="/api/auth/device/token/",
        answer=_redeem,
        does="Get the keys of a login that was approved",
        who=Who.ANYONE,
        body={"device_code": text().required(), "wait": FLAG},
        returns="DeviceToken",
    ),
    Endpoint(
        method="POST",
        path="/api/sso/token/",
        answer=_sso_token,
        does="Get a short-lived token that proves the identity to a third party",
        returns="SsoToken",
    ),
)

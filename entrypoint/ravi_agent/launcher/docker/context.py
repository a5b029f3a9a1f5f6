"""docker's contexts: engines that its command line knows by name.

`<config>/contexts/meta/<sha256 of the name>/meta.json` has the endpoint, and
`<config>/contexts/tls/<sha256>/docker/` its certificates (docker/cli, cli/context/store). The SDK
reads them only beside a `config.json`, which need not be there.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from docker.tls import TLSConfig

from ravi_agent.errors import UsageError

_DEFAULT = "default"


def read_context(environ: Mapping[str, str], name: str | None) -> dict[str, Any]:
    """The SDK's `base_url` and `tls` of a context, or of the one in use; empty for the default.

    Raises UsageError where there is no such context.
    """
    config = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME") or "/", ".docker")
    if name is None:
        name = str(_read(os.path.join(config, "config.json")).get("currentContext") or _DEFAULT)
    if name == _DEFAULT:
        return {}
    store = os.path.join(config, "contexts")
    directory = hashlib.sha256(name.encode()).hexdigest()
    meta = _read(os.path.join(store, "meta", directory, "meta.json"))
    try:
        endpoint = meta["Endpoints"]["docker"]
        params: dict[str, Any] = {"base_url": str(endpoint["Host"])}
    except (KeyError, TypeError) as exc:
        raise UsageError(f"context {name!r}", "it is not there", "docker context ls") from exc
    certificates = os.path.join(store, "tls", directory, "docker")
    if os.path.isdir(certificates):
        is_verified = not endpoint.get("SkipTLSVerify")
        params["tls"] = _tls(certificates, is_verified=is_verified)
    return params


def _tls(directory: str, *, is_verified: bool) -> TLSConfig:
    def path(name: str) -> str | None:
        found = os.path.join(directory, name)
        return found if os.path.exists(found) else None

    cert, key = path("cert.pem"), path("key.pem")
    return TLSConfig(
        client_cert=(cert, key) if cert and key else None,
        ca_cert=path("ca.pem"),
        verify=is_verified,
    )


def _read(path: str) -> dict[str, Any]:
    """A JSON object of docker's; what is not there, or is none, counts as empty."""
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}

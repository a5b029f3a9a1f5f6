"""`ravi-entrypoint --check`: problems in this container, their effects and how to fix them."""

import os
import time
from collections.abc import Iterator, Mapping

from ravi_agent import contract
from ravi_agent.container.answer import write_answer
from ravi_agent.container.provisioned import load_provisioned
from ravi_agent.container.user import ActingAs, AgentUser, can_read, find_agent_user
from ravi_agent.credential import Credential, container_credential
from ravi_agent.credential_paths import credential_paths
from ravi_agent.errors import RaviError
from ravi_agent.settings import Settings

_CLOCK_LIMIT_S = 60.0  # tokens with a life of minutes fail beyond that
_CALL_TIMEOUT_S = 10.0


class Finding:
    """One line of the answer; `causes` and `fix` only for a problem."""

    def __init__(self, subject: str, so: str, causes: str = "", fix: str = "") -> None:
        self.is_fine = not causes
        self.text = f"{'ok     ' if self.is_fine else 'problem'} {subject}: {so}"
        if causes:
            self.text += f"\n          causes: {causes}\n          fix: {fix}"


def check(environ: Mapping[str, str]) -> int:
    """Print every finding on standard output; 0 if all is fine, else 1. Changes nothing."""
    is_fine = True
    for finding in _findings(environ):
        write_answer(f"{finding.text}\n")
        is_fine = is_fine and finding.is_fine
    return 0 if is_fine else 1


def _findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    yield _pid()
    try:
        settings = Settings(environ)
        user = find_agent_user(settings.agent_user, is_asked_for=settings.is_agent_user_asked_for)
        yield Finding("settings", "understood")
        with ActingAs(user):
            yield Finding("agent user", f"uid {user.uid if user else os.geteuid()}")
    except RaviError as exc:
        yield _problem("settings", exc, "no start")
        return
    yield from _workspace(settings, user)
    yield from _service(settings, environ, user)


def _pid() -> Finding:
    if os.getpid() == 1:
        return Finding("process", "PID 1: orphans come here and are reaped")
    return Finding("process", f"pid {os.getpid()}: orphans are reaped as a subreaper")


def _workspace(settings: Settings, user: AgentUser | None) -> Iterator[Finding]:
    try:
        identity = load_provisioned(settings, user)
        if identity:
            yield Finding("workspace", f"provisioned: {identity.name} is {identity.email}")
            return
        with ActingAs(user):
            yield from _preflight(settings.workspace)
    except RaviError as exc:
        yield _problem("workspace", exc, "an unprovisioned start ends with 73")


def _preflight(path: str) -> Iterator[Finding]:
    """What a start would try before it pays, and removes again."""
    from ravi_agent.workspace.claim import Claim

    there = path
    while not os.path.exists(there):  # a missing directory is made in its parent
        there = os.path.dirname(there)
    if there != path:
        if os.access(there, os.W_OK | os.X_OK, effective_ids=True):
            yield Finding("workspace", f"{path} can be made")
        else:
            yield Finding(
                "workspace",
                f"uid {os.geteuid()} cannot write {there}",
                "an unprovisioned start ends with 73",
                f"chown {os.geteuid()} what is mounted at {path}, or set RAVI_WORKSPACE",
            )
        return
    with Claim(path) as claim:
        if not claim.is_free():
            yield Finding("workspace", f"another start is provisioning {path}")
            return
        yield Finding("workspace", f"{path} can be provisioned")
        for what, fix in claim.warnings:
            yield Finding("file system", what, "it works, with that limit", fix)


def _service(
    settings: Settings, environ: Mapping[str, str], user: AgentUser | None
) -> Iterator[Finding]:
    try:
        credential = container_credential(environ)
    except RaviError as exc:
        yield _problem("key", exc, "an unprovisioned start ends with 78")
        return
    if credential is None:
        yield Finding("key", "none: only a provisioned workspace starts")
        return
    yield from _key(credential, environ, user)

    from ravi_agent.service.api import RaviApi

    try:
        with RaviApi(settings.api_url, credential) as api:
            found = api.find_identities(settings.identity_name, timeout_s=_CALL_TIMEOUT_S)
            skew_s = 0.0 if api.server_time is None else time.time() - api.server_time
    except RaviError as exc:
        yield _problem("service", exc, f"an unprovisioned start ends with {exc.exit_code}")
        return
    so = f"{len(found)} identities are called {settings.identity_name}"
    if len(found) > 1:
        yield Finding(
            "service", so, "none of them can be adopted", "set another RAVI_IDENTITY_NAME"
        )
    else:
        yield Finding("service", f"{settings.api_url} answers; {so}")
    if abs(skew_s) > _CLOCK_LIMIT_S:
        yield Finding(
            "clock",
            f"{skew_s:+.0f} s from the service's",
            "tokens and certificates look expired, or not valid yet",
            "set the host's clock (NTP)",
        )
    else:
        yield Finding("clock", "agrees with the service's")


def _key(
    credential: Credential, environ: Mapping[str, str], user: AgentUser | None
) -> Iterator[Finding]:
    """Where the credential comes from, and every place where the agent can read one."""
    is_exposed = False
    if credential.source in {"RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN"}:
        is_exposed = True
        yield Finding(
            "key",
            f"from the variable {credential.source}",
            "`docker inspect` shows it to everyone who may ask the engine",
            f"mount a file at {contract.MANAGEMENT_KEY_PATH} instead",
        )
    for path in credential_paths(environ):
        if can_read(user, path):
            is_exposed = True
            yield Finding(
                "key",
                f"the agent can read {path}",
                "an agent that is tricked can spend the account's money",
                "chmod 600 and chown root the file, and start as root: it steps down",
            )
    if not is_exposed:
        yield Finding("key", f"from {credential.source}; the agent cannot read it")


def _problem(subject: str, exc: RaviError, causes: str) -> Finding:
    return Finding(subject, str(exc), causes, exc.fix or "see the line above")

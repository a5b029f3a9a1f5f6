"""Whether the service accepts this host's key, asked once before a run is begun."""

from collections.abc import Callable

from ravi_agent import contract
from ravi_agent.credential import Credential
from ravi_agent.errors import NotSentError, RaviError, UnreachableError

_TIMEOUT_S = 10.0
_PASSING = frozenset({contract.EXIT_UNREACHABLE, contract.EXIT_THROTTLED})


def check_account(
    api_url: str, credential: Credential, *, is_needed_here: bool, say: Callable[[str], None]
) -> None:
    """Ask the service one cheap question with the key.

    is_needed_here: this host creates the identities; else a service that only the containers
    reach is fine. Raises RefusedError for a key that the service does not accept, AnswerError for
    what is no Ravi, and UnreachableError where nothing listens. A service that is busy or slow is
    only mentioned to `say`: each start tries again until its own time limit.
    """
    # What calls the service is imported only where it is asked.
    from ravi_agent.service.api import RaviApi

    try:
        with RaviApi(api_url, credential) as api:
            api.check_access(timeout_s=_TIMEOUT_S)
    except NotSentError as exc:
        if is_needed_here:
            fix = exc.fix or "check --api-url and the network, or ravi-launch doctor"
            raise UnreachableError(exc.what, exc.why, fix) from exc
        say(f"{exc}; the containers may reach it all the same")
    except RaviError as exc:
        if exc.exit_code in _PASSING:
            say(f"{exc}; each start tries again")
            return
        raise

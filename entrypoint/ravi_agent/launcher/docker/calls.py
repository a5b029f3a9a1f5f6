"""One call to a Docker engine, and the error for what it refuses.

The only module that knows `requests`, over which the Docker SDK speaks.
"""

from collections.abc import Callable
from typing import Any

import docker.errors
import requests

from ravi_agent.errors import EngineError

# The engine's refusals, failures of the connection to it, and of the SDK itself: a credential
# helper that is not installed, a proxy that it cannot use.
SDK_ERRORS = (docker.errors.DockerException, requests.RequestException)


class EngineGoneError(EngineError):
    """The engine does not answer any more; what it was asked may or may not have been done."""


def ask(what: str, call: Callable[[], Any], *, fine: tuple[int, ...] = ()) -> Any:
    """What `call` returns; None where the engine refuses with one of the statuses in `fine`.

    Raises EngineError about `what` for any other, EngineGoneError where the engine does not answer.
    """
    try:
        return call()
    except docker.errors.APIError as exc:
        if exc.status_code not in fine:
            raise EngineError(what, engine_words(exc)) from exc
    except SDK_ERRORS as exc:
        raise engine_error(exc, what) from exc
    return None


def engine_error(exc: Exception, what: str) -> EngineError:
    """The error for what the SDK has raised."""
    kind = EngineGoneError if isinstance(exc, requests.ConnectionError) else EngineError
    return kind(what, engine_words(exc))


def engine_words(exc: Exception) -> str:
    """The engine's own reason on one line."""
    text = exc.explanation if isinstance(exc, docker.errors.APIError) else str(exc)
    return " ".join(str(text or type(exc).__name__).split())

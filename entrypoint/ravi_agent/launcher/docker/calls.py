"""One call to a Docker engine, and what becomes of its refusal."""

from collections.abc import Callable
from typing import Any

import docker.errors
import requests

from ravi_agent.errors import EngineError


class EngineGoneError(EngineError):
    """The engine does not answer any more; what it was asked may or may not have been done."""


def ask(what: str, call: Callable[[], Any], *, fine: tuple[int, ...] = ()) -> Any:
    """What `call` returns; None where the engine says no with one of the statuses `fine`.

    Raises EngineError about `what` for any other, EngineGoneError where nobody answers.
    """
    try:
        return call()
    except docker.errors.APIError as exc:
        if exc.status_code not in fine:
            raise EngineError(what, engine_words(exc)) from None
    except requests.RequestException as exc:
        raise engine_error(exc, what) from None
    return None


def engine_error(exc: Exception, what: str) -> EngineError:
    """The error for what the SDK has raised."""
    kind = EngineGoneError if isinstance(exc, requests.ConnectionError) else EngineError
    return kind(what, engine_words(exc))


def engine_words(exc: Exception) -> str:
    """The engine's own reason on one line."""
    text = exc.explanation if isinstance(exc, docker.errors.APIError) else str(exc)
    return " ".join(str(text or type(exc).__name__).split())

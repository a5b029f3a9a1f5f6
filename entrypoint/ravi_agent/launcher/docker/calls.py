"""One call to a Docker engine, and the error for what it refuses.

The only module that knows `requests` and what is below it, over which the Docker SDK speaks.
"""

from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPException
from typing import Any

import docker.errors
import requests
import urllib3.exceptions
from docker.credentials.errors import StoreError

from ravi_agent.errors import EngineError

# The connection ended, or nothing came over it in time.
_CONNECTION_ERRORS = (
    ConnectionError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
    HTTPException,
)
# The engine's refusals, failures of the connection to it, and of the SDK itself: a credential
# helper that is not installed, a proxy that it cannot use, an answer that is none of an engine's.
SDK_ERRORS = (
    docker.errors.DockerException,
    docker.errors.StreamParseError,
    StoreError,
    requests.RequestException,
    *_CONNECTION_ERRORS,
)


class EngineGoneError(EngineError):
    """The engine does not answer any more; what it was asked may or may not have been done."""


class NameTakenError(EngineError):
    """There is a container of that name already."""


class PrunedError(EngineError):
    """A container has been removed before it was started."""


class StartUnknownError(EngineGoneError):
    """The engine left while a container was being started, so nobody knows whether it runs."""

    def __init__(self, what: str, why: str, *, container: str) -> None:
        super().__init__(what, why)
        self.container = container


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


def ask_for_stream(what: str, call: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    """The chunks of what `call` returns; raises as `ask` does, also between two of them."""
    chunks = ask(what, call)

    def passed_on() -> Iterator[bytes]:
        try:
            yield from chunks
        except SDK_ERRORS as exc:
            raise engine_error(exc, what) from exc
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()  # whoever has heard enough leaves no connection behind

    return passed_on()


def engine_error(exc: Exception, what: str) -> EngineError:
    """The error for what the SDK has raised."""
    kind = EngineGoneError if isinstance(exc, _CONNECTION_ERRORS) else EngineError
    return kind(what, engine_words(exc), fix_for(exc))


def fix_for(exc: BaseException | None) -> str | None:
    """What to type where it is not the engine that fails, but the way to it."""
    while exc:
        if isinstance(exc, requests.exceptions.InvalidSchema | requests.exceptions.ProxyError):
            return "export NO_PROXY=HOST, with the engine's host, or unset ALL_PROXY"
        exc = exc.__cause__ or exc.__context__
    return None


def engine_words(exc: Exception) -> str:
    """The engine's own reason on one line."""
    text = exc.explanation if isinstance(exc, docker.errors.APIError) else str(exc)
    return " ".join(str(text or type(exc).__name__).split())

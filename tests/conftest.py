"""What every test may use: a local Ravi, and keys that must show up nowhere."""

import signal
from collections.abc import Iterator

import pytest

from generations import GENERATIONS, Generation, Service
from ravi_agent.local.app import REFRESH_TOKEN
from ravi_agent.local.server import LocalRavi
from ravi_agent.log import Log

# Planted as the account's key; no output, file or listing of ours may ever hold it.
MANAGEMENT_KEY = "ravi_mgmt_PLANTED_0123456789"


def pytest_configure() -> None:
    """Take signals as a terminal's programs do, whatever started the tests.

    A script starts its background jobs with SIGINT and SIGQUIT ignored (POSIX, Shell Command
    Language, 2.12), `nohup` with SIGHUP; an ignored signal stays ignored in every program a test
    starts, which then waits for ever for the one it was sent.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def local() -> Iterator[LocalRavi]:
    """A local Ravi over HTTP, with an empty database and every request remembered."""
    with LocalRavi(
        database=":memory:", management_key=MANAGEMENT_KEY, refresh_token=REFRESH_TOKEN
    ) as server:
        yield server


@pytest.fixture
def log() -> Log:
    """A log that says everything."""
    return Log("test", level="debug")


@pytest.fixture(params=GENERATIONS)
def service(request: pytest.FixtureRequest, local: LocalRavi) -> Iterator[Service]:
    """The local Ravi, behind what makes it another generation."""
    with Generation(local, **GENERATIONS[request.param]) as generation:
        yield Service(local, generation.url)

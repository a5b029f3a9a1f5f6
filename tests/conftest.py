"""What every test may use: a local Ravi, and keys that must show up nowhere."""

from collections.abc import Iterator

import pytest

from ravi_agent.local.server import LocalRavi
from ravi_agent.log import Log

# Planted as the account's key; no output, file or listing of ours may ever hold it.
MANAGEMENT_KEY = "ravi_mgmt_PLANTED_0123456789"


@pytest.fixture
def local() -> Iterator[LocalRavi]:
    """A local Ravi over HTTP, with an empty database and every request remembered."""
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as server:
        yield server


@pytest.fixture
def log() -> Log:
    """A log that says everything."""
    return Log("test", level="debug")

"""The fake that stands for an engine that does not answer."""

from typing import NoReturn

from ravi_agent.errors import EngineError
from ravi_agent.launcher.model.request import Connection


def open_backend(connection: Connection) -> NoReturn:
    raise EngineError("engine", "it does not answer", "start it")

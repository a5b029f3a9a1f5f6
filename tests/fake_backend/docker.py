"""The fake that stands for Docker."""

from fake_backend import FakeBackend
from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.request import Connection


def open_backend(connection: Connection) -> FakeBackend:
    if connection.namespace:
        raise UsageError("--namespace", "Docker has no such thing", "leave it out")
    return FakeBackend("docker", connection)

"""Signals to many containers at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.model.agents import Agent

_THREADS = 8


class Signals:
    """Sends signals without waiting; what an engine refuses goes to `note`."""

    def __init__(self, engine: DockerEngine, note: Callable[[str], None]) -> None:
        self._engine = engine
        self._note = note
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="signal")

    def send(self, agent: Agent, signal: str) -> None:
        """Send `signal` to the agent's container, if it runs."""
        if agent.is_up:
            self._pool.submit(self._send, str(agent.container), signal)

    def send_all(self, agents: Iterable[Agent], signal: str) -> None:
        for agent in agents:
            self.send(agent, signal)

    def close(self) -> None:
        self._pool.shutdown()

    def _send(self, container: str, signal: str) -> None:
        try:
            self._engine.kill(container, signal)
        except EngineError as exc:  # it ends with the engine, or is signalled again
            self._note(str(exc))

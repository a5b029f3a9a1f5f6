"""`--output jsonl`: one object on standard output for everything that happens."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.show.report import agent_record


class JsonLines:
    """Events `state`, `output`, `note` and, last, `end`; `time` is RFC 3339 in UTC.

    out: None for standard output.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def changed(self, agent: Agent) -> None:
        self._write("state", {**agent_record(agent), "attempt": agent.attempt})

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        stream = "stderr" if is_error else "stdout"
        place = {"task": agent.task.id, "index": agent.task.index}
        self._write("output", {**place, "stream": stream, "line": line})

    def note(self, text: str) -> None:
        self._write("note", {"text": text})

    def end(self, result: Mapping[str, Any]) -> None:
        """The run is over: its summary. Each agent's last state has been written before."""
        self._write("end", {"run": result["run"], "summary": result["summary"]})

    def flush(self) -> None:
        self._out.flush()

    def _write(self, event: str, record: Mapping[str, Any]) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._out.write(json.dumps({"event": event, "time": time, **record}) + "\n")

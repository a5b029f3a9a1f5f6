"""What an agent's container uses of the host: the rows of `top`, and what it used in the end."""

import json
import math
from dataclasses import dataclass
from typing import Self

from ravi_agent.contract import USED_PREFIX

_PREFIX = USED_PREFIX.encode()


@dataclass(frozen=True, kw_only=True)
class Usage:
    """cpu_percent: of one core, so that two busy cores are 200. memory, memory_limit: bytes."""

    run: str
    task: str
    cpu_percent: float
    memory: int
    memory_limit: int
    processes: int


@dataclass(frozen=True, kw_only=True)
class Used:
    """memory_peak: bytes. cpu_s: of all processors together. None: not measured there.

    Told by PID 1, which an agent that has its container killed can speak for: to be shown only.
    """

    memory_peak: int | None = None
    cpu_s: float | None = None

    @classmethod
    def from_line(cls, line: bytes) -> Self | None:
        """What PID 1 tells when everything else in the container has ended; None: another line."""
        if not line.startswith(_PREFIX):
            return None
        try:
            told = json.loads(line.removeprefix(_PREFIX))
            memory, cpu_s = told["memory_peak_bytes"], told["cpu_s"]
        except (ValueError, RecursionError, TypeError, KeyError):
            return None
        if not (memory is None or (type(memory) is int and memory >= 0)):
            return None
        if not (cpu_s is None or (type(cpu_s) is float and math.isfinite(cpu_s) and cpu_s >= 0)):
            return None
        return cls(memory_peak=memory, cpu_s=cpu_s)


UNMEASURED = Used()

"""What an agent's container uses of the host: the rows of `top`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Usage:
    """cpu_percent: of one core, so that two busy cores are 200. memory, memory_limit: bytes."""

    run: str
    task: str
    cpu_percent: float
    memory: int
    memory_limit: int
    processes: int

"""A program on a terminal of its own: all that reached it, as bytes."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence


def run_on_terminal(command: Sequence[str], environ: Mapping[str, str]) -> tuple[int, bytes]:
    """Its exit code, and what it wrote to the terminal, which adds a CR before each new line."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command,
        env={**environ, "TERM": "xterm", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    with open(leader, "rb", buffering=0) as screen:
        while True:
            try:
                shown += screen.read(4096)
            except OSError:  # EIO: the program has closed its side
                break
    return process.wait(60), shown

"""Where this process has come upon something that may be a key of the account.

Whoever reads from such a place notes it first, so that nothing that has read one forgets it. PID 1
asks in the end whether it has to throw its memory away (`container.account_key`).
"""

TRACES: list[str] = []


def note_trace(source: str) -> None:
    """Note the name of a variable or the path of a file; never what it holds."""
    TRACES.append(source)

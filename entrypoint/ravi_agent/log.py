"""Messages for people and machines, on standard error: standard output is the agent's."""

import os

LEVELS = ("debug", "info", "warning", "error")


class Log:
    """Writes `<program>: <level>: <message>` lines, or one JSON object a line.

    Messages go straight to descriptor 2, so that none waits in a buffer when an `execve`
    throws this program away.
    """

    def __init__(self, program: str, *, level: str = "info", is_json: bool = False) -> None:
        self.program = program
        self.level = level
        self.is_json = is_json

    def debug(self, message: str) -> None:
        self._write("debug", message)

    def info(self, message: str) -> None:
        self._write("info", message)

    def warning(self, message: str, fix: str | None = None) -> None:
        self._write("warning", message, fix)

    def error(self, message: str, fix: str | None = None) -> None:
        self._write("error", message, fix)

    def _write(self, level: str, message: str, fix: str | None = None) -> None:
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        if self.is_json:
            import json  # only those who ask for JSON wait for it
            import time

            record = {
                "time": round(time.time(), 3),
                "program": self.program,
                "level": level,
                "message": message,
            }
            if fix:
                record["fix"] = fix
            text = json.dumps(record) + "\n"
        else:
            text = f"{self.program}: {level}: {message}\n"
            if fix:
                text += f"  fix: {fix}\n"
        write_stderr(text)


def write_stderr(text: str) -> None:
    """Write all of `text` to descriptor 2, or as much as whoever reads it lets us."""
    data = text.encode(errors="replace")
    while data:
        try:
            data = data[os.write(2, data) :]
        except OSError:  # nobody listens: an agent must not fail for want of a log
            return

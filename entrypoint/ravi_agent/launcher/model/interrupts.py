"""Ctrl-C and other stop signals while a run is in the foreground."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Self

from ravi_agent.launcher.model.exit_codes import EXIT_INTERRUPTED

_STOPPING = "ravi-launch: stopping the agents… press Ctrl-C again to force\n"
_FORCING = "ravi-launch: killing the agents… press Ctrl-C again to leave them\n"


class Interrupts:
    """A context in which the first stop signal stops the run, and the second kills its agents.

    The third one leaves at once, with 130, saying what is left. SIGTERM, from a service manager,
    and SIGHUP, from a terminal that is closed, count as Ctrl-C does. What was ignored when the
    program started stays ignored (`nohup`, and a shell's background jobs).
    """

    def __init__(
        self,
        *,
        say: Callable[[str], None],
        stop: Callable[[bool], None],
        left: Callable[[], str],
        ignores_hangup: bool = False,
    ) -> None:
        """stop: called in a signal handler, with True where it is forced. left: what still runs.

        ignores_hangup: go on when the terminal is closed.
        """
        self._say = say
        self._stop = stop
        self._left = left
        self._ignores_hangup = ignores_hangup
        self._before: dict[int, signal._HANDLER] = {}
        self.count = 0

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_IGN:
                continue
            is_ignored = number == signal.SIGHUP and self._ignores_hangup
            handler = signal.SIG_IGN if is_ignored else self._handle
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 2:
            self._leave()
        is_forced = self.count == 2
        self._say(_FORCING if is_forced else _STOPPING)
        self._stop(is_forced)

    def _leave(self) -> None:
        """Without a word to anybody who might hold the program up."""
        text = f"ravi-launch: left {self._left()}\n".encode(errors="replace")
        try:
            os.set_blocking(2, False)
            os.write(2, text)
        except OSError:
            pass  # a terminal that takes nothing, or none: there is nobody to tell
        os._exit(EXIT_INTERRUPTED)

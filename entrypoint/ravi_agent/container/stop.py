"""Stopping at once while nothing runs yet, whatever call is under way."""

import os
from _thread import allocate_lock, start_new_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from types import FrameType
else:
    import _signal as signal  # signal makes enums of its numbers, a quarter of a start's work

# What ends a program that does nothing about it and is sent to end one; the last is what engines
# send to a container that runs systemd.
STOP_SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGRTMIN + 3,
)
# Tells the thread to go; boot has no children, so nobody else sends it.
_DISMISS = signal.SIGCHLD


def stop_signals(signal_map: "Mapping[int, int]") -> set[int]:
    """The signals that ask for an end: those above, what is rewritten to one, and what one becomes.

    signal_map: RAVI_SIGNAL_MAP, numbers by number. A signal that it drops asks for nothing.
    """
    stops = {int(number) for number in STOP_SIGNALS}
    stops |= {number for number, becomes in signal_map.items() if becomes in stops}
    stops |= {becomes for number, becomes in signal_map.items() if number in stops and becomes}
    return {number for number in stops if signal_map.get(number, number)}


def ignored_signals() -> set[int]:
    """What whoever started this ignores: `nohup`, or a shell for a job in its background.

    Nothing where an engine has started it: an agent begins with every default then. Python itself
    ignores two signals, and nobody knows any more what they were before.
    """
    if os.getpid() == 1 or os.getppid() == 0:
        return set()
    return {
        int(number)
        for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}
        if signal.getsignal(number) == signal.SIG_IGN
    }


def block_signals() -> None:
    """Keep every signal pending from here on, across execve too.

    As PID 1 a process loses a signal that it neither blocks nor handles (pid_namespaces(7)).
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class StopWatch:
    """Ends the process with 128+n at a stop signal, from a thread of its own.

    A handler of Python's would wait for the main thread to come back from C, and a name look-up
    takes as long as the slowest name server. It has to do where there can be no thread: no process
    slot is left, or an old engine refuses clone3. Expects all signals to be blocked.
    """

    def __init__(self, signal_map: "Mapping[int, int] | None" = None) -> None:
        # Held for the few milliseconds in which a stop would leave something half done.
        self.uninterrupted = allocate_lock()
        self._stops = stop_signals(signal_map or {}) - ignored_signals()
        self._thread: int | None = None
        self._late: int | None = None  # a signal that came while the lock was held

    def __enter__(self) -> "StopWatch":
        self._running = allocate_lock()
        self._running.acquire()
        try:
            self._thread = start_new_thread(self._watch, ())
        except RuntimeError:
            for number in self._stops:
                signal.signal(number, self._handle)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._stops)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is None:
            signal.pthread_sigmask(signal.SIG_BLOCK, self._stops)
            if self._late is not None:
                os._exit(128 + self._late)
            for number in self._stops:
                signal.signal(number, signal.SIG_DFL)
            return
        # Wait for it: a signal that it took and has not acted on would be lost at execve.
        signal.pthread_kill(self._thread, _DISMISS)
        self._running.acquire()

    def _watch(self) -> None:
        number = signal.sigwait({*self._stops, _DISMISS})
        if number != _DISMISS:
            with self.uninterrupted:
                os._exit(128 + number)
        self._running.release()

    def _handle(self, number: int, _: "FrameType | None") -> None:
        if self.uninterrupted.locked():
            self._late = number
        else:
            os._exit(128 + number)

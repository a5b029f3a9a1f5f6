"""Stopping at once while nothing runs yet, whatever call is under way."""

import os
import signal
import sys
from _thread import allocate_lock, start_new_thread

# What ends a program that does nothing about it and is sent to end one.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
# Tells the thread to go; boot has no children, so nobody else sends it.
_DISMISS = signal.SIGCHLD


def block_signals() -> None:
    """Keep every signal pending from here on, across execve too.

    As PID 1 a process loses a signal that it neither blocks nor handles (pid_namespaces(7)).
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class StopWatch:
    """Ends the process with 128+n at a stop signal, from a thread of its own.

    A handler of Python's would wait for the main thread to come back from C, and a name look-up
    takes as long as the slowest name server. Expects all signals to be blocked.
    """

    def __init__(self) -> None:
        # Held for the few milliseconds in which a stop would leave something half done.
        self.uninterrupted = allocate_lock()

    def __enter__(self) -> "StopWatch":
        self._running = allocate_lock()
        self._running.acquire()
        self._thread = start_new_thread(self._watch, ())
        return self

    def __exit__(self, *_: object) -> None:
        # Wait for it: a signal that it took and has not acted on would be lost at execve.
        signal.pthread_kill(self._thread, _DISMISS)
        self._running.acquire()

    def _watch(self) -> None:
        number = signal.sigwait({*STOP_SIGNALS, _DISMISS})
        if number != _DISMISS:
            with self.uninterrupted:
                os._exit(128 + number)
        self._running.release()


def exit_now(code: int) -> None:
    """Leave without the interpreter's clean-up, which nothing here needs."""
    sys.stdout.flush()
    os._exit(code)

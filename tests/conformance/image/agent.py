"""What runs below each init: small agents that say on standard output what happens to them."""

import ctypes
import os
import signal
import sys
import threading
import time
from typing import NoReturn

PATIENCE_S = 3.0  # until an init that reaps has reaped


def say(line: str) -> None:
    """One write a line, so that lines of several processes do not mix."""
    os.write(1, f"{line}\n".encode())


def signals() -> NoReturn:
    """Say each signal that this process gets, and each that a child in its group gets."""
    numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    who = "agent" if os.fork() else "grandchild"
    if who == "agent":
        say("ready")
    while True:
        say(f"{who} {int(signal.sigwait(numbers))}")


def send(*numbers: str) -> None:
    """Send signals to PID 1 and wait for nothing."""
    for number in numbers:
        os.kill(1, int(number))


def descend(code: str, manner: str, until: str) -> NoReturn:
    """Leave a descendant with a session of its own, whose clean-up takes half a second.

    manner: `tidy` ends after that, `deaf` goes on. until: `now`, or `stop` to wait for SIGTERM.
    """
    term = {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, term)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.write(writer, b".")
        signal.sigwait(term)
        say("asked to go")
        time.sleep(0.5)
        say("cleaned up")
        while manner == "deaf":
            signal.pause()
        os._exit(0)
    os.read(reader, 1)
    groups = ",".join(str(group) for group in os.getgroups())
    say(f"ready uid={os.getuid()} gid={os.getgid()} groups={groups}")
    if until == "stop":
        signal.sigwait(term)
    os._exit(int(code))


def headless(code: str) -> NoReturn:
    """Leave a descendant whose first thread has ended, and whose other one cleans up at SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        threading.Thread(target=_headless, args=(writer,)).start()
        ctypes.CDLL(None).pthread_exit(None)  # of the first thread alone
    os.read(reader, 1)
    say("ready")
    os._exit(int(code))


def _headless(writer: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with open(f"/proc/{os.getpid()}/stat", "rb") as file:
            if file.read().rpartition(b")")[2].split()[0] == b"Z":
                break
        time.sleep(0.01)
    os.write(writer, b".")
    signal.sigwait({signal.SIGTERM})
    say("asked to go")
    time.sleep(0.5)
    say("cleaned up")
    os._exit(0)


def pool() -> None:
    """A master whose worker needs half a second once the master has told it to finish."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    orders, tell = os.pipe()
    ready, told = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(tell)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.write(told, b".")
        os.read(orders, 1)
        time.sleep(0.5)
        say("worker finished")
        os._exit(0)
    os.read(ready, 1)
    say("ready")
    signal.sigwait({signal.SIGTERM})
    os.close(tell)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) & 0xFF)


def stubborn() -> NoReturn:
    """Ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("ready")
    while True:
        signal.pause()


def orphans() -> None:
    """Leave 50 orphans one after the other; say how many stay zombies."""
    for _ in range(50):
        parent = os.fork()
        if parent == 0:
            os.fork()
            os._exit(0)
        os.waitpid(parent, 0)
    say(f"zombies after 50 orphans: {_zombies_left()}")


def bursts() -> NoReturn:
    """Let 200 orphans end at one moment, and again together with this process, which ends with 7.

    They hang on a pipe whose other end closes.
    """
    writer = _crowd(200)
    os.close(writer)
    say(f"zombies after 200 at once: {_zombies_left()}")
    _crowd(200)
    say("ready")
    os._exit(7)


def _crowd(count: int) -> int:
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        for _ in range(count):
            if os.fork() == 0:
                os.close(writer)
                os.read(reader, 1)
                os._exit(0)
        os._exit(0)
    os.close(reader)
    os.waitpid(parent, 0)
    return writer


def _zombies_left() -> int:
    deadline = time.monotonic() + PATIENCE_S
    while (count := _zombies()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return count


def _zombies() -> int:
    count = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    count += file.read().rpartition(b")")[2].split()[0] == b"Z"
            except OSError:
                continue
    return count


def terminal() -> NoReturn:
    """Say whether the terminal is this group's, and what it sends."""
    numbers = {signal.SIGINT, signal.SIGWINCH}
    signal.pthread_sigmask(signal.SIG_BLOCK, {*numbers, signal.SIGTTOU})
    try:
        owner = os.tcgetpgrp(0)
    except OSError:
        owner = 0
    say(f"ready {'foreground' if owner == os.getpgrp() else 'background'}")
    while True:
        number = signal.sigwait(numbers)
        size = os.get_terminal_size(0)
        say(f"{signal.Signals(number).name} {size.columns}x{size.lines}")


def resumable() -> NoReturn:
    """Be stopped by Ctrl-Z and ended by Ctrl-C as any program; say when it goes on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
    say("agent up")
    while True:
        signal.sigwait({signal.SIGCONT})
        say("agent resumed")


def inspect(name: str) -> None:
    """Say what the child of PID 1 that executes a program of that name was given, and PID 1 holds.

    A look from outside: a shell or Python would change its own mask and dispositions.
    """
    pid = _child_of_init(name)
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            field, _, mask = line.partition(":")
            if field in {"SigBlk", "SigIgn"}:
                say(f"{field}: {mask.strip()}")
    deadline = time.monotonic() + PATIENCE_S
    environ = ""
    while not environ and time.monotonic() < deadline:  # its name comes first at execve
        with open(f"/proc/{pid}/environ", encoding="utf-8") as file:
            environ = file.read()
    for variable in environ.split("\0"):
        if variable:
            say(f"environment: {variable}")
    for number in os.listdir(f"/proc/{pid}/fd"):
        say(f"descriptors: {number}")
    say(f"directory: {os.readlink(f'/proc/{pid}/cwd')}")
    deadline = time.monotonic() + 1  # it may tidy up only once the agent runs
    while "7" in os.listdir("/proc/1/fd") or os.readlink("/proc/1/cwd") != "/":
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    for number in os.listdir("/proc/1/fd"):
        say(f"own descriptors: {number}")
    say(f"own directory: {os.readlink('/proc/1/cwd')}")


def _child_of_init(name: str) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat", encoding="ascii") as file:
                        program, _, rest = file.read().partition("(")[2].rpartition(")")
                except OSError:
                    continue
                if program == name and rest.split()[1] == "1":
                    return entry
        time.sleep(0.02)
    sys.exit(f"no {name} below PID 1")


def wakeups(seconds: str) -> None:
    """Say how often PID 1 was woken within that time, once its start is over."""
    deadline = time.monotonic() + PATIENCE_S
    before, count = -1, _switches()
    while before != count and time.monotonic() < deadline:
        time.sleep(0.3)
        before, count = count, _switches()
    time.sleep(float(seconds))
    say(str(_switches() - count))


def _switches() -> int:
    count = 0
    for task in os.listdir("/proc/1/task"):
        with open(f"/proc/1/task/{task}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches:"):
                    count += int(line.split()[1])
    return count


AGENTS = {
    agent.__name__: agent
    for agent in (
        signals,
        send,
        descend,
        headless,
        pool,
        stubborn,
        orphans,
        bursts,
        terminal,
        resumable,
        inspect,
        wakeups,
    )
}

if __name__ == "__main__":
    AGENTS[sys.argv[1]](*sys.argv[2:])

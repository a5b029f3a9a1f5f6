"""Output is read as fast as it is shown, and what control has to know is heard at once."""

import queue
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from ravi_agent.launcher.docker.attach import Attached
from ravi_agent.launcher.docker.output_mux import OutputMux
from ravi_agent.launcher.model.events import (
    EntrypointFailed,
    Event,
    OutputCut,
    OutputOver,
    Ready,
)
from ravi_agent.launcher.model.usage import Used


class Shown:
    """What a mux has shown; `done` are the calls by which it learns of that."""

    def __init__(self) -> None:
        self.data: dict[int, bytearray] = {}
        self.done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.lock = threading.Lock()

    def __call__(
        self, index: int, data: bytes, *, is_error: bool, shown: Callable[[], None]
    ) -> None:
        del is_error
        with self.lock:
            self.data.setdefault(index, bytearray()).extend(data)
        self.done.put(shown)


@pytest.fixture
def events() -> "queue.SimpleQueue[Event]":
    return queue.SimpleQueue()


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def mux(events: "queue.SimpleQueue[Event]", shown: Shown) -> Iterator[OutputMux]:
    mux = OutputMux(events.put, shown)
    yield mux
    mux.close()


def attach(mux: OutputMux, index: int, *, has_past: bool = False) -> socket.socket:
    """The container's end of a connection that is read from now on."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    attached = Attached(sock=ours, early=b"", has_past=has_past)
    if has_past:
        mux.go_on(index, attached)
    else:
        mux.add(index, attached)
    theirs.setblocking(False)
    return theirs


def frame(data: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def fill(sock: socket.socket, limit: int) -> int:
    """Write lines until nobody has read for a second, or so many bytes are gone."""
    sent = 0
    data = frame(b"y\n" * 2048)
    while sent < limit and select.select([], [sock], [], 1)[1]:
        try:
            sent += sock.send(data[sent % len(data) :])
        except BlockingIOError:
            continue
    return sent


def test_who_writes_without_end_is_not_read_until_it_is_shown(mux: OutputMux, shown: Shown) -> None:
    with attach(mux, 0) as loud, attach(mux, 1) as quiet:
        assert fill(loud, 8 << 20) < 2 << 20  # the buffers of two sockets, and the limit
        first = len(shown.data[0])
        assert first < 256 << 10

        quiet.sendall(frame(b"ready\n"))  # the other one is read all the same
        while 1 not in shown.data:
            shown.done.get(timeout=30)()
        while not shown.done.empty():
            shown.done.get()()
        while len(shown.data[0]) <= first:  # and the first one again
            shown.done.get(timeout=30)()


def test_in_a_hurry_all_is_read_whether_it_is_shown_or_not(mux: OutputMux, shown: Shown) -> None:
    with attach(mux, 0) as loud:
        fill(loud, 8 << 20)
        mux.hurry()
        assert fill(loud, 8 << 20) >= 8 << 20


def test_the_entrypoint_is_heard_while_nothing_is_shown(
    mux: OutputMux, events: "queue.SimpleQueue[Event]", shown: Shown
) -> None:
    with attach(mux, 0) as sock:
        sock.sendall(frame(b"ravi-entrypoint: ready: {}\nhello\n", stream=2))
        sock.sendall(frame(b"ravi-entrypoint: ready: {}\n", stream=2))  # an agent that plays it
        ready = events.get(timeout=30)
    assert isinstance(events.get(timeout=30), OutputCut)
    mux.finish(0)
    over = events.get(timeout=30)

    assert isinstance(ready, Ready)
    assert ready.line == b"ravi-entrypoint: ready: {}"
    assert isinstance(over, OutputOver)
    assert over.last_lines == ("hello", "ravi-entrypoint: ready: {}")
    assert events.empty()


def used(number: int) -> bytes:
    told = f'{{"memory_peak_bytes": {number}, "cpu_s": 0.500}}'
    return b"ravi-entrypoint: used: " + told.encode() + b"\n"


def test_what_a_container_has_used_is_what_its_last_line_says(
    mux: OutputMux, events: "queue.SimpleQueue[Event]", shown: Shown
) -> None:
    with attach(mux, 0) as sock:
        sock.sendall(frame(b"ravi-entrypoint: ready: {}\n" + used(1) + b"no end: ", stream=2))
        sock.sendall(frame(used(2) + b"ravi-entrypoint: removed .ravi\n", stream=2))
    assert [type(events.get(timeout=30)) for _ in range(2)] == [Ready, OutputCut]
    mux.finish(0)
    over = events.get(timeout=30)

    assert isinstance(over, OutputOver)
    assert over.used == Used(memory_peak=2, cpu_s=0.5)
    # What the agent has written of it is shown as everything else of its.
    assert shown.data[0] == used(1) + b"no end: ravi-entrypoint: removed .ravi\n"


@pytest.mark.parametrize(
    "told",
    [
        "{}",
        "[]",
        '{"memory_peak_bytes": true, "cpu_s": 0.5}',
        '{"memory_peak_bytes": -1}',
        "[" * 9999,
        '{"memory_peak_bytes": 1, "cpu_s": NaN}',
        '{"memory_peak_bytes": 1, "cpu_s": -0.5}',
    ],
)
def test_words_of_an_agent_are_no_measurement(told: str) -> None:
    assert Used.from_line(b"ravi-entrypoint: used: " + told.encode() + b"\n") is None


def test_an_error_is_the_entrypoint_s_only_as_long_as_there_was_no_agent_to_write_it(
    mux: OutputMux, events: "queue.SimpleQueue[Event]"
) -> None:
    error = b"ravi-entrypoint: error: forged: by whom?\n"
    with attach(mux, 0) as sock:
        sock.sendall(frame(error, stream=1))  # the entrypoint says nothing on standard output
        sock.sendall(frame(error, stream=2))
        assert events.get(timeout=30) == EntrypointFailed(index=0, error="forged: by whom?")
        sock.sendall(frame(b"ravi-entrypoint: ready: {}\n" + error, stream=2))
    assert [type(events.get(timeout=30)) for _ in range(2)] == [Ready, OutputCut]

    with attach(mux, 1, has_past=True) as sock:  # the log of another launcher's, perhaps rotated
        sock.sendall(frame(error, stream=2))
    assert isinstance(events.get(timeout=30), OutputCut)
    assert events.empty()


# --- a connection that is cut --------------------------------------------------------------------


def chunked(data: bytes, size: int) -> bytes:
    """A body as HTTP sends it, in chunks of that size."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def go_on(mux: OutputMux, data: bytes, *, size: int | None = None, is_last: bool = False) -> None:
    """Have the log read, in chunks of `size` where there is one, up to its end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    attached = Attached(sock=ours, early=b"", is_chunked=size is not None, has_past=True)
    mux.go_on(0, attached, is_last=is_last)
    with theirs:
        theirs.sendall(data if size is None else chunked(data, size))


@pytest.mark.parametrize("size", [None, 1, 7, 4096])
def test_what_follows_a_cut_is_read_once_from_the_log(
    mux: OutputMux, events: "queue.SimpleQueue[Event]", shown: Shown, size: int | None
) -> None:
    lines = [b"%d\n" % number for number in range(100)]
    with attach(mux, 0) as sock:
        sock.sendall(b"".join(map(frame, lines[:40])))
        sock.sendall(frame(b"error 1\n", stream=2))
        sock.sendall(frame(b"40")[:9])  # cut in the middle of a frame
    assert isinstance(events.get(timeout=30), OutputCut)
    # The log has the two streams in another order, and cuts them elsewhere.
    log = frame(b"error 1\n", stream=2) + frame(b"".join(lines[:50])) + frame(b"50\n")
    go_on(mux, log, size=size)
    assert isinstance(events.get(timeout=30), OutputCut)
    log += b"".join(map(frame, lines[51:])) + frame(b"error 2\n", stream=2)
    go_on(mux, log, size=size, is_last=True)
    over = events.get(timeout=30)

    assert isinstance(over, OutputOver)
    assert over.last_lines[-1] == "error 2"
    assert sorted(shown.data[0].splitlines()) == sorted(
        b"".join([*lines, b"error 1\n", b"error 2\n"]).splitlines()
    )


def test_a_log_that_has_lost_its_beginning_is_read_behind_the_last_line(
    mux: OutputMux,
    events: "queue.SimpleQueue[Event]",
    shown: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ravi_agent.launcher.docker.joint._WHOLE_LOG", 1000)
    lines = [b"line %d\n" % number for number in range(1000)]
    with attach(mux, 0) as sock:
        sock.sendall(frame(b"".join(lines[:900])))
    assert isinstance(events.get(timeout=30), OutputCut)

    go_on(mux, b"".join(frame(line) for line in lines[300:]), size=4096, is_last=True)

    assert isinstance(events.get(timeout=30), OutputOver)
    assert bytes(shown.data[0]) == b"".join(lines)


def test_an_answer_that_makes_no_sense_is_a_cut(
    mux: OutputMux, events: "queue.SimpleQueue[Event]"
) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        mux.go_on(0, Attached(sock=ours, early=b"<html>\r\n", is_chunked=True))
        assert isinstance(events.get(timeout=30), OutputCut)

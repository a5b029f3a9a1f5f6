"""A call ends at its deadline, and takes little memory, whatever the service does."""

import gzip
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from conftest import MANAGEMENT_KEY
from listeners import Listener
from ravi_agent.credential import Credential
from ravi_agent.errors import AnswerError, NotSentError, OutcomeUnknownError, RaviError
from ravi_agent.service.api import RaviApi

Speak = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\n"


class Hostile(Listener):
    """A service that answers each connection with what `speak` says until it is left alone."""

    def __init__(self) -> None:
        self.speak: Speak = lambda _peer: None
        super().__init__()

    def serve(self, peer: socket.socket) -> None:
        with peer:
            try:
                peer.recv(65536)
                self.speak(peer)
            except OSError:
                return  # it has hung up


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    service = Hostile()
    yield service
    service.close()


def drip(text: bytes) -> Speak:
    """A byte of `text` now and then, over and over after its last."""

    def speak(peer: socket.socket) -> None:
        while True:
            for byte in text:
                peer.sendall(bytes([byte]))
                time.sleep(0.02)

    return speak


def flood(start: bytes, forever: bytes) -> Speak:
    """`start`, then `forever` as fast as it is taken."""

    def speak(peer: socket.socket) -> None:
        peer.sendall(start)
        while True:
            peer.sendall(forever * 100)

    return speak


def say(text: bytes) -> Speak:
    def speak(peer: socket.socket) -> None:
        peer.sendall(text)
        while peer.recv(65536):
            continue

    return speak


NEVER_ENDING = {
    "nothing": say(b""),
    "slow status line": drip(b"HTTP/1.1 200 " + b"O" * 10_000),
    "slow header": drip(OK + b"x-slow: " + b"a" * 10_000),
    "headers without end": flood(OK, b"x-more: 1\r\n"),
    "one header without end": flood(OK + b"x-long: ", b"a" * 1000),
    "100 Continue without end": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "slow 100 Continue": drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "slow body": drip(OK + b"content-length: 9000\r\n\r\n" + b" " * 9000),
    "slow chunk size": drip(
        OK + b"transfer-encoding: chunked\r\n\r\n" + b"0" * 15 + b";" + b"a" * 9000
    ),
    "body without end": flood(OK + b"\r\n", b" " * 1000),
    "chunks without end": flood(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "trailers without end": flood(OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x: 1\r\n"),
    "error without end": flood(b"HTTP/1.1 500 No\r\n\r\n", b" " * 1000),
}


@pytest.mark.parametrize("speak", NEVER_ENDING.values(), ids=NEVER_ENDING)
@pytest.mark.timeout(60)
def test_an_answer_without_end_is_one_error_at_the_deadline(hostile: Hostile, speak: Speak) -> None:
    hostile.speak = speak
    began = time.monotonic()

    with (
        RaviApi(hostile.url, Credential(MANAGEMENT_KEY, "test")) as api,
        pytest.raises(RaviError) as caught,
    ):
        api.create_identity("task-1", with_phone=False, timeout_s=0.5)

    # Not how fast it is, but that the peer does not decide when it ends.
    assert time.monotonic() - began < 20
    assert isinstance(caught.value, OutcomeUnknownError | AnswerError)


def test_a_deadline_is_kept_for_each_of_several_threads(hostile: Hostile) -> None:
    hostile.speak = drip(b"HTTP/1.1 100 Continue\r\n\r\n")
    failures: list[RaviError] = []

    with RaviApi(hostile.url, Credential(MANAGEMENT_KEY, "test")) as api:

        def ask() -> None:
            try:
                api.ask("GET", "identities/", timeout_s=0.3)
            except RaviError as exc:
                failures.append(exc)

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [type(one) for one in failures] == [OutcomeUnknownError] * 20


def test_a_connection_that_nobody_accepts_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = []
        try:
            for _ in range(8):  # fill the queue: the next connection is not answered
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(address)
                waiting.append(one)
            with (
                RaviApi(f"http://127.0.0.1:{address[1]}", Credential("k", "test")) as api,
                pytest.raises((NotSentError, OutcomeUnknownError)),
            ):
                api.ask("GET", "identities/", timeout_s=0.3)
        finally:
            for one in waiting:
                one.close()


def packed(answer: bytes) -> Speak:
    twice = gzip.compress(gzip.compress(answer))
    head = OK + f"content-encoding: gzip, gzip\r\ncontent-length: {len(twice)}\r\n\r\n".encode()
    return say(head + twice)


def test_a_packed_answer_is_refused_and_not_unpacked(hostile: Hostile) -> None:
    hostile.speak = packed(b" " * (256 * 1024 * 1024))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with (
        RaviApi(hostile.url, Credential(MANAGEMENT_KEY, "test")) as api,
        pytest.raises(AnswerError, match="encoded"),
    ):
        api.ask("GET", "identities/", timeout_s=5)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x", "identity, gzip"])
def test_no_encoding_is_accepted(hostile: Hostile, encoding: str) -> None:
    head = f"content-encoding: {encoding}\r\ncontent-length: 2\r\n\r\n".encode()
    hostile.speak = say(OK + head + b"{}")

    with (
        RaviApi(hostile.url, Credential(MANAGEMENT_KEY, "test")) as api,
        pytest.raises(AnswerError, match="encoded"),
    ):
        api.ask("GET", "identities/", timeout_s=5)


def test_a_packed_error_is_sorted_by_its_status(hostile: Hostile) -> None:
    hostile.speak = say(
        b"HTTP/1.1 503 No\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b"
    )

    with (
        RaviApi(hostile.url, Credential(MANAGEMENT_KEY, "test")) as api,
        pytest.raises(OutcomeUnknownError, match="status 503"),
    ):
        api.ask("GET", "identities/", timeout_s=5)


def test_an_answer_that_says_it_is_too_large_is_not_read(hostile: Hostile) -> None:
    sent = [0]

    def speak(peer: socket.socket) -> None:
        peer.sendall(OK + b"content-length: 9999999999\r\n\r\n")
        while True:
            sent[0] += peer.send(b" " * 65536)

    hostile.speak = speak
    with (
        RaviApi(hostile.url, Credential(MANAGEMENT_KEY, "test")) as api,
        pytest.raises(AnswerError, match="more than"),
    ):
        api.ask("GET", "identities/", timeout_s=5)

    assert sent[0] < 16 * 1024 * 1024  # what the kernel's buffers take

"""HTTP byte by byte: what is an answer, what is none, and when a connection is used again."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from conftest import MANAGEMENT_KEY
from listeners import Listener
from ravi_agent.credential import Credential
from ravi_agent.errors import (
    AnswerError,
    NotSentError,
    OutcomeUnknownError,
    RaviError,
    RefusedError,
)
from ravi_agent.service.api import RaviApi
from ravi_agent.service.deadline import Deadline
from ravi_agent.service.exchange import exchange
from ravi_agent.service.wire import Wire

OK = b"HTTP/1.1 200 OK\r\n"
Answering = Callable[[bytes], bytes | None]


class Peer(Listener):
    """A service that answers each request with bytes, and hangs up where `answer` gives None.

    After an answer that ends in HANG_UP it hangs up too. Keeps what it was asked, and how many
    connections there were.
    """

    HANG_UP = b"<hang up>"

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.answer: Answering = lambda _request: OK + b"content-length: 2\r\n\r\n[]"
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        super().__init__(host)

    def serve(self, peer: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._open.append(peer)
        with peer, peer.makefile("rb") as reader:
            try:
                while request := _request(reader.readline, reader.read):
                    with self._lock:
                        self.requests.append(request)
                    answer = self.answer(request)
                    if answer is None:
                        return
                    peer.sendall(answer.removesuffix(self.HANG_UP))
                    if answer.endswith(self.HANG_UP):
                        return
            except OSError:
                return  # it has hung up

    def hang_up(self) -> None:
        """End every connection, and wait until that is done."""
        for one in self._open:
            with closing(one):
                one.shutdown(socket.SHUT_RDWR)
        self.join()
        self._open.clear()


def _request(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> bytes:
    """A whole request, nothing once there is none."""
    head, size = b"", 0
    while line := readline():
        head += line
        name, _, value = line.partition(b":")
        size = int(value) if name.lower() == b"content-length" else size
        if line == b"\r\n":
            return head + read(size)
    return b""


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A service of bytes."""
    service = Peer()
    yield service
    service.close()


def client(peer: Peer) -> RaviApi:
    return RaviApi(peer.url, Credential(MANAGEMENT_KEY, "test"))


# --- what is an answer, and whether the connection is used again ----------------------------------

LENGTH = b"content-length: 2\r\n"
CHUNKED = OK + b"Transfer-Encoding: Chunked\r\n\r\n"
# By name: the answer, and whether a second request may follow on its connection.
ANSWERS = {
    "length": (OK + LENGTH + b"\r\n[]", True),
    "length said twice": (OK + LENGTH + LENGTH + b"\r\n[]", True),
    "chunks": (CHUNKED + b"1\r\n[\r\n1\r\n]\r\n0\r\n\r\n", True),
    "chunk extensions": (CHUNKED + b"02;a=b;c\r\n[]\r\n0;last\r\n\r\n", True),
    "trailers": (CHUNKED + b"2\r\n[]\r\n0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n", True),
    "chunks beside a length": (
        OK + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        True,
    ),
    "no reason": (b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n[]", True),
    "100": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\n[]", True),
    "102 and 103": (
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n"
        b"content-length: 7\r\n\r\n" + OK + LENGTH + b"\r\n[]",
        True,
    ),
    "many small headers": (OK + b"x: y\r\n" * 90 + LENGTH + b"\r\n[]", True),
    "Connection: close": (OK + LENGTH + b"Connection: Close\r\n\r\n[]", False),
    "to the end": (OK + b"\r\n[]" + Peer.HANG_UP, False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n[]" + Peer.HANG_UP, False),
    "HTTP/1.0 keep-alive": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + LENGTH + b"\r\n[]",
        False,
    ),
    "more than the answer": (OK + LENGTH + b"\r\n[]" + OK + LENGTH + b"\r\n{}", False),
    "more than the chunks": (CHUNKED + b"2\r\n[]\r\n0\r\n\r\n\0", False),
}


@pytest.mark.parametrize(("answer", "is_reused"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_read_and_its_connection_used_again_only_if_nothing_is_left(
    peer: Peer, answer: bytes, is_reused: bool
) -> None:
    peer.answer = lambda _request: answer

    with client(peer) as api:
        assert api.ask("GET", "x/", timeout_s=20) == []
        assert api.ask("GET", "x/", timeout_s=20) == []

    assert peer.connections == (1 if is_reused else 2)


def test_an_error_that_is_read_to_its_end_leaves_the_connection_good(peer: Peer) -> None:
    for body, connections in ((b"{}", 1), (b" " * 70_000, 3)):
        head = f"HTTP/1.1 404 No\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        peer.answer = lambda _request, answer=head + body: answer  # type: ignore[misc]
        with client(peer) as api:
            for _ in range(2):
                with pytest.raises(RefusedError, match="404"):
                    api.ask("GET", "x/", timeout_s=20)
        assert peer.connections == connections


def test_no_content_is_an_answer(peer: Peer) -> None:
    peer.answer = lambda _request: b"HTTP/1.1 204 No Content\r\n\r\n"

    with client(peer) as api:
        assert api.ask("DELETE", "x/", timeout_s=20) is None
        assert api.ask("DELETE", "x/", timeout_s=20) is None

    assert peer.connections == 1


@pytest.mark.parametrize("status", [101, 301, 302, 307, 308])
def test_a_redirect_or_another_protocol_is_not_followed(peer: Peer, status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nlocation: {peer.url}/elsewhere\r\n"
    peer.answer = lambda _request: head.encode() + b"content-length: 0\r\n\r\n"

    with client(peer) as api, pytest.raises(AnswerError, match=str(status)):
        api.ask("GET", "x/", timeout_s=20)

    assert len(peer.requests) == 1


# --- what is none ---------------------------------------------------------------------------------

END = Peer.HANG_UP
NO_ANSWERS = {
    "nothing": END,
    "half a status line": b"HTTP/1.1 20" + END,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n" + END,
    "HTTP/0.9": b"[]\r\n" + END,
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n" + END,
    "no status": b"HTTP/1.1 OK\r\n\r\n" + END,
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n" + END,
    "half a head": OK + b"content-length: 2\r\n" + END,
    "half a header": OK + b"content-len" + END,
    "a header without a colon": OK + b"no header\r\n" + LENGTH + b"\r\n[]" + END,
    "a blank before the colon": OK + b"content-length : 2\r\n\r\n[]" + END,
    "a first header that goes on": OK + b" x: y\r\n" + LENGTH + b"\r\n[]" + END,
    "too many headers": OK + b"x: y\r\n" * 101 + LENGTH + b"\r\n[]" + END,
    "a header too long": OK + b"x: " + b"y" * 70_000 + b"\r\n" + LENGTH + b"\r\n[]" + END,
    "a status line too long": b"HTTP/1.1 200 " + b"y" * 70_000 + b"\r\n\r\n" + END,
    "two lengths": OK + LENGTH + b"content-length: 3\r\n\r\n[]" + END,
    "a length that is no number": OK + b"content-length: two\r\n\r\n[]" + END,
    "a negative length": OK + b"content-length: -2\r\n\r\n[]" + END,
    "a length as Python writes it": OK + b"content-length: 0_2\r\n\r\n[]" + END,
    "another transfer encoding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n[]" + END,
    "half a body": OK + b"content-length: 3\r\n\r\n[]" + END,
    "no body": OK + LENGTH + b"\r\n" + END,
    "half a chunk": CHUNKED + b"9\r\n[]" + END,
    "half a chunk size": CHUNKED + b"2" + END,
    "no last chunk": CHUNKED + b"2\r\n[]\r\n" + END,
    "no end of trailers": CHUNKED + b"2\r\n[]\r\n0\r\nx: 1\r\n" + END,
    "a chunk size that is none": CHUNKED + b"two\r\n[]\r\n0\r\n\r\n" + END,
    "a negative chunk": CHUNKED + b"-1\r\n[]" + END,
    "a chunk extension too long": CHUNKED + b"2;" + b"x" * 70_000 + b"\r\n[]\r\n0\r\n\r\n" + END,
    "an interim answer alone": b"HTTP/1.1 103 Early Hints\r\n\r\n" + END,
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_no_whole_answer_leaves_the_outcome_unknown_and_is_not_sent_again(
    peer: Peer, answer: bytes
) -> None:
    peer.answer = lambda _request: answer

    with client(peer) as api, pytest.raises(OutcomeUnknownError) as caught:
        api.create_identity("task-1", with_phone=False, timeout_s=20)

    assert not caught.value.may_still_run
    assert MANAGEMENT_KEY not in caught.value.lines("test")
    assert len(peer.requests) == 1


def test_an_answer_that_came_before_the_request_was_taken_counts() -> None:
    ours, theirs = socket.socketpair()
    deadline = Deadline()
    deadline.set(time.monotonic() + 60)
    theirs.sendall(b"HTTP/1.1 413 Too much\r\ncontent-length: 0\r\n\r\n")
    theirs.close()

    with ours:
        wire = Wire(ours, deadline)
        answer = exchange(wire, "POST", "/", {"Host": "x"}, b"body", "POST x")
        assert answer.status == 413
        assert answer.read_to(10) == b""
        assert not answer.leaves_reusable


# --- a connection that is used again --------------------------------------------------------------


def test_a_connection_that_ended_meanwhile_is_seen_before_a_request_is_sent(peer: Peer) -> None:
    with client(peer) as api:
        api.ask("GET", "x/", timeout_s=20)
        peer.hang_up()
        api.ask("POST", "x/", {}, timeout_s=20)

    assert peer.connections == 2
    assert len(peer.requests) == 2


def test_a_request_that_meets_the_end_of_a_connection_is_not_sent_again(peer: Peer) -> None:
    answers = iter([OK + LENGTH + b"\r\n[]"])
    peer.answer = lambda _request: next(answers, None)

    with client(peer) as api:
        api.ask("GET", "x/", timeout_s=20)
        with pytest.raises(OutcomeUnknownError, match="without an answer"):
            api.ask("POST", "x/", {}, timeout_s=20)

    assert peer.connections == 1
    assert len(peer.requests) == 2


def test_a_connection_that_rested_too_long_is_not_used_again(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ravi_agent.service.connections._IDLE_S", -1.0)

    with client(peer) as api:
        api.ask("GET", "x/", timeout_s=20)
        api.ask("GET", "x/", timeout_s=20)

    assert peer.connections == 2


def test_threads_that_share_connections_get_their_own_answers(peer: Peer) -> None:
    def answer(request: bytes) -> bytes:
        body = json.dumps(request.split()[1].decode()).encode()
        return OK + f"content-length: {len(body)}\r\n\r\n".encode() + body

    peer.answer = answer
    wrong: list[object] = []

    with client(peer) as api:

        def ask(number: int) -> None:
            for turn in range(20):
                path = f"x/{number}/{turn}/"
                answer = api.ask("GET", path, timeout_s=60)
                if answer != f"/api/{path}":
                    wrong.append(answer)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert wrong == []
    assert len(peer.requests) == 160
    assert peer.connections <= 8


# --- what is sent ---------------------------------------------------------------------------------


def test_a_request_says_what_it_must_and_nothing_twice(peer: Peer) -> None:
    with client(peer) as api:
        api.ask("POST", "a b/\u00e9?q=%2B&r=ü/", {"name": "\u00e9"}, timeout_s=20)

    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == "POST /api/a%20b/%C3%A9?q=%2B&r=%C3%BC/ HTTP/1.1"
    assert sorted(headers) == [
        "Accept-Encoding: identity",
        "Accept: application/json",
        f"Authorization: Bearer {MANAGEMENT_KEY}",
        "Content-Length: 13",
        "Content-Type: application/json",
        f"Host: 127.0.0.1:{peer.port}",
        "User-Agent: ravi-agent-base",
    ]
    assert json.loads(body) == {"name": "\u00e9"}


@pytest.mark.parametrize(
    "token", ["SECRET\r\nX-Other: 1", "SECRET\n folded", "SECRET\0", "SECRET\u00e9"]
)
def test_a_token_that_no_header_may_hold_is_not_sent_and_not_shown(peer: Peer, token: str) -> None:
    with (
        RaviApi(peer.url, Credential(token, "test")) as api,
        pytest.raises(NotSentError, match="Authorization") as caught,
    ):
        api.ask("GET", "x/", timeout_s=20)

    assert caught.value.is_final
    assert caught.value.__cause__ is None
    assert "SECRET" not in caught.value.lines("test")
    assert peer.requests == []


@pytest.mark.parametrize(
    "path", ["x/\r\nX-Other: 1", "x/ HTTP/1.1\r\n\r\n", "x/#f", "//elsewhere/", "http://elsewhere/"]
)
def test_no_path_leads_out_of_its_request(peer: Peer, path: str) -> None:
    with client(peer) as api:
        api.ask("GET", path, timeout_s=20)

    (request,) = peer.requests
    assert request.startswith(b"GET /api/")
    assert b"\nX-Other:" not in request
    assert f"\r\nHost: 127.0.0.1:{peer.port}\r\n".encode() in request


def test_the_next_address_of_a_host_is_tried(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = gone.getsockname()

    def two_addresses(host: bytes, port: int, **hints: int) -> list[object]:
        if "flags" not in hints:  # else it asks whether the name is an address
            host = b"127.0.0.1"
        found = real(host, port, **hints)
        return [(*found[0][:4], nobody), *found]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    with RaviApi(f"http://two.example:{peer.port}", Credential("k", "test")) as api:
        assert api.ask("GET", "x/", timeout_s=20) == []


def test_an_address_of_ipv6_is_called_and_named_in_brackets() -> None:
    peer = Peer("::1")
    with client(peer) as api:
        assert api.ask("GET", "x/", timeout_s=20) == []
    peer.close()

    assert f"\r\nHost: [::1]:{peer.port}\r\n".encode() in peer.requests[0]


def test_a_client_that_is_closed_keeps_no_connection(peer: Peer) -> None:
    began, may_end = threading.Event(), threading.Event()

    def answer(_request: bytes) -> bytes:
        began.set()
        may_end.wait()
        return OK + LENGTH + b"\r\n[]"

    peer.answer = answer
    results: list[object] = []
    api = client(peer)
    caller = threading.Thread(target=lambda: results.append(api.ask("GET", "x/", timeout_s=20)))
    caller.start()
    began.wait()
    api.close()
    may_end.set()
    caller.join()

    # peer.close() would wait for ever for the end of a connection that stays.
    assert results == [[]]


def test_a_deadline_in_the_middle_of_an_answer_may_mean_that_it_still_runs(peer: Peer) -> None:
    peer.answer = lambda _request: OK + b"content-length: 3\r\n\r\n[]"

    with client(peer) as api, pytest.raises(OutcomeUnknownError) as caught:
        api.ask("POST", "x/", {}, timeout_s=0.3)

    assert caught.value.may_still_run


def test_every_failure_is_one_of_ours(peer: Peer) -> None:
    peer.answer = lambda request: request  # an echo

    with client(peer) as api, pytest.raises(RaviError) as caught:
        api.ask("GET", "x/", timeout_s=20)

    assert MANAGEMENT_KEY not in caught.value.lines("test")

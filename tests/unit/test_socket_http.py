"""An engine's Unix socket, as the launcher reads it: forms of answers, and ways to fail."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import docker.errors
import pytest
import requests

from ravi_agent.launcher.docker.socket_api import SocketApi
from ravi_agent.launcher.docker.socket_http import Connection, Request

Serve = Callable[..., "Engine"]
GET = Request("GET", "/v1.41/info", {}, None)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Last(bytes):
    """An answer behind which the engine hangs up."""

    __slots__ = ()


class Engine:
    """Answers each request with the next of `answers`, word for word."""

    def __init__(self, path: str, answers: tuple[bytes, ...]) -> None:
        self.path = path
        self.requests: list[bytes] = []
        self.connections = 0
        self._answers = iter(answers)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.connections += 1
            with client:
                client.settimeout(30)
                while request := self._request(client):
                    self.requests.append(request)
                    answer = next(self._answers, None)
                    if answer is None:  # it was handed something over
                        break
                    client.sendall(answer)
                    if isinstance(answer, Last):
                        break

    @staticmethod
    def _request(client: socket.socket) -> bytes:
        data = b""
        while not data.endswith((b"\r\n\r\n", b"}", b"key\n")):
            if not (some := client.recv(65536)):
                return b""
            data += some
        return data


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    engines = []

    def serve(*answers: bytes) -> Engine:
        engines.append(Engine(str(tmp_path / "s"), answers))
        return engines[-1]

    yield serve
    for one in engines:
        one.close()


@pytest.mark.parametrize(
    ("answer", "body", "is_kept"),
    [
        (WHOLE, b"{}", True),
        (WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"{}", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, b"{}", True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", True),
        (Last(b"HTTP/1.0 200 OK\r\n\r\nto the end"), b"to the end", False),
        (
            CHUNKED + b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n",
            b"abc0123456789",
            True,
        ),
    ],
    ids=["length", "close", "interim", "204", "304", "until the end", "chunked"],
)
def test_a_body_ends_where_its_answer_says(
    serve: Serve, answer: bytes, body: bytes, is_kept: bool
) -> None:
    connection = Connection(serve(answer).path)

    head = connection.ask(GET, 10)

    assert connection.read(head) == body
    assert connection.is_usable is is_kept
    connection.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\n", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", ConnectionResetError),
        (CHUNKED + b"5\r\nab", ConnectionResetError),
        (CHUNKED + b"x\r\n\r\n", HTTPException),
        (CHUNKED + b"1\r\nabc\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", HTTPException),
        (b"SSH-2.0-OpenSSH\r\n", HTTPException),
        (b"HTTP/1.1 200 " + b"x" * 70000, HTTPException),
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(300)), HTTPException),
    ],
    ids=[
        *("nothing", "half a head", "half a body", "half a chunk", "no size", "a longer chunk"),
        *("no length", "no header", "another protocol", "no end of line", "no end of headers"),
    ],
)
def test_an_answer_that_is_none_is_an_error_of_requests(
    serve: Serve, answer: bytes, error: type[Exception]
) -> None:
    api = SocketApi(base_url=f"unix://{serve(Last(answer)).path}", version="1.41", timeout=10)

    with pytest.raises(requests.ConnectionError) as caught:
        api.info()
    api.close()

    assert isinstance(caught.value.__cause__, error)


def test_calls_share_a_connection_until_the_engine_leaves_it(serve: Serve) -> None:
    engine = serve(WHOLE, WHOLE, Last(b"HTTP/1.1 200 OK\r\n\r\n{}"), WHOLE)
    api = SocketApi(base_url=f"unix://{engine.path}", version="1.41", timeout=10)

    for _ in range(4):
        assert api.info() == {}
    api.close()

    assert engine.connections == 2
    first = engine.requests[0].decode().split("\r\n")
    assert first[0] == "GET /v1.41/info HTTP/1.1"
    assert "Host: localhost" in first


def test_a_body_and_what_is_asked_for_arrive_as_the_sdk_means_them(serve: Serve) -> None:
    answer = b'HTTP/1.1 201 Created\r\nContent-Length: 11\r\n\r\n{"Id": "a"}'
    engine = serve(answer, WHOLE)
    api = SocketApi(base_url=f"unix://{engine.path}", version="1.41", timeout=10)

    assert api.create_container("image", name="a b&c", labels={"é": "1"}) == {"Id": "a"}
    sdk: Any = api
    sdk.inspect_distribution("image", auth_config={"username": "u", "password": "p"})
    api.close()

    created, inspected = (one.decode() for one in engine.requests)
    assert created.startswith("POST /v1.41/containers/create?name=a+b%26c HTTP/1.1\r\n")
    head, body = created.split("\r\n\r\n")
    assert f"Content-Length: {len(body)}" in head
    assert "Content-Type: application/json" in head
    assert '"Labels": {"\\u00e9": "1"}' in body
    assert "X-Registry-Auth: eyJ" in inspected


def test_a_refusal_is_the_sdks_error_with_the_engines_words(serve: Serve) -> None:
    words = b'{"message":"no such container: \xc3\xa9"}'
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(words), words)
    api = SocketApi(
        base_url=f"unix://{serve(Last(answer), answer).path}", version="1.41", timeout=10
    )

    with pytest.raises(docker.errors.NotFound) as caught:
        api.inspect_container("a")
    with pytest.raises(docker.errors.NotFound) as hijacked:
        api.hijack("GET", "/containers/a/logs", {}, headers={}, handover=None)
    api.close()

    assert caught.value.explanation == hijacked.value.explanation == "no such container: é"
    assert caught.value.status_code == 404


def test_what_is_asked_for_by_head_has_no_body(serve: Serve) -> None:
    connection = Connection(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").path)

    head = connection.ask(Request("HEAD", "/containers/a/archive", {}, None), 10)

    assert connection.read(head) == b""
    assert connection.is_usable
    connection.close()


def test_a_request_that_would_be_two_is_not_sent(serve: Serve) -> None:
    engine = serve(WHOLE)

    for one in (
        Request("GET", "/a HTTP/1.1\r\nEvil: 1\r\n\r\nGET /b", {}, None),
        Request("GET", "/", {"A": "b\r\nC: d"}, None),
    ):
        connection = Connection(engine.path)
        with pytest.raises(HTTPException):
            connection.ask(one, 10)
        connection.close()

    assert not engine.requests


def test_an_engine_that_does_not_answer_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        api = SocketApi(base_url=f"unix://{tmp_path}/s", version="1.41", timeout=0.1)

        with pytest.raises(requests.ReadTimeout):
            api.info()
        api.close()


def test_what_comes_with_the_head_of_a_stream_is_not_lost(serve: Serve) -> None:
    answer = b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nearly"
    api = SocketApi(base_url=f"unix://{serve(answer).path}", version="1.41", timeout=10)

    taken = api.hijack("POST", "/containers/a/attach", {"stdin": 1}, headers={}, handover=b"key\n")
    api.close()

    assert taken.early == b"early"
    assert not taken.is_chunked
    taken.sock.close()

"""Events over a WebSocket: frame by frame against a peer, and below `ravi inbox wait`."""

import json
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from ravi_agent.credential import Credential
from ravi_agent.errors import AnswerError, OutcomeUnknownError, RefusedError
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi
from ravi_agent.service.api import RaviApi
from ravi_agent.service.deadline import Deadline
from ravi_agent.service.event_socket import EventSocket, check_upgrade, upgrade_headers
from ravi_agent.service.wire import Wire

RAVI = str(Path(sys.executable).with_name("ravi"))


@pytest.fixture
def peer() -> Iterator[tuple[EventSocket, socket.socket]]:
    """An open WebSocket, and the other end of its connection."""
    ours, theirs = socket.socketpair()
    deadline = Deadline()
    with ours, theirs:
        yield EventSocket(Wire(ours, deadline), deadline, "GET x"), theirs


def frame(opcode: int, payload: bytes, *, is_last: bool = True) -> bytes:
    size = len(payload)
    head = bytes([(0x80 if is_last else 0) | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65536:
        return head + b"\x7e" + size.to_bytes(2) + payload
    return head + b"\x7f" + size.to_bytes(8) + payload


# --- frames ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 125, 126, 70_000])
def test_an_event_of_any_size_is_heard(peer: tuple[EventSocket, socket.socket], size: int) -> None:
    listening, theirs = peer
    sender = threading.Thread(target=theirs.sendall, args=(frame(1, b"x" * size),))
    sender.start()

    assert listening.wait(30)
    sender.join()
    assert not listening.wait(0)


def test_an_event_in_pieces_is_heard_when_one_is_whole(
    peer: tuple[EventSocket, socket.socket],
) -> None:
    listening, theirs = peer
    data = frame(1, b"0123456789")
    theirs.sendall(data[:5])

    assert not listening.wait(0.05)
    theirs.sendall(data[5:] + frame(1, b"another"))
    assert listening.wait(30)
    assert listening.wait(0)


def test_a_ping_is_answered_with_its_masked_payload_and_is_no_event(
    peer: tuple[EventSocket, socket.socket],
) -> None:
    listening, theirs = peer
    theirs.sendall(frame(9, b"abc") + frame(10, b""))

    assert not listening.wait(0.05)
    answer = theirs.recv(100)
    assert answer[:2] == bytes([0x8A, 0x83])
    assert bytes(byte ^ answer[2 + place] for place, byte in enumerate(answer[6:])) == b"abc"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (frame(8, b"\x03\xe9"), "closed"),
        (b"\x81\x85abcdhello", "no server sends"),
        (b"\x81\x7f" + (2**40).to_bytes(8), "no server sends"),
    ],
    ids=["closed", "masked", "huge"],
)
def test_a_connection_that_makes_no_sense_is_lost(
    peer: tuple[EventSocket, socket.socket], sent: bytes, why: str
) -> None:
    listening, theirs = peer
    theirs.sendall(sent)

    with pytest.raises(OutcomeUnknownError, match=why):
        listening.wait(30)


def test_a_connection_that_ends_is_lost(peer: tuple[EventSocket, socket.socket]) -> None:
    listening, theirs = peer
    theirs.close()

    with pytest.raises(OutcomeUnknownError, match="closed"):
        listening.wait(30)


def test_a_peer_that_is_silent_is_asked_and_then_given_up(
    peer: tuple[EventSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ravi_agent.service.event_socket._QUIET_S", 0.05)
    listening, theirs = peer

    with pytest.raises(OutcomeUnknownError, match="does not answer"):
        listening.wait(30)
    assert theirs.recv(100)[:2] == bytes([0x89, 0x80])


def test_an_answer_of_something_else_is_no_socket() -> None:
    with pytest.raises(AnswerError, match="no WebSocket"):
        check_upgrade(upgrade_headers(), {"sec-websocket-accept": "x"}, "GET x")


# --- the service -------------------------------------------------------------------------------


@pytest.fixture
def own(local: LocalRavi) -> Record:
    return local.store.create(name="agent", email=None, with_phone=True)


@pytest.fixture
def key(local: LocalRavi, own: Record) -> str:
    return local.store.mint_key(own.uuid, "test")


def mail(local: LocalRavi, to: Record, text: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@shop.example", to.email, "Hello"
    message.set_content(text)
    with smtplib.SMTP(local.host, local.smtp_port, timeout=10) as smtp:
        smtp.send_message(message)


def test_the_service_says_that_mail_came(local: LocalRavi, own: Record, key: str) -> None:
    with RaviApi(local.url, Credential(key, "test"), identity_uuid=own.uuid) as api:
        listening = api.listen(timeout_s=30)
        assert not listening.wait(0)
        mail(local, own, "x")
        assert listening.wait(30)
        listening.close()


def test_a_key_that_is_refused_gets_no_socket(local: LocalRavi) -> None:
    with (
        RaviApi(local.url, Credential("ravi_id_wrong", "test")) as api,
        pytest.raises(RefusedError, match="403"),
    ):
        api.listen(timeout_s=30)


# --- below a wait ------------------------------------------------------------------------------


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a local Ravi, one by one, so that no WebSocket goes through."""

    daemon_threads = True

    def __init__(self, local: LocalRavi, statuses: dict[str, int]) -> None:
        self.upstream, self.statuses = local.url, statuses
        super().__init__(("127.0.0.1", 0), _Passing)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        proxy = self.server
        assert isinstance(proxy, Proxy)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        for path, status in proxy.statuses.items():
            if self.path.startswith(path):
                self._answer(status, b"<html>")
                return
        headers = {name: self.headers[name] for name in ("authorization", "content-type") if
                   self.headers[name]}  # fmt: skip
        url = proxy.upstream + self.path
        passed = httpx.request(self.command, url, content=body, headers=headers)
        self._answer(passed.status_code, passed.content)

    do_PATCH = do_GET  # noqa: N815

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


Waiting = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def waiting(local: LocalRavi, own: Record, key: str, tmp_path: Path) -> Iterator[Waiting]:
    """A wait for a code at a URL, that has looked at the inbox."""
    config = {"identity_uuid": own.uuid, "identity_key": key}
    (tmp_path / "config.json").write_text(json.dumps(config))
    started = []

    def waiting(url: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [RAVI, "inbox", "wait", "--code", "--email", "--timeout", "60s"],
            env={"HOME": str(tmp_path), "RAVI_CONFIG_DIR": str(tmp_path), "RAVI_API_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        asked(local, "/api/email-messages/")
        return process

    yield waiting
    for process in started:
        process.kill()
        process.communicate()


def asked(local: LocalRavi, path: str, times: int = 1) -> None:
    ends = time.monotonic() + 30
    while len(paths(local, path)) < times:
        assert time.monotonic() < ends, f"nobody asked for {path}"
        time.sleep(0.01)


def paths(local: LocalRavi, path: str) -> list[str]:
    found = [str(one["path"]) for one in list(local.requests.entries)]
    return [one for one in found if one.startswith(path)]


def test_a_wait_over_a_socket_looks_twice_however_long_it_takes(
    local: LocalRavi, own: Record, waiting: Waiting
) -> None:
    process = waiting(local.url)
    before = time.monotonic()
    while time.monotonic() < before + 1.5:  # as long as polling would have asked several times
        time.sleep(0.1)
    mail(local, own, "Your code is 271828.")

    assert process.communicate(timeout=60)[0] == "271828\n"
    assert len([one for one in paths(local, "/api/email-messages/") if one.endswith("es/")]) == 2
    assert paths(local, "/api/events/") == []


@pytest.mark.parametrize(
    ("statuses", "has_log"),
    [
        ({"/ws/": 404}, True),
        ({"/ws/": 502}, True),
        ({"/ws/": 200}, True),
        ({"/ws/": 404, "/api/events/": 404}, False),
        ({"/ws/": 502, "/api/events/": 403}, False),
    ],
    ids=str,
)
def test_a_wait_without_a_socket_asks(
    local: LocalRavi, own: Record, waiting: Waiting, statuses: dict[str, int], has_log: bool
) -> None:
    with Proxy(local, statuses) as proxy:
        server = threading.Thread(target=proxy.serve_forever)
        server.start()
        process = waiting(proxy.url)
        asked(local, "/api/events/" if has_log else "/api/email-messages/", 3)
        mail(local, own, "Your code is 271828.")
        printed, complaint = process.communicate(timeout=60)
        proxy.shutdown()
        server.join()

    assert (printed, complaint) == ("271828\n", "")
    assert bool(paths(local, "/api/events/")) is has_log


class Cable:
    """Passes bytes to a local Ravi and back, until it is cut; then it takes new connections."""

    def __init__(self, local: LocalRavi) -> None:
        self._to = (local.host, local.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._to)
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()
        except OSError:
            return  # closed

    @staticmethod
    def _pass(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            return  # cut

    def cut(self) -> None:
        """Reset every connection there is."""
        ends, self._ends = self._ends, []
        for one in ends:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_mail_that_comes_while_the_connection_is_cut_is_found(
    local: LocalRavi, own: Record, waiting: Waiting
) -> None:
    cable = Cable(local)
    process = waiting(cable.url)
    for times in (2, 3):
        cable.cut()
        asked(local, "/api/email-messages/", times)
    cable.cut()
    mail(local, own, "Your code is 271828.")

    assert process.communicate(timeout=60) == ("271828\n", "")
    cable.close()

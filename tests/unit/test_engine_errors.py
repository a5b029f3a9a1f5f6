"""What an engine, or the way to it, does wrong is an error with its cause, and never a bug."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

LAUNCH = str(Path(sys.executable).with_name("ravi-launch"))


class _Engine(BaseHTTPRequestHandler):
    """Says that it is an engine, and answers all else with `content`, whatever that is."""

    protocol_version = "HTTP/1.1"
    content = b""

    def do_GET(self) -> None:
        if self.path.endswith(("/_ping", "/version")):
            body = b'{"ApiVersion": "1.41", "Version": "20.10"}'
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            self.wfile.write(head + body)
            return
        self.wfile.write(self.content)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def engine() -> Iterator[tuple[str, type[_Engine]]]:
    handler = type("Handler", (_Engine,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LAUNCH, *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["nothing", "cut", "chunks", "no JSON", "a gateway", "another program"],
)
def test_an_answer_that_is_no_engine_s_is_an_error(
    engine: tuple[str, type[_Engine]], content: bytes
) -> None:
    url, handler = engine
    handler.content = content

    done = run("ps", "base", "--host", url)

    assert done.returncode == 69, done.stderr
    assert done.stderr.startswith("ravi-launch: error: ")
    assert "bug" not in done.stderr


def test_a_proxy_that_cannot_be_used_is_said_with_what_to_do() -> None:
    done = run("ps", "--host", "tcp://127.0.0.1:1", ALL_PROXY="socks5://127.0.0.1:9")

    assert done.returncode == 69
    assert "SOCKS" in done.stderr
    assert "fix: export NO_PROXY=" in done.stderr

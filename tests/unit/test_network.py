"""What stands between us and the service: TLS, private CAs, proxies."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import trustme
import uvicorn

from conftest import MANAGEMENT_KEY
from ravi_agent.local.app import create_app
from ravi_agent.local.server import LocalRavi
from ravi_agent.local.store import Store


def init(workspace: Path, url: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`ravi-init` as its own process: proxies and CAs are read from its environment."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("ravi-init"))],
        env={
            "PATH": os.environ["PATH"],
            "RAVI_API_URL": url,
            "RAVI_WORKSPACE": str(workspace),
            "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
            "RAVI_PROVISION_TIMEOUT": "5",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_service(authority: trustme.CA, tmp_path: Path) -> Iterator[str]:
    """A local Ravi over TLS, its certificate signed by `authority`."""
    pem = tmp_path / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    store = Store(":memory:")
    config = uvicorn.Config(
        create_app(store, MANAGEMENT_KEY),
        host="localhost",
        port=0,
        ssl_certfile=str(pem),
        log_level="critical",
        lifespan="off",
    )
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    yield f"https://localhost:{sock.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    sock.close()
    store.close()


def test_a_private_ca_is_trusted_where_it_is_named(
    tls_service: str, authority: trustme.CA, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)

    done = init(tmp_path / "workspace", tls_service, SSL_CERT_FILE=str(ca))

    assert done.returncode == 0, done.stderr


def test_a_certificate_that_does_not_verify_is_final_and_said(
    tls_service: str, tmp_path: Path
) -> None:
    done = init(tmp_path / "workspace", tls_service, RAVI_PROVISION_TIMEOUT="60")

    assert done.returncode == 69
    assert "the certificate does not verify" in done.stderr
    assert "  fix: set SSL_CERT_FILE" in done.stderr


def test_a_ca_file_that_is_not_there_is_one_clear_error(tls_service: str, tmp_path: Path) -> None:
    done = init(tmp_path / "workspace", tls_service, SSL_CERT_FILE="/nonexistent.pem")

    assert done.returncode == 69
    assert "SSL_CERT_FILE" in done.stderr
    assert "Traceback" not in done.stderr


class _Proxy(BaseHTTPRequestHandler):
    """Forwards what is asked for by its whole URL, and remembers it."""

    asked: list[str]

    def _forward(self) -> None:
        self.asked.append(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        names = ("authorization", "content-type")
        headers = {name: self.headers[name] for name in names if self.headers[name]}
        with httpx.Client(trust_env=False) as client:
            answer = client.request(self.command, self.path, content=body, headers=headers)
        self.send_response(answer.status_code)
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = _forward  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A forward proxy's URL, and what it has been asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Proxy,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_proxy_of_the_environment_is_used(
    local: LocalRavi, proxy: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = proxy

    done = init(tmp_path / "workspace", local.url, HTTP_PROXY=url)

    assert done.returncode == 0, done.stderr
    assert asked == [
        f"{local.url}/api/identities/",
        f"{local.url}/api/identities/",
        f"{local.url}/api/auth/keys/identity/",
    ]


def test_no_proxy_names_what_goes_past_it(
    local: LocalRavi, proxy: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = proxy

    done = init(tmp_path / "workspace", local.url, HTTP_PROXY=url, NO_PROXY="127.0.0.1")

    assert done.returncode == 0, done.stderr
    assert asked == []


def test_a_proxy_that_is_not_there_is_unreachable(local: LocalRavi, tmp_path: Path) -> None:
    done = init(
        tmp_path / "workspace",
        local.url,
        HTTP_PROXY="http://127.0.0.1:9",
        RAVI_PROVISION_TIMEOUT="1",
    )

    assert done.returncode == 69
    assert list(local.requests.entries) == []


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "[::1],fd00::/8,127.0.0.0/8", "*"])
def test_a_socks_proxy_is_no_matter_where_no_proxy_covers_the_service(
    local: LocalRavi, tmp_path: Path, no_proxy: str
) -> None:
    done = init(
        tmp_path / "workspace",
        local.url,
        ALL_PROXY="socks5://127.0.0.1:9",
        HTTP_PROXY="socks5://127.0.0.1:9",
        NO_PROXY=no_proxy,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"ALL_PROXY": "socks5://user:SECRET@127.0.0.1:9"},
        {"ALL_PROXY": "socks5h://127.0.0.1:9", "NO_PROXY": "[::1],fd00::/8"},
        {"HTTP_PROXY": "http://127.0.0.1:nine"},
        {"HTTP_PROXY": "gopher://127.0.0.1"},
    ],
    ids=["socks", "socks and exceptions for others", "a port that is none", "another protocol"],
)
def test_a_proxy_that_cannot_be_used_is_one_clear_error(
    local: LocalRavi, tmp_path: Path, variables: dict[str, str]
) -> None:
    done = init(tmp_path / "workspace", local.url, **variables)

    assert done.returncode == 69
    assert done.stderr.startswith("ravi-init: error: cannot call 127.0.0.1: ")
    assert "add 127.0.0.1 to NO_PROXY" in done.stderr
    assert "Traceback" not in done.stderr
    assert "SECRET" not in done.stderr
    assert list(local.requests.entries) == []


@pytest.mark.parametrize("no_proxy", ["[::1]", "fd00::/8", "[", "a..b,%,::/0"])
def test_exceptions_for_other_hosts_are_no_error(
    local: LocalRavi, proxy: tuple[str, list[str]], tmp_path: Path, no_proxy: str
) -> None:
    url, asked = proxy

    done = init(tmp_path / "workspace", local.url, HTTP_PROXY=url, NO_PROXY=no_proxy)

    assert done.returncode == 0, done.stderr
    assert asked


@pytest.mark.parametrize(
    "host", ["x" * 64 + ".example", "a..example"], ids=["long label", "empty label"]
)
def test_a_host_that_cannot_be_one_is_unreachable_and_no_bug(tmp_path: Path, host: str) -> None:
    done = init(tmp_path / "workspace", f"https://{host}", RAVI_PROVISION_TIMEOUT="1")

    assert done.returncode == 69, done.stderr
    assert "Traceback" not in done.stderr


def test_a_service_that_is_not_there_is_said_so_while_the_start_goes_on(tmp_path: Path) -> None:
    done = init(tmp_path / "workspace", "http://127.0.0.1:9", RAVI_PROVISION_TIMEOUT="12")

    said = [line for line in done.stderr.splitlines() if "still trying" in line]
    assert len(said) == 2  # after 2 s and after 6 s; the next would come after 14 s
    assert said[0].startswith("ravi-init: warning: still trying 127.0.0.1:9 after 2 s: ")
    assert "Connection refused" in said[0]
    assert done.returncode == 69

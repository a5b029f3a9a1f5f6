"""What stands between us and the service: TLS, private CAs, proxies."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import httpx
import pytest
import trustme
import uvicorn

from conftest import MANAGEMENT_KEY
from listeners import Listener
from ravi_agent.credential import Credential
from ravi_agent.errors import NotSentError, RaviError
from ravi_agent.local.app import create_app
from ravi_agent.local.server import LocalRavi
from ravi_agent.local.store import Store
from ravi_agent.service.api import RaviApi
from ravi_agent.service.tls import tls_context

HASH_CAS = Path(__file__).parents[2] / "images/base/hash-cas"


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
    sock.listen()  # a client that comes before the server runs just waits
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
    assert "through the proxy http://127.0.0.1:9 of HTTP_PROXY: " in done.stderr
    assert "fix: check HTTP_PROXY, or add 127.0.0.1 to NO_PROXY" in done.stderr
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


# --- TLS through a proxy ------------------------------------------------------------------------


class Tunnels(Listener):
    """A proxy that takes CONNECT alone, over TLS if it gets a context; keeps what was asked."""

    def __init__(self, context: ssl.SSLContext | None, answer: bytes) -> None:
        self._context, self._answer = context, answer
        self.heads: list[bytes] = []
        super().__init__()

    def serve(self, near: socket.socket) -> None:
        with near:
            if self._context:
                near = self._context.wrap_socket(near, server_side=True)
            with near:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    if not (byte := near.recv(1)):
                        return
                    head += byte
                self.heads.append(head)
                near.sendall(self._answer)
                if b" 200 " not in self._answer:
                    return
                port = int(head.split()[1].rpartition(b":")[2])
                with socket.create_connection(("localhost", port)) as far:
                    back = self.start(self._pass, far, near)
                    self._pass(near, far)
                    back.join()

    @staticmethod
    def _pass(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            return  # hung up
        finally:
            for end in (one, other):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # hung up


TAKEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def trusting(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """An environment that trusts the authority and names no proxy."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return monkeypatch


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_tls_goes_through_a_proxy_that_may_be_reached_over_tls_itself(
    tls_service: str, authority: trustme.CA, trusting: pytest.MonkeyPatch, scheme: str
) -> None:
    context = None
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    proxy = Tunnels(context, TAKEN)
    trusting.setenv("HTTPS_PROXY", f"{scheme}://us%40er:p%3Aw@127.0.0.1:{proxy.port}")

    with RaviApi(tls_service, Credential(MANAGEMENT_KEY, "test")) as api:
        created = api.create_identity("task-1", with_phone=False)
        assert api.get_identity(created.uuid) == created
    proxy.close()

    (head,) = proxy.heads  # one connection for both calls
    place = tls_service.removeprefix("https://")
    lines = head.decode().split("\r\n")
    assert lines[0] == f"CONNECT {place} HTTP/1.1"
    assert f"Host: {place}" in lines
    assert "Proxy-Authorization: Basic dXNAZXI6cDp3" in lines  # of "us@er:p:w"
    assert "Authorization: Bearer" not in head.decode()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication"),
        (b"HTTP/1.1 503 \x1b[31m\r\n\r\n", "says 503$"),
        (b"", "closed without"),
        (b"SSH-2.0\r\n", "not HTTP"),
        (TAKEN.replace(b"200", b"204") + b"more", "sent more than that"),
    ],
    ids=["407", "a reason for a terminal", "nothing", "another protocol", "more"],
)
def test_a_proxy_that_makes_no_tunnel_leaves_the_request_surely_unsent(
    trusting: pytest.MonkeyPatch, answer: bytes, why: str
) -> None:
    proxy = Tunnels(None, answer)
    trusting.setenv("HTTPS_PROXY", f"http://us:SECRET@127.0.0.1:{proxy.port}")

    with (
        RaviApi("https://ravi.example", Credential(MANAGEMENT_KEY, "test")) as api,
        pytest.raises(NotSentError, match=why) as caught,
    ):
        api.create_identity("task-1", with_phone=False, timeout_s=20)
    proxy.close()

    assert "SECRET" not in caught.value.lines("test")


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (b"407 Proxy Authentication Required", "put the proxy's user and password into https_"),
        (b"403 Forbidden", "check https_proxy, or add ravi.example to NO_PROXY"),
    ],
)
def test_a_proxy_that_refuses_is_not_asked_until_the_deadline(
    tmp_path: Path, status: bytes, fix: str
) -> None:
    refusing = Tunnels(None, b"HTTP/1.1 " + status + b"\r\n\r\n")

    done = init(
        tmp_path / "workspace",
        "https://ravi.example",
        https_proxy=f"http://127.0.0.1:{refusing.port}",
    )
    refusing.close()

    assert done.returncode == 69
    assert status.decode() in done.stderr
    assert fix in done.stderr
    assert "attempts" not in done.stderr


def test_a_plain_call_through_a_proxy_brings_its_user_and_no_tunnel(
    trusting: pytest.MonkeyPatch,
) -> None:
    proxy = Tunnels(None, b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")
    trusting.setenv("HTTP_PROXY", f"http://us:pw@127.0.0.1:{proxy.port}")

    with (
        RaviApi("http://ravi-local:8787", Credential("k", "test")) as api,
        pytest.raises(RaviError, match="407"),
    ):
        api.ask("GET", "x/", timeout_s=20)
    proxy.close()

    lines = proxy.heads[0].decode().split("\r\n")
    assert lines[0] == "GET http://ravi-local:8787/api/x/ HTTP/1.1"
    assert "Host: ravi-local:8787" in lines
    assert "Proxy-Authorization: Basic dXM6cHc=" in lines


# --- whom TLS trusts ----------------------------------------------------------------------------


@pytest.fixture
def packaged(tmp_path: Path, trusting: pytest.MonkeyPatch) -> Path:
    """A package certifi without CAs, found before any other, and no variable that names CAs."""
    package = tmp_path / "packages" / "certifi"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    trusting.syspath_prepend(package.parent)
    trusting.delenv("SSL_CERT_FILE")
    return package


@pytest.mark.parametrize("is_hashed", [False, True], ids=["a bundle", "one by one"])
def test_without_variables_the_cas_of_certifi_are_trusted_and_no_others(
    packaged: Path, tls_service: str, authority: trustme.CA, is_hashed: bool
) -> None:
    others = [trustme.CA(organization_name=f"Other {number}") for number in range(3)]
    bundle = packaged / "cacert.pem"
    for authorities, is_trusted in ((others, False), ([*others, authority], True)):
        bundle.write_bytes(b"\n".join(b"# CA\n" + one.cert_pem.bytes() for one in authorities))
        if is_hashed:
            subprocess.run([HASH_CAS, packaged], check=True)
        with RaviApi(tls_service, Credential(MANAGEMENT_KEY, "test")) as api:
            if is_trusted:
                assert api.ask("GET", "identities/", timeout_s=30) == []
            else:
                with pytest.raises(NotSentError, match="certificate does not verify") as caught:
                    api.ask("GET", "identities/", timeout_s=30)
                assert caught.value.is_final
        # Those of a directory are read when they are needed.
        assert len(tls_context({}).get_ca_certs()) == (0 if is_hashed else len(authorities))
        shutil.rmtree(packaged / "hashed", ignore_errors=True)


def test_the_names_of_hashed_cas_are_as_many_as_the_cas(packaged: Path) -> None:
    shutil.copy(certifi.where(), packaged / "cacert.pem")

    subprocess.run([HASH_CAS, packaged], check=True)

    linked = [one for one in (packaged / "hashed").iterdir() if one.is_symlink()]
    assert len(linked) == (packaged / "cacert.pem").read_text().count("BEGIN CERTIFICATE")


def test_a_certificate_of_another_host_is_not_taken(
    tls_service: str, trusting: pytest.MonkeyPatch
) -> None:
    proxy = Tunnels(None, TAKEN)
    trusting.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    url = tls_service.replace("localhost", "ravi.example")

    with (
        RaviApi(url, Credential(MANAGEMENT_KEY, "test")) as api,
        pytest.raises(NotSentError, match="Hostname mismatch") as caught,
    ):
        api.ask("GET", "identities/", timeout_s=30)
    proxy.close()

    assert caught.value.is_final

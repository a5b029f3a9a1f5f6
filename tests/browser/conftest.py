"""The local Ravi's page in headless Chromium."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from ravi_agent.local.app import WELL_KNOWN_KEY
from ravi_agent.local.server import LocalRavi

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
# A name that is not loopback's: a browser trusts such a page less.
OTHER_NAME = "ravi-local.test"


expect.set_options(timeout=20_000)


class Elsewhere(ThreadingHTTPServer):
    """Every site whose name ends in `.example`, and the paths that it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Foreign)
        self.asked: list[str] = []


class _Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Elsewhere)
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def foreign_sites() -> Iterator[Elsewhere]:
    with Elsewhere() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def elsewhere(foreign_sites: Elsewhere) -> Elsewhere:
    """The foreign sites, which nobody has asked for anything in this test."""
    foreign_sites.asked.clear()
    return foreign_sites


@pytest.fixture(scope="session")
def chromium(foreign_sites: Elsewhere) -> Iterator[Browser]:
    programs = [shutil.which(name) for name in ("chromium", "google-chrome", "chromium-browser")]
    program = next(filter(None, programs), None)
    assert program, "no Chromium: scripts/tools gets it"
    with sync_playwright() as playwright:
        names = f"MAP {OTHER_NAME} 127.0.0.1, MAP *.example 127.0.0.1:{foreign_sites.server_port}"
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-proxy-server", f"--host-resolver-rules={names}"]
        )
        yield browser
        browser.close()


@pytest.fixture
def server() -> Iterator[LocalRavi]:
    with LocalRavi(database=":memory:", management_key=WELL_KNOWN_KEY) as local:
        yield local


@dataclass(frozen=True, kw_only=True)
class Window:
    """A page of the server, and what it asked for and complained of since."""

    page: Page
    url: str
    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.url + path)
        return self.page


def window_of(context: BrowserContext, url: str) -> Window:
    window = Window(page=context.new_page(), url=url)

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            window.complaints.append(message.text)

    context.on("request", lambda request: window.requested.append(request.url))
    window.page.on("console", hear)
    window.page.on("pageerror", lambda error: window.complaints.append(str(error)))
    window.page.set_default_timeout(20_000)
    return window


@pytest.fixture
def window(chromium: Browser, server: LocalRavi) -> Iterator[Window]:
    """A window whose page may ask this server alone, and has nothing to complain of."""
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    opened = window_of(context, server.url)
    yield opened
    context.close()
    elsewhere = [url for url in opened.requested if not url.startswith((server.url, "data:"))]
    assert elsewhere == []
    assert opened.complaints == []


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of this run are kept, in place of those of the last one."""
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    return SCREENSHOTS

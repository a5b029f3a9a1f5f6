"""What people can do with the local Ravi's page, and what mail in it cannot."""

import smtplib
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from browser.conftest import OTHER_NAME, Elsewhere, Window, window_of
from ravi_agent.local.app import WELL_KNOWN_KEY
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi

ACCOUNT = {"Authorization": f"Bearer {WELL_KNOWN_KEY}"}
LONG = "extraordinarily-long-" * 12


@pytest.fixture
def anna(server: LocalRavi) -> Record:
    return server.store.create(name="anna", email="anna", with_phone=True)


def api(server: LocalRavi, method: str, path: str, **body: object) -> httpx.Response:
    answer = httpx.request(method, server.url + path, headers=ACCOUNT, json=body or None)
    assert answer.is_success, answer.text
    return answer


def send_mail(server: LocalRavi, to: str, subject: str, text: str, html: str = "") -> None:
    mail = EmailMessage()
    mail["From"] = "Shop <no-reply@shop.example>"
    mail["Subject"] = subject
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
        mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="invoice.pdf")
    with smtplib.SMTP(server.host, server.smtp_port, timeout=30) as smtp:
        smtp.send_message(mail, "no-reply@shop.example", [to])


def send_sms(server: LocalRavi, to: Record, text: str) -> None:
    body = {"to_number": to.phone, "from_number": "+15557770000", "body": text}
    assert httpx.post(f"{server.url}/local/sms/", json=body).is_success


def messages(page: Page) -> list[str]:
    return page.locator("#messages h3").all_inner_texts()


# --- what comes --------------------------------------------------------------------------------


def test_identities_and_what_they_are_sent_appear_without_a_reload(
    window: Window, server: LocalRavi
) -> None:
    page = window.open()
    page.evaluate("window.isTheSame = true")
    expect(page.locator("#identities")).to_have_text("None.")

    made = api(server, "POST", "/api/identities/", name="bert", provision_phone=True).json()
    expect(page.get_by_role("link", name="bert")).to_be_visible()
    expect(page.locator("#identities")).to_contain_text(made["phone"])
    send_mail(server, made["inbox"], "Hello", "x")
    expect(page.locator("#identities")).to_contain_text("1 unread")
    record = server.store.identity(made["uuid"])
    assert record
    send_sms(server, record, "y")
    expect(page.locator("#identities")).to_contain_text("2 unread")
    api(server, "DELETE", f"/api/identities/{made['uuid']}/")
    expect(page.locator("#identities")).to_have_text("None.")

    assert page.evaluate("window.isTheSame")


def test_messages_appear_while_somebody_types_and_take_nothing_away(
    window: Window, server: LocalRavi, anna: Record
) -> None:
    send_mail(server, anna.email, "First", "Your code is 271828.", "<p>first</p>")
    page = window.open(f"/?identity={anna.uuid}")
    page.frame_locator("iframe").get_by_text("first").wait_for()
    page.evaluate("window.isTheSame = true")
    frame = page.locator("iframe").element_handle()
    field = page.get_by_label("Subject")
    field.fill("half a sen")

    send_mail(server, anna.email, "Second", "x")
    send_sms(server, anna, "Your PIN is 4711.")
    expect(page.locator("#messages > li")).to_have_count(3)
    page.keyboard.type("tence")

    assert messages(page) == ["SMS", "Second", "First"]
    expect(page.locator("#news")).to_contain_text("new.")
    assert field.input_value() == "half a sentence"
    assert frame.evaluate("frame => frame.isConnected"), "a frame that is loaded stays"
    assert page.evaluate("window.isTheSame")


def test_what_has_the_focus_keeps_it_when_it_changes(
    window: Window, server: LocalRavi, anna: Record
) -> None:
    page = window.open()
    page.get_by_role("link", name="anna").focus()

    send_sms(server, anna, "x")
    expect(page.locator("#identities")).to_contain_text("1 unread")

    expect(page.get_by_role("link", name="anna")).to_be_focused()


def test_it_goes_on_after_the_server_was_away(window: Window, chromium: Browser) -> None:
    port, smtp_port = 0, 0
    context = chromium.new_context()
    with LocalRavi(database=":memory:", management_key=WELL_KNOWN_KEY) as first:
        port, smtp_port = first.port, first.smtp_port
        opened = window_of(context, first.url)
        page = opened.open()
        expect(page.locator("#identities")).to_have_text("None.")
    with LocalRavi(
        database=":memory:", management_key=WELL_KNOWN_KEY, port=port, smtp_port=smtp_port
    ) as second:
        second.store.create(name="later", email=None, with_phone=False)
        expect(page.get_by_role("link", name="later")).to_be_visible()
    context.close()


# --- what people do ----------------------------------------------------------------------------


def test_a_code_is_copied(window: Window, server: LocalRavi, anna: Record) -> None:
    send_mail(server, anna.email, "Order 20261126", "Your code is 271828. Total: 1999 EUR, 2026.")
    page = window.open(f"/?identity={anna.uuid}")

    page.get_by_role("button", name="Copy 271828").click()

    expect(page.locator("#news")).to_have_text("Copied 271828.")
    assert page.evaluate("navigator.clipboard.readText()") == "271828"
    expect(page.get_by_role("button", name="Copy")).to_have_count(1)


def test_a_code_is_copied_where_the_browser_has_no_clipboard_to_offer(
    server: LocalRavi, anna: Record, chromium: Browser
) -> None:
    send_sms(server, anna, "Your PIN is 4711.")
    context = chromium.new_context()
    page = window_of(context, f"http://{OTHER_NAME}:{server.port}").open(f"/?identity={anna.uuid}")
    assert page.evaluate("navigator.clipboard") is None

    page.get_by_role("button", name="Copy 4711").click()
    expect(page.locator("#news")).to_have_text("Copied 4711.")
    page.get_by_label("Subject").press("ControlOrMeta+a")
    page.keyboard.press("ControlOrMeta+v")

    assert page.get_by_label("Subject").input_value() == "4711"
    context.close()


def test_the_keyboard_is_enough(window: Window, server: LocalRavi, anna: Record) -> None:
    """Search, open an identity, send it a mail and an SMS, copy the code."""
    server.store.create(name="other", email=None, with_phone=True)
    page = window.open()

    tab_to(page, "Search names, addresses and messages")
    page.keyboard.type("anna")
    enter(page)
    expect(page.locator("#identities > li")).to_have_count(1)
    tab_to(page, "anna")
    enter(page)
    tab_to(page, "Subject")
    page.keyboard.type("Typed")
    tab_to(page, "Send it a mail")
    enter(page)
    expect(page.get_by_text("Sent.")).to_be_visible()
    tab_to(page, "Send it an SMS")
    enter(page)
    expect(page.get_by_role("button", name="Copy 31415")).to_be_visible()
    assert messages(page) == ["SMS", "Typed"]
    tab_to(page, "Copy 31415")
    page.keyboard.press("Enter")

    expect(page.locator("#news")).to_have_text("Copied 31415.")
    (mail,) = server.store.mailbox.mails(anna)
    assert (mail["subject"], mail["from_email"]) == ("Typed", "no-reply@shop.example")


def enter(page: Page) -> None:
    """Press Enter where that leads to another page."""
    with page.expect_navigation():
        page.keyboard.press("Enter")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of that name has the focus, and shows it."""
    page.evaluate("document.activeElement.blur()")
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        now, outline = page.evaluate(
            "(() => { const it = document.activeElement;"
            " return [(it.labels?.[0] ?? it).firstChild?.textContent.trim() ?? '',"
            " getComputedStyle(it).outlineStyle] })()"
        )
        if now == name:
            assert outline == "solid"
            return
        reached.append(now)
    pytest.fail(f"Tab never came to {name}, but to {reached}")


def test_the_keyboard_skips_to_the_content(window: Window) -> None:
    page = window.open()

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()


def test_messages_of_an_identity_are_searched(
    window: Window, server: LocalRavi, anna: Record
) -> None:
    for subject in ("Invoice 12", "Welcome"):
        send_mail(server, anna.email, subject, "x")
    page = window.open(f"/?identity={anna.uuid}")

    page.get_by_label("Search these messages").fill("invoice")
    enter(page)

    expect(page.locator("#messages > li")).to_have_count(1)
    assert messages(page) == ["Invoice 12"]


def test_the_outbox_shows_what_identities_send(
    window: Window, server: LocalRavi, anna: Record
) -> None:
    page = window.open("/local/page/outbox")
    whose = f"?identity={anna.uuid}"

    api(
        server,
        "POST",
        f"/api/email-messages/compose/{whose}",
        to_email="owner@else.example",
        subject="Done",
        content="All done.",
    )
    expect(page.locator("#messages")).to_contain_text("sent: anna@ravi-local.test → owner@else")
    api(server, "POST", f"/api/messages/send/{whose}", to_number="+15550001111", body="ok")
    expect(page.locator("#messages > li")).to_have_count(2)

    send_mail(server, anna.email, "Incoming", "x")
    page = window.open("/local/page/outbox")
    assert messages(page) == ["SMS", "Done"]


def test_the_log_shows_calls_webhooks_and_requests(
    window: Window, server: LocalRavi, anna: Record
) -> None:
    page = window.open("/local/page/log")

    api(server, "POST", "/api/webhook-subscriptions/", url="http://127.0.0.1:9/hook")
    server.store.phones.call(anna, "+15557770000")
    expect(page.locator("#calls")).to_contain_text(f"{anna.phone} → +15557770000, ended")
    expect(page.locator("#webhooks")).to_contain_text("call.started → http://127.0.0.1:9/hook")
    expect(page.locator("#webhooks")).to_contain_text("retrying after 1: ConnectError")

    page = window.open("/local/page/log")
    expect(page.locator("#requests")).to_contain_text("POST /api/webhook-subscriptions/ 201")


def test_a_device_login_appears_and_is_approved(window: Window, server: LocalRavi) -> None:
    page = window.open()
    started = httpx.post(f"{server.url}/api/auth/device/", json={}).json()
    button = page.get_by_role("button", name=f"Approve {started['user_code']}")
    expect(button).to_be_visible()

    button.press("Enter")

    expect(page.get_by_text("The device is logged in.")).to_be_visible()
    redeemed = httpx.post(
        f"{server.url}/api/auth/device/token/", json={"device_code": started["device_code"]}
    )
    assert redeemed.json()["management_key"]
    expect(window.open().get_by_text("Logins to approve")).to_have_count(0)


# --- what mail cannot do -----------------------------------------------------------------------

HOSTILE = """
<html><head><base href="http://tracker.example/"><link rel="stylesheet" href="style.css">
<link rel="dns-prefetch" href="//tracker.example"><link rel="preload" as="image" href="p.png">
<style>@import url(http://tracker.example/import.css); @font-face { font-family: f;
 src: url(http://tracker.example/f.woff) } p { font-family: f; background: url(bg.png) }</style>
<meta http-equiv="refresh" content="0; url=http://tracker.example/refresh">
<script>parent.document.title = "owned"; fetch("http://tracker.example/fetch")</script></head>
<body background="http://tracker.example/body.png" onload="parent.document.title = 'owned'">
<img src="http://tracker.example/pixel.png" srcset="http://tracker.example/2x.png 2x">
<img src="/local/page/log"><video src="http://tracker.example/v.mp4" autoplay
poster="v.png"></video>
<iframe src="http://tracker.example/frame"></iframe><object data="http://tracker.example/o"></object>
<svg><image href="http://tracker.example/svg.png"/></svg><p>Shown all the same</p>
<form action="http://tracker.example/form"><button>Submit</button></form>
<a href="http://tracker.example/link">Click me</a>
<a href="http://tracker.example/top" target="_top">Click me too</a></body></html>
"""


def test_html_mail_is_shown_and_loads_runs_and_opens_nothing(
    server: LocalRavi, anna: Record, chromium: Browser, elsewhere: Elsewhere
) -> None:
    send_mail(server, anna.email, "Hostile", "text", HOSTILE)
    context = chromium.new_context()
    window = window_of(context, server.url)
    page = window.open(f"/?identity={anna.uuid}")
    mail = page.frame_locator("iframe")
    expect(mail.get_by_text("Shown all the same")).to_be_visible()

    for target in ("Submit", "Click me too", "Click me"):
        mail.get_by_text(target, exact=True).click(no_wait_after=True)
    assert (page.title(), page.url) == ("anna · local Ravi", f"{server.url}/?identity={anna.uuid}")
    assert len(context.pages) == 1
    # The last thing asked for: whatever the mail and the clicks led to has come by then.
    page.goto("http://tracker.example/last")
    context.close()

    # What the servers were asked: Chromium reports requests that the page's policy then stops.
    # It asks a site that it has opened for this icon.
    assert [path for path in elsewhere.asked if path != "/favicon.ico"] == ["/last"]
    assert "/local/page/log" not in [entry["path"] for entry in server.requests.entries]


# --- how it looks ------------------------------------------------------------------------------


@pytest.fixture
def furnished(server: LocalRavi, anna: Record) -> dict[str, str]:
    """A server with something of everything; returns its pages by what they are called."""
    server.store.create(name=LONG, email="x" * 64, with_phone=True)
    server.store.create(name="bert", email=None, with_phone=False)
    html = f"<h1>Your code</h1><p>271828</p><table width=1400><tr><td>{LONG}</td></tr></table>"
    send_mail(server, anna.email, f"Confirm {LONG}", f"Your code is 271828.\n{LONG}", html)
    send_sms(server, anna, "Your PIN is 4711.")
    send_sms(server, anna, f"https://shop.example/{LONG}")
    body = {"to_email": "owner@else.example", "subject": "Done", "content": "All done."}
    api(server, "POST", f"/api/email-messages/compose/?identity={anna.uuid}", **body)
    api(server, "POST", "/api/webhook-subscriptions/", url=f"http://127.0.0.1:9/{LONG}")
    server.store.phones.call(anna, "+15557770000")
    server.logins.start()
    return {
        "identities": "/",
        "identity": f"/?identity={anna.uuid}",
        "outbox": "/local/page/outbox",
        "log": "/local/page/log",
        "device": "/device/",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_every_screen(
    server: LocalRavi,
    furnished: dict[str, str],
    chromium: Browser,
    screenshots: Path,
    scheme: Literal["light", "dark"],
) -> None:
    context = chromium.new_context(color_scheme=scheme)
    window = window_of(context, server.url)
    page = window.page
    found, wide = [], []

    for name, path in furnished.items():
        window.open(path)
        found += [
            (name, violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in Axe().run(page).response["violations"]
        ]
        for width in (320, 375, 768, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wide.append((name, width))
            if width in {320, 1280}:
                picture = screenshots / f"{name}-{width}-{scheme}.png"
                page.screenshot(path=picture, full_page=True)
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    context.close()

    assert found == []
    assert wide == []
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert window.complaints == []

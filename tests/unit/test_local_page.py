"""The page of the local Ravi: what people see of the identities, and what it lets them do."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.local.app import WELL_KNOWN_KEY
from ravi_agent.local.cli import DEFAULT_KEY
from ravi_agent.local.mailbox import Mail
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def open_local() -> Iterator[LocalRavi]:
    with LocalRavi(database=":memory:", management_key=WELL_KNOWN_KEY) as server:
        yield server


@pytest.fixture
def anna(open_local: LocalRavi) -> Record:
    return open_local.store.create(name="<b>anna</b>", email="anna", with_phone=True)


@pytest.fixture
def browser(open_local: LocalRavi) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=open_local.url, follow_redirects=True) as session:
        yield session


class Names(HTMLParser):
    """Controls of a page that have no name a screen reader could say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.nameless: list[str] = []
        self._inside_label = 0
        self._open_button = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._inside_label += tag == "label"
        if tag == "input" and named.get("type") != "hidden" and not self._inside_label:
            self.nameless.append(tag)
        if tag == "iframe" and not named.get("title"):
            self.nameless.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._inside_label -= tag == "label"


def mail(owner: Record, **changes: str) -> Mail:
    fields = {
        "from_email": "shop@else.example",
        "to_email": owner.email,
        "subject": "Your code",
        "text_content": "Your code is 271828.",
        "html_content": "",
        "message_id": "<1@else.example>",
        **changes,
    }
    return Mail(**fields)  # type: ignore[arg-type]


def test_the_key_that_opens_the_page_to_all_is_the_default() -> None:
    assert WELL_KNOWN_KEY == DEFAULT_KEY


def test_it_lists_the_identities_and_what_each_was_sent(
    open_local: LocalRavi, browser: httpx.Client, anna: Record
) -> None:
    open_local.store.mailbox.add_mail(anna, mail(anna))
    open_local.store.phones.add_sms(anna, peer="+15557770000", body="Your PIN is 31415.")

    home, own = browser.get("/"), browser.get("/", params={"identity": anna.uuid})

    assert "&lt;b&gt;anna" in home.text
    assert "2 unread" in home.text
    assert f"/?identity={anna.uuid}" in home.text
    assert re.findall(r'data-copy="(\d+)"', own.text) == ["31415", "271828"]
    assert (Names(home.text).nameless, Names(own.text).nameless) == ([], [])
    assert browser.get("/", params={"identity": "nobody"}).status_code == 404


def test_it_finds_identities_by_name_address_and_message(
    open_local: LocalRavi, browser: httpx.Client, anna: Record
) -> None:
    open_local.store.mailbox.add_mail(anna, mail(anna, subject="Rechnung 100%"))
    open_local.store.create(name="other", email="other", with_phone=False)

    def found(query: str) -> list[str]:
        return re.findall(r"(anna|other)@ravi", browser.get("/", params={"q": query}).text)

    assert found("") == ["other", "anna"]
    assert (found("ANNA@"), found("100%"), found("_")) == (["anna"], ["anna"], [])


def test_what_mail_holds_is_text_or_in_a_frame_that_does_nothing(
    open_local: LocalRavi, browser: httpx.Client, anna: Record
) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    message = mail(anna, subject=evil, text_content=evil, html_content=evil, from_email=evil)
    open_local.store.mailbox.add_mail(anna, message)

    page = browser.get("/", params={"identity": anna.uuid})

    assert page.text.count("<script") == 1  # its own
    assert "<img" not in page.text
    assert re.search(r"<iframe sandbox (?!.*allow-)", page.text)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert not re.search(r'(?:src|href)="(?!/|#|data:)', page.text)  # nothing from elsewhere


def test_it_has_a_mail_and_an_sms_arrive(
    open_local: LocalRavi, browser: httpx.Client, anna: Record
) -> None:
    for kind, sender in (("mail", "a@else.example"), ("sms", "+15557770000")):
        form = {"identity": anna.uuid, "from": sender, "subject": "s", "text": "ä 1234"}
        answer = browser.post(f"/local/page/{kind}", data=form)
        assert (answer.status_code, "Sent." in answer.text) == (200, True)

    (received,) = open_local.store.mailbox.mails(anna)
    (sms,) = open_local.store.phones.all_sms(anna)
    assert (received["text_content"], received["from_email"]) == ("ä 1234", "a@else.example")
    assert (sms["body"], sms["from_number"]) == ("ä 1234", "+15557770000")


def test_a_page_of_another_site_sends_no_form(
    open_local: LocalRavi, browser: httpx.Client, anna: Record
) -> None:
    form = {"identity": anna.uuid, "from": "a@else.example", "text": "x"}
    for headers in ({"Origin": "https://evil.example"}, {"Content-Type": "text/plain"}):
        answer = browser.post("/local/page/mail", data=form, headers={**FORM, **headers})
        assert answer.status_code in {403, 415}
    assert open_local.store.mailbox.mails(anna) == []


def test_a_device_login_is_approved_on_it(open_local: LocalRavi, browser: httpx.Client) -> None:
    started = browser.post("/api/auth/device/").json()
    code = started["user_code"]

    assert started["verification_uri"] == f"{open_local.url}/device/"
    assert code in browser.get("/").text
    assert code in browser.get("/device/", params={"user_code": code}).text
    assert browser.post("/device/", data={"user_code": "WRONG"}).status_code == 404
    assert browser.post("/device/", data={"user_code": code}).status_code == 200
    answer = browser.post("/api/auth/device/token/", json={"device_code": started["device_code"]})
    assert answer.json()["management_key"]


def test_it_shows_calls_and_deliveries(
    open_local: LocalRavi, browser: httpx.Client, anna: Record
) -> None:
    headers = {"Authorization": f"Bearer {WELL_KNOWN_KEY}"}
    hook = {"url": "http://127.0.0.1:9/hook"}
    browser.post("/api/webhook-subscriptions/", json=hook, headers=headers)
    open_local.store.phones.call(anna, "+15557770000")

    page = browser.get("/local/page/log").text

    assert "+15557770000" in page
    assert "http://127.0.0.1:9/hook" in page


def test_it_says_at_once_that_something_came(open_local: LocalRavi, anna: Record) -> None:
    with (
        httpx.Client(base_url=open_local.url) as client,
        client.stream("GET", "/local/page/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        open_local.store.mailbox.add_mail(anna, mail(anna))
        assert "event: change" in lines


PAGES = ("/", "/device/", "/local/page/log", "/local/page/events")


def test_where_the_key_is_a_secret_only_who_has_it_sees_the_page(local: LocalRavi) -> None:
    record = local.store.create(name="anna", email=None, with_phone=True)
    form = {"identity": record.uuid, "from": "a@else.example", "text": "x"}
    with httpx.Client(base_url=local.url, follow_redirects=True) as stranger:
        answers = [stranger.get(path) for path in PAGES]
        answers.append(stranger.get("/", params={"identity": record.uuid}))
        answers.append(stranger.post("/local/page/mail", data=form))
        answers.append(stranger.post("/device/", data={"user_code": "x"}))
        answers.append(stranger.post("/local/page/login", data={"key": "wrong"}))
        stranger.cookies.set("ravi_local_page", "forged")
        answers.append(stranger.get("/"))
        assert {answer.status_code for answer in answers} == {401}
        assert not any(record.email in answer.text for answer in answers)
        assert local.store.mailbox.mails(record) == []

    with httpx.Client(base_url=local.url, follow_redirects=True) as owner:
        home = owner.post("/local/page/login", data={"key": MANAGEMENT_KEY})
        assert record.email in home.text
        cookie = home.history[0].headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert MANAGEMENT_KEY.lower() not in cookie

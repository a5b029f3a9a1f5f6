"""The official Python client, `ravi-sdk` from PyPI, unmodified and over the network: each public
method of each resource, with an account's key and with an identity's, beside another identity.
"""

import inspect
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import ravi.resources
from ravi import Ravi, verify_webhook_signature
from ravi.errors import AuthorizationError, NotFoundError
from ravi.models.call import Call
from ravi.models.email import EmailMessage
from ravi.models.identity import Identity
from ravi.models.sms import SmsMessage
from ravi.resources import (
    api_keys,
    contacts,
    domains,
    email,
    events,
    identities,
    passwords,
    phone,
    secrets,
    webhooks,
)

from clients import SDK_VERSION, Cells, check_page
from conftest import MANAGEMENT_KEY
from openapi import Conformance, conformance, hooks
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi

_NUMBERS = itertools.count()
STRANGER = "+15557770000"


@dataclass
class World:
    """A client, its identity, another identity that is here too, and a place for files."""

    local: LocalRavi
    ravi: Ravi
    own: Record
    other: Record
    tmp_path: Path
    inbound: "Inbound"
    left: list[str] = field(default_factory=list)

    @property
    def me(self) -> Identity:
        return self.ravi.identities.get(self.own.uuid)

    @property
    def phone(self) -> phone.Phone:
        channel = self.me.phone
        assert channel
        return channel

    def mail(self, subject: str = "Your code", **changes: Any) -> EmailMessage:
        """A mail from the other identity, as its recipient gets it."""
        with account(self.local) as theirs:
            sender = theirs.identities.get(self.other.uuid)
            sender.email.send(self.own.email, subject, "271828", **changes)
        return self.me.email.inbox()[0]

    def sms(self, body: str = "Your code is 31415.") -> SmsMessage:
        """An SMS from the other identity, as its recipient gets it."""
        with account(self.local) as theirs:
            sender = theirs.identities.get(self.other.uuid).phone
            assert sender
            sender.send(str(self.own.phone), body)
        return self.phone.inbox()[0]


class Inbound:
    """A subscriber's web server: what was posted to it."""

    def __init__(self) -> None:
        self.arrived = threading.Condition()
        self.requests: list[tuple[dict[str, str], bytes]] = []
        inbound = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with inbound.arrived:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    inbound.requests.append((headers, body))
                    inbound.arrived.notify_all()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"thanks")

            def log_message(self, *_: object) -> None:
                """Nothing to the terminal."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def first(self) -> tuple[dict[str, str], bytes]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.requests, 30)
            return self.requests[0]


@pytest.fixture(scope="module")
def service() -> Iterator[LocalRavi]:
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def stated(service: LocalRavi) -> Conformance:
    """Every answer that a client here gets is held against the server's own document."""
    return conformance(service.url)


@pytest.fixture(scope="module")
def inbound() -> Iterator[Inbound]:
    subscriber = Inbound()
    thread = threading.Thread(target=subscriber.server.serve_forever)
    thread.start()
    yield subscriber
    subscriber.server.shutdown()
    thread.join()
    subscriber.server.server_close()


def client(local: LocalRavi, key: str, stated: Conformance | None = None) -> Ravi:
    """As its documentation has it: the host is built in, another comes with `http_client`."""
    http_client = httpx.Client(
        base_url=f"{local.url}/api",
        timeout=30,
        headers={
            "Authorization": f"Bearer {key}",
            "Accept": "application/json",
            "User-Agent": f"ravi-python/{SDK_VERSION}",
        },
        event_hooks=hooks(stated) if stated else {},
    )
    return Ravi(api_key=key, http_client=http_client)


class account:  # noqa: N801 - a `with` of its own
    """The account's client, closed at the end: an `http_client` is closed by whoever made it."""

    def __init__(self, local: LocalRavi) -> None:
        self._ravi = client(local, MANAGEMENT_KEY)

    def __enter__(self) -> Ravi:
        return self._ravi

    def __exit__(self, *_: object) -> None:
        self._ravi._http.close()


Use = Callable[[World], None]
USES: dict[str, Use] = {}
# What an identity's key may not do; the account's key does all but `me`.
REFUSED_TO_IDENTITIES = {
    "Identities.create",
    "Identities.update",
    "Identities.provision_phone",
    "IdentityKeys.list",
    "IdentityKeys.create",
    "IdentityKeys.revoke",
    "ManagementKeys.list",
    "ManagementKeys.create",
    "ManagementKeys.revoke",
}


def use(name: str) -> Callable[[Use], Use]:
    def register(function: Use) -> Use:
        assert name not in USES
        USES[name] = function
        return function

    return register


# --- the account -------------------------------------------------------------------------------


@use("Ravi.me")
def _(world: World) -> None:
    assert world.ravi.me.uuid == world.own.uuid


@use("Identities.create")
def _(world: World) -> None:
    local_part = f"shop{next(_NUMBERS)}"
    made = world.ravi.identities.create(
        name="shopper",
        email_identifier=local_part,
        domain="ravi-local.test",
        provision_phone=True,
    )
    assert (made.name, made.email_address) == ("shopper", f"{local_part}@ravi-local.test")
    assert made.phone
    assert made.phone.number.startswith("+1555")
    assert world.ravi.identities.create().phone is None


@use("Identities.list")
def _(world: World) -> None:
    seen = {identity.uuid for identity in world.ravi.identities.list()}
    assert world.own.uuid in seen


@use("Identities.get")
def _(world: World) -> None:
    found = world.ravi.identities.get(world.own.uuid)
    assert (found.email_address, found.phone_number) == (world.own.email, world.own.phone)
    assert found.email.address == world.own.email


@use("Identities.update")
def _(world: World) -> None:
    assert world.ravi.identities.update(world.own.uuid, name="renamed").name == "renamed"
    assert world.me.name == "renamed"


@use("Identities.provision_phone")
def _(world: World) -> None:
    record = world.local.store.create(name="silent", email=None, with_phone=False)
    uuid = world.own.uuid if world.ravi._api_key != MANAGEMENT_KEY else record.uuid
    assert world.ravi.identities.provision_phone(uuid).phone_number


@use("Identities.set_voice_agent")
def _(world: World) -> None:
    url = "https://voice.example/answer"
    made = world.ravi.identities.set_voice_agent(world.own.uuid, response_url=url)
    again = world.ravi.identities.set_voice_agent(
        world.own.uuid, response_url=url, enabled=False, timeout_seconds=7
    )
    assert made["signing_secret"]
    assert (again["enabled"], again["timeout_seconds"]) == (False, 7)
    assert "signing_secret" not in again


@use("Identities.get_voice_agent")
def _(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.ravi.identities.get_voice_agent(world.own.uuid)
    world.ravi.identities.set_voice_agent(world.own.uuid, response_url="https://voice.example/")
    stated = world.ravi.identities.get_voice_agent(world.own.uuid)
    assert stated["response_url"] == "https://voice.example/"


@use("Domains.list")
def _(world: World) -> None:
    assert [domain.domain for domain in world.ravi.domains.list()] == ["ravi-local.test"]


@use("Events.list")
def _(world: World) -> None:
    world.mail("one")
    world.sms()
    seen = world.me.events.list()
    assert [event.type for event in seen] == ["email.message.received", "sms.message.received"]
    assert world.me.events.list(since=seen[0].seq) == seen[1:]
    assert world.me.events.list(event_types=["sms.message.received"], limit=1) == seen[1:]
    assert seen[1] in world.ravi.events.list(since=seen[0].seq)


@use("IdentityKeys.create")
def _(world: World) -> None:
    made = world.ravi.api_keys.identity.create("laptop", world.own.uuid)
    assert made.key.startswith("ravi_id_")
    mine = client(world.local, made.key)
    assert mine.me.uuid == world.own.uuid
    mine._http.close()


@use("IdentityKeys.list")
def _(world: World) -> None:
    made = world.ravi.api_keys.identity.create("phone", world.own.uuid)
    listed = {key.uuid: key for key in world.ravi.api_keys.identity.list()}
    assert (listed[made.uuid].label, listed[made.uuid].identity) == ("phone", world.own.uuid)
    assert listed[made.uuid].key != made.key


@use("IdentityKeys.revoke")
def _(world: World) -> None:
    made = world.ravi.api_keys.identity.create("lost", world.own.uuid)
    world.ravi.api_keys.identity.revoke(made.uuid)
    assert made.uuid not in {key.uuid for key in world.ravi.api_keys.identity.list()}


@use("ManagementKeys.create")
def _(world: World) -> None:
    made = world.ravi.api_keys.management.create("backup")
    second = client(world.local, made.key)
    assert second.identities.get(world.own.uuid).uuid == world.own.uuid
    second._http.close()


@use("ManagementKeys.list")
def _(world: World) -> None:
    made = world.ravi.api_keys.management.create("listed")
    labels = {key.uuid: key.label for key in world.ravi.api_keys.management.list()}
    assert labels[made.uuid] == "listed"


@use("ManagementKeys.revoke")
def _(world: World) -> None:
    made = world.ravi.api_keys.management.create("revoked")
    world.ravi.api_keys.management.revoke(made.uuid)
    assert made.uuid not in {key.uuid for key in world.ravi.api_keys.management.list()}


# --- email -------------------------------------------------------------------------------------


@use("Email.send")
def _(world: World) -> None:
    file = world.tmp_path / "note.txt"
    file.write_bytes(b"the note")
    sent = world.me.email.send(
        world.other.email,
        "Hello",
        html="<p>1 &lt; 2</p>",
        cc=["x@else.example"],
        bcc=["y@else.example"],
        attachments=[str(file)],
    )
    assert (sent.direction, sent.body, sent.cc) == ("outgoing", "1 < 2", "x@else.example")
    (attachment,) = sent.attachments
    assert (attachment.filename, attachment.size_bytes) == ("note.txt", 8)
    with account(world.local) as theirs:
        arrived = theirs.identities.get(world.other.uuid).email.inbox()[0]
    assert (arrived.subject, arrived.from_display_name) == ("Hello", world.own.name)
    assert [file.filename for file in arrived.attachments] == ["note.txt"]


@use("Email.inbox")
def _(world: World) -> None:
    first = world.mail("one")
    world.mail("two")
    first.mark_read()
    inbox = world.me.email.inbox

    def subjects(**wanted: Any) -> list[str]:
        return [mail.subject for mail in inbox(**wanted)]

    assert subjects() == ["two", "one"]
    assert (subjects(unread=True), subjects(unread=False)) == (["two"], ["one"])
    assert subjects(direction="outgoing") == []
    assert subjects(thread_id=first.thread_id) == ["one"]
    assert subjects(from_email=world.other.email, page=1) == ["two", "one"]


@use("Email.get")
def _(world: World) -> None:
    mail = world.mail()
    assert world.me.email.get(mail.id) == mail


@use("Email.threads")
def _(world: World) -> None:
    mail = world.mail("topic")
    mail.reply("yes")
    (thread,) = world.me.email.threads()
    assert (thread.thread_id, thread.subject) == (mail.thread_id, "topic")
    assert (thread.message_count, thread.unread_count) == (2, 1)


@use("Email.wait_for")
def _(world: World) -> None:
    world.mail("waited for")
    found = world.me.email.wait_for(lambda mail: mail.subject == "waited for", timeout=10)
    assert found.to_email == world.own.email


@use("EmailMessage.reply")
def _(world: World) -> None:
    mail = world.mail("question")
    answer = mail.reply("answer", cc=["x@else.example"])
    assert (answer.to_email, answer.subject) == (world.other.email, "Re: question")
    assert answer.thread_id == mail.thread_id


@use("EmailMessage.reply_all")
def _(world: World) -> None:
    mail = world.mail("question", cc=["x@else.example"])
    answer = mail.reply_all(html="<b>answer</b>")
    assert (answer.to_email, answer.cc) == (world.other.email, "x@else.example")


@use("EmailMessage.forward")
def _(world: World) -> None:
    file = world.tmp_path / "bill.pdf"
    file.write_bytes(bytes(range(256)))
    mail = world.mail("bill", attachments=[str(file)])
    sent_on = mail.forward(world.other.email, "see below")
    assert (sent_on.to_email, sent_on.subject) == (world.other.email, "Fwd: bill")
    assert "271828" in sent_on.body
    assert [file.filename for file in sent_on.attachments] == ["bill.pdf"]


@use("EmailMessage.mark_read")
def _(world: World) -> None:
    mail = world.mail()
    assert mail.mark_read().is_read
    assert world.me.email.get(mail.id).is_read


# --- phone -------------------------------------------------------------------------------------


@use("Phone.send")
def _(world: World) -> None:
    sent = world.phone.send(str(world.other.phone), "Hello")
    assert (sent.direction, sent.from_number) == ("outgoing", world.own.phone)
    assert world.phone.send(STRANGER, "Hello").to_number == STRANGER


@use("Phone.inbox")
def _(world: World) -> None:
    sms = world.sms()
    assert world.phone.inbox() == [sms]
    assert (world.phone.inbox(unread=True), world.phone.inbox(unread=False)) == ([sms], [])


@use("Phone.get")
def _(world: World) -> None:
    sms = world.sms("exactly this")
    assert world.phone.get(sms.id).body == "exactly this"


@use("Phone.conversations")
def _(world: World) -> None:
    world.sms().reply("yes")
    (conversation,) = world.phone.conversations()
    assert (conversation.from_number, conversation.message_count) == (world.other.phone, 2)
    assert (conversation.preview, conversation.unread_count) == ("yes", 1)


@use("Phone.wait_for")
def _(world: World) -> None:
    world.sms("271828")
    assert world.phone.wait_for(lambda sms: "271828" in sms.body, timeout=10)


@use("SmsMessage.reply")
def _(world: World) -> None:
    assert world.sms().reply("yes").to_number == world.other.phone


@use("SmsMessage.mark_read")
def _(world: World) -> None:
    assert world.sms().mark_read().is_read
    assert world.phone.inbox(unread=True) == []


@use("Phone.call")
def _(world: World) -> None:
    call = world.phone.call(STRANGER)
    assert (call.to_number, call.direction, call.status) == (STRANGER, "outgoing", "ended")


@use("Phone.calls")
def _(world: World) -> None:
    call = world.phone.call(STRANGER)
    assert world.phone.calls() == [call]


@use("Call.hangup")
def _(world: World) -> None:
    assert world.phone.call(STRANGER).hangup().status == "ended"


@use("Call.transcript")
def _(world: World) -> None:
    segments = world.phone.call(STRANGER).transcript()
    assert [segment.speaker for segment in segments] == ["agent", "caller"]
    assert [segment.sequence_number for segment in segments] == [0, 1]


# --- what an identity keeps --------------------------------------------------------------------


@use("Passwords.create")
def _(world: World) -> None:
    made = world.me.vault.passwords.create(
        domain="shop.example", username="anna", password="x y", notes="two\nlines"
    )
    assert (made.username, made.password, made.notes) == ("anna", "x y", "two\nlines")
    assert world.me.vault.passwords.create(domain="d").username == world.own.email


@use("Passwords.list")
def _(world: World) -> None:
    made = world.me.vault.passwords.create(domain="shop.example")
    assert world.me.vault.passwords.list() == [made]


@use("Passwords.get")
def _(world: World) -> None:
    made = world.me.vault.passwords.create(domain="shop.example", password="x")
    assert world.me.vault.passwords.get(made.uuid) == made


@use("Passwords.update")
def _(world: World) -> None:
    made = world.me.vault.passwords.create(domain="shop.example", password="x")
    changed = world.me.vault.passwords.update(made.uuid, password="y")
    assert (changed.password, changed.domain) == ("y", "shop.example")


@use("Passwords.delete")
def _(world: World) -> None:
    made = world.me.vault.passwords.create(domain="shop.example")
    world.me.vault.passwords.delete(made.uuid)
    with pytest.raises(NotFoundError):
        world.me.vault.passwords.get(made.uuid)


@use("Passwords.generate")
def _(world: World) -> None:
    generated = [world.me.vault.passwords.generate()["password"] for _ in range(2)]
    assert [len(password) for password in generated] == [16, 16]
    assert len(set(generated)) == 2


@use("Secrets.create")
def _(world: World) -> None:
    made = world.me.vault.secrets.create(key="TOKEN", value="v", notes="n")
    assert (made.key, made.value, made.notes) == ("TOKEN", "v", "n")


@use("Secrets.list")
def _(world: World) -> None:
    made = world.me.vault.secrets.create(key="TOKEN", value="v")
    assert world.me.vault.secrets.list() == [made]


@use("Secrets.get")
def _(world: World) -> None:
    made = world.me.vault.secrets.create(key="TOKEN", value="v")
    assert world.me.vault.secrets.get(made.uuid) == made


@use("Secrets.update")
def _(world: World) -> None:
    made = world.me.vault.secrets.create(key="TOKEN", value="v")
    assert world.me.vault.secrets.update(made.uuid, value="w").value == "w"


@use("Secrets.delete")
def _(world: World) -> None:
    made = world.me.vault.secrets.create(key="TOKEN")
    world.me.vault.secrets.delete(made.uuid)
    assert world.me.vault.secrets.list() == []


@use("Contacts.create")
def _(world: World) -> None:
    made = world.me.contacts.create(email="b@shop.example", display_name="Bert", is_trusted=True)
    assert (made.email, made.is_trusted, made.source) == ("b@shop.example", True, "manual")


@use("Contacts.list")
def _(world: World) -> None:
    for name in ("Anna", "Bert", "Carl"):
        world.me.contacts.create(email=f"{name}@shop.example", display_name=name)

    def names(**wanted: Any) -> list[str]:
        return [contact.display_name for contact in world.me.contacts.list(**wanted)]

    assert names() == ["Anna", "Bert", "Carl"]
    assert names(limit=1, offset=1) == ["Bert"]
    assert names(search="ber") == ["Bert"]


@use("Contacts.get")
def _(world: World) -> None:
    made = world.me.contacts.create(phone_number=STRANGER)
    assert world.me.contacts.get(made.uuid) == made


@use("Contacts.update")
def _(world: World) -> None:
    made = world.me.contacts.create(email="b@shop.example")
    assert world.me.contacts.update(made.uuid, nickname="B").nickname == "B"


@use("Contacts.delete")
def _(world: World) -> None:
    made = world.me.contacts.create(email="b@shop.example")
    world.me.contacts.delete(made.uuid)
    assert world.me.contacts.list() == []


@use("Contacts.find")
def _(world: World) -> None:
    made = world.me.contacts.create(email="B@shop.example", phone_number=STRANGER)
    assert world.me.contacts.find(email="b@shop.example") == made
    assert world.me.contacts.find(phone_number=STRANGER) == made
    with pytest.raises(NotFoundError):
        world.me.contacts.find(email="nobody@shop.example")


@use("Contacts.search")
def _(world: World) -> None:
    made = world.me.contacts.create(email="b@shop.example", nickname="100 %")
    assert world.me.contacts.search("100 %") == [made]
    assert world.me.contacts.search("_") == []


# --- webhooks ----------------------------------------------------------------------------------


@use("Webhooks.create")
def _(world: World) -> None:
    made = world.ravi.webhooks.create(
        url=world.inbound.url, identity_uuid=world.own.uuid, event_types=["email.message.received"]
    )
    world.sms()
    world.mail("hooked")
    headers, body = world.inbound.first()
    verify_webhook_signature(
        body, headers["x-ravi-timestamp"], headers["x-ravi-signature"], made.signing_secret
    )
    event = json.loads(body)
    assert headers["x-ravi-event-id"] == event["id"]
    assert (event["type"], event["data"]["subject"]) == ("email.message.received", "hooked")


@use("Webhooks.list")
def _(world: World) -> None:
    made = world.ravi.webhooks.create(url=world.inbound.url, enabled=False)
    listed = {hook.id: hook for hook in world.ravi.webhooks.list()}
    assert not listed[made.id].enabled
    assert not listed[made.id].signing_secret


@use("Webhooks.get")
def _(world: World) -> None:
    made = world.ravi.webhooks.create(url=world.inbound.url, enabled=False)
    assert world.ravi.webhooks.get(made.id).uuid == made.uuid


@use("Webhooks.update")
def _(world: World) -> None:
    made = world.ravi.webhooks.create(url=world.inbound.url, enabled=False)
    changed = world.ravi.webhooks.update(made.id, event_types=["call.ended"])
    assert (changed.event_types, changed.enabled) == (["call.ended"], False)


@use("Webhooks.delete")
def _(world: World) -> None:
    made = world.ravi.webhooks.create(url=world.inbound.url, enabled=False)
    world.ravi.webhooks.delete(made.id)
    with pytest.raises(NotFoundError):
        world.ravi.webhooks.get(made.id)


@use("WebhookDeliveries.list")
def _(world: World) -> None:
    world.ravi.webhooks.create(url=world.inbound.url, identity_uuid=world.own.uuid)
    world.mail("delivered")
    world.inbound.first()
    newest = world.ravi.webhooks.deliveries.list(page=1)[0]
    assert newest.endpoint_url == world.inbound.url
    assert newest.payload["data"]["subject"] == "delivered"


@use("WebhookDeliveries.get")
def _(world: World) -> None:
    world.ravi.webhooks.create(url=world.inbound.url, identity_uuid=world.own.uuid)
    world.mail()
    newest = world.ravi.webhooks.deliveries.list()[0]
    assert world.ravi.webhooks.deliveries.get(newest.id).event_id == newest.event_id


# --- all of it, with either key ----------------------------------------------------------------

CLASSES = (
    *(identities.Identities, email.Email, phone.Phone, events.Events, domains.Domains),
    *(passwords.Passwords, secrets.Secrets, contacts.Contacts),
    *(webhooks.Webhooks, webhooks.WebhookDeliveries),
    *(api_keys.ManagementKeys, api_keys.IdentityKeys),
    *(EmailMessage, SmsMessage, Call),
)
CELLS: Cells = {}


# The client leaves the files open that it attaches.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO")
@pytest.mark.parametrize("key_kind", ["management key", "identity key"])
@pytest.mark.parametrize("name", USES)
def test_a_method_does_what_it_says(
    service: LocalRavi,
    stated: Conformance,
    inbound: Inbound,
    tmp_path: Path,
    name: str,
    key_kind: str,
) -> None:
    with_identity_key = key_kind == "identity key"
    own, other = (
        service.store.create(name=f"agent {next(_NUMBERS)}", email=None, with_phone=True)
        for _ in range(2)
    )
    key = service.store.mint_key(own.uuid, "test") if with_identity_key else MANAGEMENT_KEY
    sdk = client(service, key, stated)
    with inbound.arrived:
        inbound.requests.clear()
    service.store.db.run("DELETE FROM webhooks")
    world = World(service, sdk, own, other, tmp_path, inbound)
    try:
        if with_identity_key and name in REFUSED_TO_IDENTITIES:
            with pytest.raises(AuthorizationError) as caught:
                USES[name](world)
            assert caught.value.code == "auth.forbidden"
            CELLS[name, key_kind] = "403"
        elif name == "Ravi.me" and not with_identity_key:
            with pytest.raises(RuntimeError, match="Ambiguous"):
                USES[name](world)
            CELLS[name, key_kind] = "✘"
        else:
            USES[name](world)
            CELLS[name, key_kind] = "✔"
    finally:
        sdk._http.close()


def test_every_public_method_of_the_client_is_used() -> None:
    public = {
        f"{owner.__name__}.{name}"
        for owner in CLASSES
        for name, member in vars(owner).items()
        if not name.startswith("_") and inspect.isfunction(member) and name != "model_post_init"
    }

    assert set(USES) == {*public, "Ravi.me"}


def test_no_resource_of_the_client_is_left_out() -> None:
    exported = {getattr(ravi.resources, name) for name in ravi.resources.__all__}

    assert exported - set(CLASSES) <= {ravi.resources.vault.Vault, api_keys.ApiKeys}


def test_the_version_is_the_one_on_pypi() -> None:
    from importlib.metadata import version

    assert version("ravi-sdk") == SDK_VERSION


def test_the_page_says_what_works() -> None:
    """Runs last in this file: a part of it alone measures less, and compares that part."""
    check_page("ravi-sdk", CELLS)

"""SMS and calls over HTTP. `/local/sms/` is the local Ravi's own: how a test has an SMS arrive."""

from ravi_agent.local.endpoints import Call, Endpoint, Who
from ravi_agent.local.fields import FLAG, choice, long_text, text
from ravi_agent.local.mailbox import Message
from ravi_agent.local.pages import Showing
from ravi_agent.local.record import Record
from ravi_agent.local.refusals import RefusalError, StoreError, not_found

_CONVERSATIONS = "/api/sms-inbox/"
_MESSAGES = "/api/messages/"
_CALLS = "/api/calls/"
_NUMBER = r"\+?[0-9A-Za-z]{1,20}"
_SMS_LIMIT = 1_600  # characters, as the networks have it for ten parts


def shown(call: Call, sms: Message) -> Message:
    """An SMS as the service shows it to this caller."""
    return {**sms, "url": call.url(f"{_MESSAGES}{sms['id']}/")}


def _shown_call(call: Call, record: Message) -> Message:
    return {**record, "url": call.url(f"{_CALLS}{record['id']}/")}


def _with_number(call: Call) -> Record:
    if not call.owner.phone:
        raise StoreError("This identity has no phone number.", cause="identity.no_phone")
    return call.owner


def _list_conversations(call: Call) -> object:
    unread_only = bool(call.query.get("has_unread"))
    return call.store.phones.conversation_listing(call.owner, unread_only=unread_only)


def _conversation(call: Call) -> object:
    found = call.store.phones.conversation(call.owner, call.part("id"))
    if found is None:
        raise not_found()
    messages = found["messages"]
    assert isinstance(messages, list)
    return {**found, "messages": [shown(call, sms) for sms in messages]}


def _list(call: Call) -> object:
    listing = call.store.phones.sms_listing(call.owner, **call.query)
    return Showing(listing, lambda sms: shown(call, sms))


def _found(call: Call) -> Message:
    sms = call.store.phones.sms(call.owner, call.part("id"))
    if sms is None:
        raise not_found()
    return sms


def _get(call: Call) -> object:
    return shown(call, _found(call))


def _mark(call: Call) -> object:
    sms = _found(call)
    if "is_read" in call.body:
        call.store.phones.mark_sms(sms["id"], is_read=bool(call.body["is_read"]))
    return _get(call)


def _send(call: Call) -> object:
    """Keep an SMS of the caller's, and give it to the identity here that has the number."""
    owner, number, body = _with_number(call), call.text("to_number"), call.text("body")
    phones = call.store.phones
    with call.store.db.transaction():
        sent = phones.add_sms(owner, peer=number, body=body, is_incoming=False)
        recipient = call.store.identity_at(number)
        if recipient and recipient.phone == number:
            phones.add_sms(recipient, peer=str(owner.phone), body=body)
    return shown(call, sent)


def _receive(call: Call) -> object:
    """An SMS from anybody, as the phone networks let anybody send one."""
    number = call.text("to_number")
    owner = call.store.identity_at(number)
    if owner is None or owner.phone != number:
        raise RefusalError(404, "No identity has this number.")
    peer, body = call.text("from_number"), call.text("body")
    return shown(call, call.store.phones.add_sms(owner, peer=peer, body=body))


def _start_call(call: Call) -> object:
    owner = _with_number(call)
    return _shown_call(call, call.store.phones.call(owner, call.text("to_number")))


def _list_calls(call: Call) -> object:
    listing = call.store.phones.call_listing(call.owner)
    return Showing(listing, lambda record: _shown_call(call, record))


def _found_call(call: Call) -> Message:
    record = call.store.phones.find_call(call.owner, call.part("id"))
    if record is None:
        raise not_found()
    return record


def _get_call(call: Call) -> object:
    return _shown_call(call, _found_call(call))


def _transcript(call: Call) -> object:
    return call.store.phones.transcript(_found_call(call)["id"])


_SMS = {"to_number": text(pattern=_NUMBER).required(), "body": long_text(_SMS_LIMIT).required()}

ENDPOINTS = (
    Endpoint(
        method="GET",
        path=_CONVERSATIONS,
        answer=_list_conversations,
        does="List the identity's SMS conversations, newest first",
        query={"has_unread": FLAG},
        returns="SmsConversation",
        many=True,
    ),
    Endpoint(
        method="GET",
        path=f"{_CONVERSATIONS}{{id}}/",
        answer=_conversation,
        does="Show a conversation with its messages, oldest first",
        returns="SmsConversation",
    ),
    Endpoint(
        method="POST",
        path=f"{_MESSAGES}send/",
        answer=_send,
        does="Send an SMS",
        body=_SMS,
        returns="SmsMessage",
        status=201,
    ),
    Endpoint(
        method="GET",
        path=_MESSAGES,
        answer=_list,
        does="List the identity's SMS, newest first",
        query={"is_read": FLAG, "direction": choice("incoming", "outgoing")},
        returns="SmsMessage",
        many=True,
    ),
    Endpoint(
        method="GET",
        path=f"{_MESSAGES}{{id}}/",
        answer=_get,
        does="Show an SMS",
        returns="SmsMessage",
    ),
    Endpoint(
        method="PATCH",
        path=f"{_MESSAGES}{{id}}/",
        answer=_mark,
        does="Mark an SMS as read or unread",
        body={"is_read": FLAG},
        returns="SmsMessage",
    ),
    Endpoint(
        method="POST",
        path="/local/sms/",
        answer=_receive,
        does="Have an SMS arrive from anywhere",
        who=Who.ANYONE,
        body={"from_number": text(pattern=_NUMBER).required(), **_SMS, "to_number": text()},
        returns="SmsMessage",
        status=201,
    ),
    Endpoint(
        method="POST",
        path=f"{_CALLS}start/",
        answer=_start_call,
        does="Call a number; the call is over at once",
        body={"to_number": _SMS["to_number"]},
        returns="PhoneCall",
        status=201,
    ),
    Endpoint(
        method="GET",
        path=_CALLS,
        answer=_list_calls,
        does="List the identity's calls, newest first",
        returns="PhoneCall",
        many=True,
    ),
    Endpoint(
        method="GET",
        path=f"{_CALLS}{{id}}/",
        answer=_get_call,
        does="Show a call",
        returns="PhoneCall",
    ),
    Endpoint(
        method="POST",
        path=f"{_CALLS}{{id}}/hangup/",
        answer=_get_call,
        does="Hang up; every call here is over already",
        returns="PhoneCall",
    ),
    Endpoint(
        method="GET",
        path=f"{_CALLS}{{id}}/transcript/",
        answer=_transcript,
        does="Show what was said in a call, in order",
        returns="TranscriptSegment",
        many=True,
    ),
)

"""The page of the local Ravi as HTML: no build step, nothing remote, works without scripts.

Elements with `data-key` inside one with `data-live` are what page.js renews: a key names the same
thing for as long as it is there.
"""

from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import quote

Entry = dict[str, object]
# Mail is shown in a frame of its own that runs, loads and sends nothing.
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_PAGES = (("/", "Identities"), ("/local/page/outbox", "Outbox"), ("/local/page/log", "Log"))


def document(title: str, body: str, *, path: str = "") -> str:
    """A whole page; `path` is the one of _PAGES that it is."""
    links = "".join(
        f'<a href="{where}"{" aria-current=page" if where == path else ""}>{name}</a>'
        for where, name in _PAGES
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} · local Ravi</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/local/page/page.css">'
        '<script src="/local/page/page.js" defer></script></head><body>'
        '<a class="skip" href="#main">Skip to the content</a>'
        "<header><h1>Local Ravi</h1><small>These identities are not real: no mail leaves, no phone "
        f'rings.</small></header><nav aria-label="Pages">{links}'
        '<a href="/api/schema/">API</a></nav>'
        f'<main id="main" tabindex="-1"><p id="news" role="status"></p>{body}</main></body></html>'
    )


def login(message: str = "") -> str:
    return document(
        "Log in",
        f'<h2>Log in</h2>{_note(message)}<form method="post" action="/local/page/login">'
        '<label>Management key<input name="key" type="password" autocomplete="off" required>'
        "</label><button>Log in</button></form>",
    )


def identities(entries: Iterable[Entry], logins: Iterable[str], query: str) -> str:
    """All identities, or those in which a text occurs, and the logins that wait for somebody."""
    searched = f"&q={quote(query)}" if query else ""
    rows = [
        _item(
            str(entry["uuid"]),
            f'<a href="/?identity={quote(str(entry["uuid"]))}{searched}">'
            f"{escape(str(entry['name']))}</a><span>{escape(str(entry['inbox']))}</span>"
            f"<span>{escape(str(entry['phone'] or 'no number'))}</span>{_unread(entry['unread'])}",
            css="row",
        )
        for entry in entries
    ]
    return document(
        "Identities",
        f'<div id="logins" data-live>{"".join(_waiting(list(logins)))}</div>'
        f"<h2>Identities</h2>{_search(query, 'Search names, addresses and messages')}"
        f"{_list('identities', rows)}",
        path="/",
    )


def identity(entry: Entry, messages: Iterable[Entry], query: str, message: str = "") -> str:
    """One identity: what came and went, newest first, and forms that have something come."""
    hidden = f'<input type="hidden" name="identity" value="{escape(str(entry["uuid"]))}">'
    mail_form = (
        f'<form method="post" action="/local/page/mail" aria-label="Test mail">{hidden}'
        '<label>From<input name="from" type="email" value="no-reply@shop.example" required></label>'
        '<label>Subject<input name="subject" value="Your code"></label>'
        "<label>Text<textarea name=text required>Your code is 271828.</textarea></label>"
        "<button>Send it a mail</button></form>"
    )
    sms_form = (
        f'<form method="post" action="/local/page/sms" aria-label="Test SMS">{hidden}'
        '<label>From<input name="from" value="+15557770000" required></label>'
        "<label>Text<textarea name=text required>Your code is 31415.</textarea></label>"
        "<button>Send it an SMS</button></form>"
    )
    return document(
        str(entry["name"]),
        f"<h2>{escape(str(entry['name']))}</h2>{_note(message)}<p>{escape(str(entry['inbox']))}"
        f" · {escape(str(entry['phone'] or 'no number'))}</p>{mail_form}"
        f"{sms_form if entry['phone'] else ''}<h2>Messages</h2>"
        f"{_search(query, 'Search these messages', hidden)}"
        f"{_list('messages', [_message(one) for one in messages])}",
    )


def outbox(messages: Iterable[Entry], query: str) -> str:
    """What all identities sent, newest first."""
    return document(
        "Outbox",
        f"<h2>Outbox</h2>{_search(query, 'Search what was sent')}"
        f"{_list('messages', [_message(one) for one in messages])}",
        path="/local/page/outbox",
    )


def log(calls: Iterable[Entry], deliveries: Iterable[Entry], requests: Iterable[Entry]) -> str:
    called = [
        _item(
            str(one["uuid"]),
            f"{escape(str(one['from_number']))} → {escape(str(one['to_number']))},"
            f" {escape(str(one['status']))} {_moment(one['created_dt'])}",
        )
        for one in calls
    ]
    sent = [
        _item(
            str(one["uuid"]),
            f"{escape(str(one['event_type']))} → {escape(str(one['endpoint_url']))},"
            f" {escape(str(one['status']))} after {one['attempts']}:"
            f" {escape(str(one['response_status'] or one['last_error'] or 'not sent yet'))}"
            f" {_moment(one['created_dt'])}",
        )
        for one in deliveries
    ]
    asked = [
        _item(
            str(number),
            f"{escape(str(one['method']))} {escape(str(one['path']))} <b>{one['status']}</b>"
            f" <small>{one['ms']} ms, {escape(str(one['client']))}</small>",
        )
        for number, one in enumerate(requests)
    ]
    return document(
        "Log",
        f"<h2>Phone calls</h2>{_list('calls', called)}<h2>Webhooks</h2>"
        f"{_list('webhooks', sent)}<h2>Requests</h2>{_list('requests', asked, is_live=False)}",
        path="/local/page/log",
    )


def device(code: str, message: str = "") -> str:
    return document("Device login", f"<h2>Device login</h2>{_note(message)}{_approval(code)}")


def _waiting(codes: list[str]) -> Iterator[str]:
    if codes:
        yield '<h2 data-key="heading">Logins to approve</h2>'
    for code in codes:
        yield f'<div data-key="{escape(code)}">{_approval(code)}</div>'


def _approval(code: str) -> str:
    name = f"Approve {code}" if code else "Approve"
    return (
        '<form method="post" action="/device/"><label>Code that the device shows'
        f'<input name="user_code" value="{escape(code)}" required autocomplete="off"></label>'
        f"<button>{escape(name)}</button></form>"
    )


def _search(query: str, label: str, hidden: str = "") -> str:
    return (
        f'<form role="search">{hidden}<label>{label}'
        f'<input type="search" name="q" value="{escape(query)}"></label>'
        "<button>Search</button></form>"
    )


def _list(name: str, items: list[str], *, is_live: bool = True) -> str:
    shown = "".join(items) or '<li data-key="none">None.</li>'
    return f'<ul class="list" id="{name}"{" data-live" if is_live else ""}>{shown}</ul>'


def _item(key: str, content: str, *, css: str = "") -> str:
    return f'<li data-key="{escape(key)}" class="{css}">{content}</li>'


def _message(one: Entry) -> str:
    text, html = str(one["text"]), str(one["html"])
    is_in = one["direction"] == "incoming"
    name = str(one["subject"] or one["kind"])
    copy = (
        f'<button type="button" data-copy="{escape(str(one["code"]))}">'
        f"Copy {escape(str(one['code']))}</button>"
        if one["code"]
        else ""
    )
    frame = (
        f'<iframe sandbox referrerpolicy="no-referrer" title="HTML of {escape(name)}" srcdoc="'
        + escape(f'<meta http-equiv="Content-Security-Policy" content="{_MAIL_POLICY}">{html}')
        + '"></iframe>'
    )
    files = one["files"]
    assert isinstance(files, list)
    attached = "".join(
        f'<a href="{escape(str(file["path"]))}">{escape(str(file["filename"]))}</a>'
        f"<small>{file['size_bytes']} bytes</small>"
        for file in files
    )
    return _item(
        str(one["key"]),
        f'<div class="row"><h3 class="{"" if one["is_read"] else "new"}">{escape(name)}</h3>'
        f"<small>{'received' if is_in else 'sent'}: {escape(str(one['from']))} →"
        f" {escape(str(one['to']))}</small> {_moment(one['created_dt'])}{copy}</div>"
        + (f"<pre>{escape(text)}</pre>" if text else "")
        + (frame if html else "")
        + (f'<div class="row">{attached}</div>' if attached else ""),
    )


def _unread(count: object) -> str:
    return f'<span class="new">{count} unread</span>' if count else ""


def _note(message: str) -> str:
    return f'<p role="status">{escape(message)}</p>' if message else ""


def _moment(value: object) -> str:
    moment = str(value)
    return (
        f'<small><time datetime="{escape(moment)}">{escape(moment[:19].replace("T", " "))} UTC'
        "</time></small>"
    )

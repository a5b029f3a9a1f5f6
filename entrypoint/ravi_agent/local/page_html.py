"""The page of the local Ravi as HTML: no build step, nothing remote, works without scripts."""

import re
from collections.abc import Iterable
from html import escape
from urllib.parse import quote

Entry = dict[str, object]
_CODE = re.compile(r"(?<![\d.,+-])\d{4,8}(?![\d.,-]*\d)")
# Mail is shown in a frame of its own that runs, loads and sends nothing.
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882 }
:root { font: 1rem/1.5 system-ui, sans-serif }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; overflow-wrap: anywhere }
header, nav, form, .row { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center }
h1 { font-size: 1.3rem; margin: 0 } h2 { font-size: 1.1rem } nav { margin: 0 0 1rem }
.list { list-style: none; padding: 0 }
.list > li { border-top: 1px solid var(--line); padding: .6rem 0 }
pre { white-space: pre-wrap; background: var(--soft); padding: .5rem; margin: .4rem 0 }
iframe { width: 100%; height: 14rem; border: 1px solid var(--line); background: #fff }
input, button, textarea { font: inherit; padding: .25rem .5rem; max-width: 100% }
form label { display: flex; flex-direction: column } .new { font-weight: 700 } small { opacity: .8 }
:focus-visible { outline: 3px solid #4a90d9; outline-offset: 2px }
"""
SCRIPT = """
document.addEventListener("click", (event) => {
  const code = event.target.dataset && event.target.dataset.copy
  if (code) navigator.clipboard.writeText(code).then(() => { event.target.textContent = "copied" })
})
const live = new EventSource("/local/page/events")
live.addEventListener("change", () => {
  const typing = document.activeElement && document.activeElement.matches("input, textarea")
  if (!typing) location.reload()
})
"""


def document(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · local Ravi</title>"
        '<link rel="stylesheet" href="/local/page/style.css">'
        '<script src="/local/page/script.js" defer></script></head><body>'
        "<header><h1>Local Ravi</h1><small>These identities are not real: no mail leaves, no phone "
        'rings.</small></header><nav aria-label="Pages"><a href="/">Identities</a>'
        '<a href="/local/page/log">Calls and webhooks</a><a href="/api/schema/">API</a></nav>'
        f"<main>{body}</main></body></html>"
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
    rows = "".join(
        f'<li class="row"><a href="/?identity={quote(str(entry["uuid"]))}">'
        f"{escape(str(entry['name']))}</a><span>{escape(str(entry['inbox']))}</span>"
        f"<span>{escape(str(entry['phone'] or 'no number'))}</span>{_unread(entry['unread'])}</li>"
        for entry in entries
    )
    waiting = "".join(f"<li>{_approval(code)}</li>" for code in logins)
    return document(
        "Identities",
        (f'<h2>Logins to approve</h2><ul class="list">{waiting}</ul>' if waiting else "")
        + '<h2>Identities</h2><form role="search"><label>Search names, addresses and messages'
        f'<input type="search" name="q" value="{escape(query)}"></label><button>Search</button>'
        f'</form><ul class="list">{rows or "<li>None.</li>"}</ul>',
    )


def identity(entry: Entry, messages: Iterable[Entry], message: str = "") -> str:
    """One identity: what came and went, newest first, and forms that have something come."""
    hidden = f'<input type="hidden" name="identity" value="{escape(str(entry["uuid"]))}">'
    mail_form = (
        f'<form method="post" action="/local/page/mail">{hidden}'
        '<label>From<input name="from" type="email" value="no-reply@shop.example" required></label>'
        '<label>Subject<input name="subject" value="Your code"></label>'
        '<label>Text<input name="text" value="Your code is 271828." required></label>'
        "<button>Send it a mail</button></form>"
    )
    sms_form = (
        f'<form method="post" action="/local/page/sms">{hidden}'
        '<label>From<input name="from" value="+15557770000" required></label>'
        '<label>Text<input name="text" value="Your code is 31415." required></label>'
        "<button>Send it an SMS</button></form>"
    )
    shown = "".join(f"<li>{_message(one)}</li>" for one in messages)
    return document(
        str(entry["name"]),
        f"<h2>{escape(str(entry['name']))}</h2>{_note(message)}<p>{escape(str(entry['inbox']))}"
        f" · {escape(str(entry['phone'] or 'no number'))}</p>{mail_form}"
        f"{sms_form if entry['phone'] else ''}<h2>Messages</h2>"
        f'<ul class="list">{shown or "<li>None.</li>"}</ul>',
    )


def log(calls: Iterable[Entry], deliveries: Iterable[Entry]) -> str:
    called = "".join(
        f"<li>{escape(str(call['from_number']))} → {escape(str(call['to_number']))},"
        f" {escape(str(call['status']))} <small>{_moment(call['created_dt'])}</small></li>"
        for call in calls
    )
    sent = "".join(
        f"<li>{escape(str(one['event_type']))} → {escape(str(one['endpoint_url']))},"
        f" {escape(str(one['status']))} after {one['attempts']}"
        f" <small>{escape(str(one['response_status'] or one['last_error']))}</small></li>"
        for one in deliveries
    )
    return document(
        "Calls and webhooks",
        f'<h2>Calls</h2><ul class="list">{called or "<li>None.</li>"}</ul>'
        f'<h2>Webhooks</h2><ul class="list">{sent or "<li>None.</li>"}</ul>',
    )


def device(code: str, message: str = "") -> str:
    return document("Device login", f"<h2>Device login</h2>{_note(message)}{_approval(code)}")


def _approval(code: str) -> str:
    return (
        '<form method="post" action="/device/"><label>Code that the device shows'
        f'<input name="user_code" value="{escape(code)}" required autocomplete="off"></label>'
        "<button>Approve</button></form>"
    )


def _message(one: Entry) -> str:
    text, html = str(one["text"]), str(one["html"])
    is_in = one["direction"] == "incoming"
    head = (
        f'<div class="row"><span class="{"" if one["is_read"] else "new"}">'
        f"{escape(str(one['subject'] or one['kind']))}</span>"
        f"<small>{'from' if is_in else 'to'} {escape(str(one['peer']))} ·"
        f" {_moment(one['created_dt'])}</small>{_copy(text) if is_in else ''}</div>"
    )
    frame = (
        '<iframe sandbox referrerpolicy="no-referrer" title="HTML of this mail" srcdoc="'
        + escape(f'<meta http-equiv="Content-Security-Policy" content="{_MAIL_POLICY}">{html}')
        + '"></iframe>'
    )
    return head + (f"<pre>{escape(text)}</pre>" if text else "") + (frame if html else "")


def _copy(text: str) -> str:
    found = _CODE.search(text)
    if not found:
        return ""
    return f'<button type="button" data-copy="{found[0]}">Copy {found[0]}</button>'


def _unread(count: object) -> str:
    return f'<span class="new">{count} unread</span>' if count else ""


def _note(message: str) -> str:
    return f'<p role="status">{escape(message)}</p>' if message else ""


def _moment(value: object) -> str:
    moment = str(value)[:19]
    return f'<time datetime="{escape(str(value))}">{escape(moment.replace("T", " "))}</time>'

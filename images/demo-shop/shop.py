"""A small shop: who signs up is mailed a code, then texted a second one, and is a customer then.

    shop.py                 serve, until it is stopped
    shop.py wait            wait until the shop is open
    shop.py report COUNT    say whether COUNT customers have signed up, each with its own two codes

Standard library only. Nothing here knows of Ravi, except where its mail and SMS go.
"""

import json
import os
import re
import secrets
import signal
import smtplib
import sys
import time
import urllib.error
import urllib.request
from email.message import EmailMessage
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs

HOST = os.environ.get("SHOP_HOST", "")  # every address of the container
PORT = int(os.environ.get("SHOP_PORT", "8080"))
SMTP = os.environ.get("SHOP_SMTP", "ravi-local:1025")
# Where the telephone network would be: the local Ravi delivers what is posted there.
SMS_URL = os.environ.get("SHOP_SMS_URL", "http://ravi-local:8787/local/sms/")
MAIL_FROM = "no-reply@shop.example"
SMS_FROM = "+15550100200"
TIMEOUT_S = 30.0

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The shop</title>
<h1>The shop</h1>
<p>{said}</p>
{form}</html>
"""
_SIGN_UP = """<form method="post" action="/signup">
<label>Email <input name="email" type="email" required></label>
<label>Phone <input name="phone" type="tel" required></label>
<button>Sign up</button>
</form>
"""
_CONFIRM = """<form method="post" action="/{step}">
<input name="email" type="hidden" value="{email}">
<label>Code <input name="code" inputmode="numeric" required></label>
<button>Confirm</button>
</form>
"""


class RefusedError(Exception):
    """What a customer did cannot be done; `status` is HTTP's."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Account:
    """One customer, from the form to the second code."""

    def __init__(self, email: str, phone: str, mail_code: str, sms_code: str) -> None:
        self.email = email
        self.phone = phone
        self.mail_code = mail_code
        self.sms_code = sms_code
        self.has_email = False
        self.has_phone = False


class Shop:
    """The accounts by their email address. No two codes of a shop are the same."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._accounts: dict[str, Account] = {}
        self._codes: set[str] = set()

    def sign_up(self, email: str, phone: str) -> str:
        """Begin, or begin again; the email code is under way then."""
        if not re.fullmatch(r"[^@\s<>\"&]+@[^@\s<>\"&]+", email):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "That is not an email address.")
        if not re.fullmatch(r"\+[0-9]{7,15}", phone):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "That is not a phone number.")
        with self._lock:
            account = Account(email, phone, self._new_code(), self._new_code())
            self._accounts[email] = account
        mail(account)
        return page(f"We have mailed a code to {email}.", _CONFIRM, step="email", email=email)

    def confirm_email(self, email: str, code: str) -> str:
        """Take the first code; the second one is under way then."""
        account = self._account(email)
        check(code, account.mail_code)
        account.has_email = True
        text(account)
        said = f"We have texted a code to {account.phone}."
        return page(said, _CONFIRM, step="phone", email=email)

    def confirm_phone(self, email: str, code: str) -> str:
        """Take the second code: that is all."""
        account = self._account(email)
        if not account.has_email:
            raise RefusedError(HTTPStatus.CONFLICT, "Confirm your email address first.")
        check(code, account.sms_code)
        account.has_phone = True
        print(f"signed up: {email}, {account.phone}", flush=True)
        return page(f"Welcome, {email}: you are signed up.", "")

    def customers(self) -> list[dict[str, object]]:
        """Everybody who began, as JSON has it."""
        with self._lock:
            return [vars(account) for account in self._accounts.values()]

    def _account(self, email: str) -> Account:
        with self._lock:
            if email not in self._accounts:
                raise RefusedError(HTTPStatus.NOT_FOUND, "Sign up first.")
            return self._accounts[email]

    def _new_code(self) -> str:
        while (code := f"{secrets.randbelow(900_000) + 100_000}") in self._codes:
            pass
        self._codes.add(code)
        return code


def check(given: str, code: str) -> None:
    """Raises RefusedError unless the code is the right one."""
    if not secrets.compare_digest(given.strip().encode(), code.encode()):
        raise RefusedError(HTTPStatus.FORBIDDEN, "That is not the code we sent.")


def mail(account: Account) -> None:
    """Send the first code. Raises OSError or smtplib.SMTPException."""
    message = EmailMessage()
    message["From"], message["To"] = f"The shop <{MAIL_FROM}>", account.email
    message["Subject"] = "Welcome to the shop"
    message.set_content(
        f"Hello,\n\nyour verification code is {account.mail_code}. It is valid for 10 minutes.\n"
    )
    host, _, port = SMTP.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=TIMEOUT_S) as smtp:
        smtp.send_message(message)


def text(account: Account) -> None:
    """Send the second code. Raises OSError."""
    sms = {
        "from_number": SMS_FROM,
        "to_number": account.phone,
        "body": f"The shop: {account.sms_code} is your code. Never share it.",
    }
    request = urllib.request.Request(
        SMS_URL, json.dumps(sms).encode(), {"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=TIMEOUT_S).close()


def page(said: str, form: str, **fields: str) -> str:
    """A page that says something, with a form below."""
    return _PAGE.format(said=said, form=form.format(**fields))


class Handler(BaseHTTPRequestHandler):
    """The shop over HTTP."""

    shop = Shop()
    timeout = TIMEOUT_S

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(HTTPStatus.OK, page("Sign up, and we send you two codes.", _SIGN_UP))
        elif self.path == "/customers":
            self._answer(HTTPStatus.OK, json.dumps(self.shop.customers()), "application/json")
        else:
            self._answer(HTTPStatus.NOT_FOUND, page("There is no such page.", ""))

    def do_POST(self) -> None:
        steps = {"/signup": "phone", "/email": "code", "/phone": "code"}
        length = self.headers.get("content-length", "")
        try:
            if self.path not in steps:
                raise RefusedError(HTTPStatus.NOT_FOUND, "There is no such page.")
            if not length.isdecimal() or int(length) > 10_000:
                raise RefusedError(HTTPStatus.BAD_REQUEST, "Send the form of this page.")
            form = parse_qs(self.rfile.read(int(length)).decode(errors="replace"))
            email, second = (form.get(name, [""])[0] for name in ("email", steps[self.path]))
            act = {
                "/signup": self.shop.sign_up,
                "/email": self.shop.confirm_email,
                "/phone": self.shop.confirm_phone,
            }[self.path]
            self._answer(HTTPStatus.OK, act(email, second))
        except RefusedError as exc:
            self._answer(exc.status, page(str(exc), ""))
        except (OSError, smtplib.SMTPException) as exc:
            self._answer(HTTPStatus.BAD_GATEWAY, page(f"The code could not be sent: {exc}", ""))

    def log_message(self, *_args: object) -> None:
        """Say nothing of each request: the customers are what counts."""

    def _answer(self, status: HTTPStatus, body: str, kind: str = "text/html") -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("content-type", f"{kind}; charset=utf-8")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def serve() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThreadingHTTPServer((HOST, PORT), Handler) as server:
        server.daemon_threads = True
        print(f"the shop is open on port {server.server_port}", flush=True)
        server.serve_forever()


def customers() -> list[dict[str, object]]:
    """The customers of the shop that runs here. Raises OSError."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/customers", timeout=TIMEOUT_S) as answer:
        found: list[dict[str, object]] = json.load(answer)
        return found


def wait() -> None:
    """Return once the shop is open. Raises OSError where it does not open."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            customers()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def report(count: int) -> int:
    """Say what became of so many sign-ups; 0 if all are through with codes of their own."""
    through = [one for one in customers() if one["has_email"] and one["has_phone"]]
    codes = {one[kind] for one in through for kind in ("mail_code", "sms_code")}
    print(f"{len(through)} of {count} signed up at the shop, with {len(codes)} different codes")
    return int(not (len(through) == count and len(codes) == 2 * count))


def main(argv: list[str]) -> int:
    """Run one of the commands above; its exit code."""
    if argv == ["wait"]:
        wait()
    elif argv[:1] == ["report"] and len(argv) == 2:
        return report(int(argv[1]))
    elif argv:
        print(__doc__, file=sys.stderr)
        return os.EX_USAGE
    else:
        serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

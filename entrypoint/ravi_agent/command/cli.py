"""`ravi`: the command line, and how answers and failures are printed."""

import json
import os
import signal
import sys
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ravi_agent.command import calls
from ravi_agent.command.session import Session
from ravi_agent.container.arguments import Parser
from ravi_agent.container.failure import run
from ravi_agent.errors import RaviError, WorkspaceError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

PROGRAM = "ravi"
_DESCRIPTION = (
    "Ravi identities, mail and SMS. The configuration is that of RAVI_CONFIG_DIR, else of the "
    "nearest .ravi from here upwards, else of ~/.ravi."
)


def main() -> None:
    """Console script: prints JSON, an object with `error` on failure; leaves with our codes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        directory = os.getcwd()
    except OSError:
        directory = None  # removed under our feet; RAVI_CONFIG_DIR and home are still there
    run(PROGRAM, lambda: ravi(sys.argv[1:], os.environ, directory))


def ravi(argv: list[str], environ: Mapping[str, str], directory: str | None) -> int:
    """Make one call and print its answer. Raises any RaviError, printed as JSON first."""
    try:
        given = _parser().parse_args(argv)
        answer = given.call(Session(environ, directory), given)
    except RaviError as exc:
        _print(json.dumps({"error": str(exc), **({"fix": exc.fix} if exc.fix else {})}))
        raise
    _print(as_text(answer) if "human" in given else json.dumps(answer, indent=2))
    return 0


def _parser() -> Parser:
    # Both may stand anywhere on the line, so every level takes them, and none sets a default
    # over what another has read.
    output = Parser(add_help=False)
    output.add_argument("--json", action="store_true", default=SUPPRESS, help="the default")
    output.add_argument(
        "--human", action="store_true", default=SUPPRESS, help="text for people to read"
    )
    parser = Parser(prog=PROGRAM, description=_DESCRIPTION, allow_abbrev=False, parents=[output])
    topics = parser.add_subparsers(metavar="COMMAND", required=True)

    def topic(name: str, text: str) -> "_Words":
        added = topics.add_parser(name, help=text, description=text, parents=[output])
        return _Words(added.add_subparsers(metavar="COMMAND", required=True), output)

    identity = topic("identity", "the account's identities")
    identity.add("list", "all of them", calls.list_identities)
    create = identity.add(
        "create", "make one; costs money, and is tried once", calls.create_identity
    )
    create.add_argument("--name", required=True, type=_text, help="what it is called")
    create.add_argument("--email", type=_text, help="local part, or address on a domain of yours")
    create.add_argument("--provision-phone", action="store_true", help="with a phone number")
    use = identity.add("use", "refused: parallel agents would share it", calls.use_identity)
    use.add_argument("uuid", nargs="?", help=SUPPRESS)

    get = topic("get", "what this identity has")
    get.add("email", "its email address", calls.get_email)
    get.add("phone", "its phone number; 1 if it has none", calls.get_phone)
    get.add("owner", "the name of the account's owner", calls.get_owner)

    inbox = topic("inbox", "threads and conversations")
    _add_unread(inbox.add("list", "email and sms together", calls.list_inbox))
    for kind, what in (("email", "thread"), ("sms", "conversation")):
        call = calls.reader(f"{kind}-inbox", "has_unread=true")
        _add_reading(inbox.add(kind, f"{kind} {what}s, or one with its messages", call), what)

    message = topic("message", "single messages")
    email = message.add("email", "mails, one of them, or with --to a new one", calls.message_email)
    _add_reading(email, "message")
    _add_compose(email, is_required=False)
    sms = message.add("sms", "SMS, or one", calls.reader("messages", "is_read=false"))
    _add_reading(sms, "message")

    compose = topic("email", "send mail").add("compose", "a new mail", calls.compose_email)
    _add_compose(compose, is_required=True)
    topic("auth", "who calls").add("status", "key and identity, offline", calls.auth_status)
    return parser


class _Words:
    """The second words behind a first one."""

    def __init__(self, actions: "_SubParsersAction[Parser]", output: Parser) -> None:
        self._actions = actions
        self._output = output

    def add(self, name: str, text: str, call: "calls.Call") -> Parser:
        added = self._actions.add_parser(
            name, help=text, description=text, parents=[self._output], allow_abbrev=False
        )
        added.set_defaults(call=call)
        return added


def _add_unread(parser: Parser) -> None:
    parser.add_argument("--unread", action="store_true", help="only with something unread")


def _add_reading(parser: Parser, what: str) -> None:
    parser.add_argument("id", nargs="?", type=_identifier, help=f"one {what} by its id")
    _add_unread(parser)


def _add_compose(parser: Parser, *, is_required: bool) -> None:
    parser.add_argument("--to", required=is_required, type=_text, help="recipient")
    parser.add_argument("--subject", required=is_required, help="subject")
    parser.add_argument("--body", required=is_required, help="text or HTML")
    parser.add_argument("--cc", help="addresses with commas between them")
    parser.add_argument("--bcc", help="addresses with commas between them")


def _text(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ArgumentTypeError("give printable text")
    return value


def _identifier(value: str) -> str:
    if value in {".", ".."}:  # would lead to another path of the service
        raise ArgumentTypeError("give an id")
    return _text(value)


def as_text(answer: object) -> str:
    """An answer as lines for people; control characters of a mail do not reach the terminal."""
    if isinstance(answer, list):
        return "\n\n".join(map(as_text, answer)) or "nothing"
    if isinstance(answer, dict):
        return "\n".join(f"{name}: {_indented(value)}" for name, value in answer.items())
    text = "" if answer is None else str(answer)
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def _indented(value: object) -> str:
    text = as_text(value)
    return "\n  " + text.replace("\n", "\n  ") if "\n" in text else text


def _print(text: str) -> None:
    data = f"{text}\n".encode(errors="replace")
    try:
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:
        # Whoever reads has stopped early. Only now, because a connection that the service has
        # closed would raise the same signal.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    except OSError as exc:
        raise WorkspaceError(
            "standard output", f"{exc.strerror}; the call itself was made", "free some space"
        ) from None

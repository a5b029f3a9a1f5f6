"""`ravi`: how a command line is carried out, and how answers and failures are printed."""

import json
import os
import signal
import sys

from ravi_agent.command.fields import as_printed
from ravi_agent.command.session import Session
from ravi_agent.command.table import TABLE
from ravi_agent.command.words import PROGRAM
from ravi_agent.container.answer import write_answer
from ravi_agent.container.failure import run
from ravi_agent.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Console script: the answer on standard output, failures on standard error, our codes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        directory = os.getcwd()
    except OSError:
        directory = None  # removed under our feet; RAVI_CONFIG_DIR and home are still there
    run(PROGRAM, lambda: ravi(sys.argv[1:], os.environ, directory))


def ravi(argv: list[str], environ: "Mapping[str, str]", directory: str | None) -> int:
    """Carry out one command and print its answer. Raises any RaviError, having printed nothing."""
    for word in argv:
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise UsageError("command line", f"{word!r} is no UTF-8 text", f"{PROGRAM} --help")
    given = TABLE.parse(argv)
    if isinstance(given, str):
        _write(given)
        return 0
    with Session(environ, directory) as session:
        answer = as_printed(given.command.call(session, given))
    if isinstance(answer, str):  # a code or a link, for $(…)
        _write(f"{answer}\n")
    elif given.is_on("human"):
        _write(f"{as_text(answer)}\n")
    else:
        _write(f"{as_json(answer)}\n")
    return 0


def as_json(answer: object) -> str:
    """An answer as JSON in its own script; control characters that JSON lets pass are escaped."""
    text = json.dumps(answer, indent=2, ensure_ascii=False)
    return text.translate({number: f"\\u{number:04x}" for number in range(0x7F, 0xA0)})


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


def _write(text: str) -> None:
    write_answer(text, done="the call itself was made")

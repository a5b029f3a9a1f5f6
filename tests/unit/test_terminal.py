"""What agents, services and strangers' mails say is text to a terminal, never an instruction."""

import io
import os
import sys
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.lines import last_state
from ravi_agent.launcher.planning.plan import Task
from ravi_agent.launcher.show.for_terminal import VisibleObserver, plain_text, say
from ravi_agent.launcher.show.tables import print_table
from ravi_agent.local.faults import Fault
from ravi_agent.local.mailbox import Mail
from ravi_agent.local.server import LocalRavi
from ravi_agent.terminal import visible
from terminals import run_on_terminal

RAVI = str(Path(sys.executable).with_name("ravi"))
# Writes to the clipboard, renames the window, clears the screen, hides what is before it, and
# shows the rest of the line in another order.
ATTACK = "a\x1b]52;c;ZXZpbA==\x07\x1b]0;t\x07\x1b[2J\x9b31mb\rc\u202egnp.exe\u2028d"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, é, 日本, 👩\u200d💻", "plain text, é, 日本, 👩\u200d💻"),
        ("a\tb\nc", "a\tb\nc"),
        ("one\r\ntwo\r", "one\ntwo"),
        ("10 %\r20 %", "10 %\\x0d20 %"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00\x07\x08\x0b\x0c\x7f", "\\x00\\x07\\x08\\x0b\\x0c\\x7f"),
        ("\x85\x9b", "\\x85\\x9b"),
        ("\u200f\u202e\u2066\u2029", "\\u200f\\u202e\\u2066\\u2029"),
    ],
)
def test_control_characters_are_visible_and_text_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_terminal_gets_text_and_everything_else_the_bytes() -> None:
    for out, shown in ((Terminal(), visible(ATTACK)), (io.StringIO(), ATTACK)):
        say(ATTACK, out)
        plain_text(out).write(ATTACK)
        assert out.getvalue() == f"{shown}\n{shown}"


def test_a_table_on_a_terminal_has_names_and_no_instructions() -> None:
    out = Terminal()
    print_table(("name",), [(ATTACK,)], out)
    assert "\\x1b]52;c;ZXZpbA==\\x07" in out.getvalue()
    assert "\x1b]52" not in out.getvalue()

    pipe = io.StringIO()
    print_table(("name",), [("a\u202eb",)], pipe)
    assert "a\u202eb" in pipe.getvalue()


def test_what_draws_on_a_terminal_is_told_no_instructions() -> None:
    heard: list[str] = []

    class Hearing:
        def changed(self, agent: Agent) -> None:
            heard.append(str(agent.error))

        def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
            del agent, is_error
            heard.append(line)

        def note(self, text: str) -> None:
            heard.append(text)

        def flush(self) -> None:
            """Nothing waits."""

    agent = Agent(task=Task(id="0", index=0, identity_name="n", image="i"), state=State.FAILED)
    agent.error = ATTACK
    observer = VisibleObserver(Hearing())
    observer.changed(agent)
    observer.output(agent, ATTACK, is_error=False)
    observer.note(ATTACK)

    # Of output that writes over itself, the last state.
    assert heard == [visible(ATTACK), visible(last_state(ATTACK)), visible(ATTACK)]
    assert agent.error == ATTACK  # the report for machines has it as it is


@pytest.fixture
def environ(local: LocalRavi, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RAVI_API_URL": local.url,
        "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
    }


@pytest.mark.parametrize("form", ["--json", "--human"])
def test_the_mail_of_a_stranger_is_text_on_a_terminal(
    local: LocalRavi, environ: dict[str, str], form: str
) -> None:
    own = local.store.create(name="agent", email=None, with_phone=False)
    mail = Mail(
        from_email="s@example.com",
        to_email=own.email,
        subject="gnp\u202eexe.evil",
        text_content=f"before{ATTACK}",
        html_content="",
        message_id="<1@example.com>",
    )
    local.store.mailbox.add_mail(own, mail)
    (Path(environ["HOME"]) / ".ravi").mkdir()
    config = Path(environ["HOME"]) / ".ravi/config.json"
    config.write_text(f'{{"identity_uuid": "{own.uuid}"}}')

    code, shown = run_on_terminal([RAVI, "message", "email", form], environ)

    assert code == 0, shown
    assert b"before" in shown
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
    assert "\u202e".encode() not in shown


def test_an_error_that_quotes_the_service_is_text_on_a_terminal(
    local: LocalRavi, environ: dict[str, str]
) -> None:
    local.faults.append(Fault(status=402, body={"detail": f"pay {ATTACK}"}))

    code, shown = run_on_terminal([RAVI, "identity", "list"], environ)

    assert code == 77
    assert b"pay a" in shown
    assert b"\x1b" not in shown
    assert b"\x07" not in shown

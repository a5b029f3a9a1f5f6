"""RAVI_TIMEOUT ends an agent without anybody outside: 124, after TERM and, if need be, KILL."""

import subprocess
import sys
from pathlib import Path

import pytest

import ravi_agent
from ravi_agent import contract
from ravi_agent.container.options import Options
from ravi_agent.errors import SettingsError
from ravi_agent.settings import Settings

EXEC_PHASE = str(Path(ravi_agent.__file__).parent / "container" / "exec_phase.py")


def run(code: str, timeout_s: float | None, **options: object) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of an agent under supervision."""
    asked = Options(
        [sys.executable, "-I", "-c", f"import signal, sys, time\n{code}"],
        **{"grace_s": 8.0, "log": ("info", "text"), **options},  # type: ignore[arg-type]
    )
    asked.timeout_s = timeout_s
    done = subprocess.run(
        [sys.executable, "-IS", EXEC_PHASE, "supervise", *asked.to_words()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_an_agent_that_runs_for_too_long_is_asked_to_go() -> None:
    tidy = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('tidied')))\ntime.sleep(60)"

    code, out, err = run(tidy, 1.0)

    assert (code, out) == (124, "tidied\n")
    assert "still running after 1 s" in err


def test_one_that_does_not_go_is_killed_after_the_grace() -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"

    code, _, err = run(deaf, 0.5, grace_s=0.2)

    assert code == contract.EXIT_TIMED_OUT
    assert "not gone after 0.2 s: SIGKILL" in err


@pytest.mark.parametrize("timeout_s", [None, 60.0])
def test_an_agent_that_ends_in_time_keeps_its_code(timeout_s: float | None) -> None:
    assert run("sys.exit(3)", timeout_s)[0] == 3


def test_the_code_can_be_rewritten_as_any_other() -> None:
    assert run("time.sleep(60)", 0.3, exit_remap={124: 0})[0] == 0


@pytest.mark.parametrize(
    ("text", "timeout_s"), [("", None), ("90", 90.0), ("0.5", 0.5), ("604800", 604800.0)]
)
def test_the_time_is_a_setting(text: str, timeout_s: float | None) -> None:
    assert Settings({"RAVI_TIMEOUT": text}).timeout_s == timeout_s


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf", "1e12"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="RAVI_TIMEOUT"):
        Settings({"RAVI_TIMEOUT": text})

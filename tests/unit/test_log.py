"""Messages on descriptor 2, for people or for machines."""

import json
import os
import subprocess
import sys

import pytest

from ravi_agent.log import LEVELS, Log, write_stderr


def _say_all(log: Log) -> None:
    log.debug("a debug")
    log.info("an info")
    log.warning("a warning")
    log.error("an error")


@pytest.mark.parametrize("level", LEVELS)
def test_only_messages_from_the_level_on_are_written(
    level: str, capfd: pytest.CaptureFixture[str]
) -> None:
    _say_all(Log("ravi-test", level=level))

    captured = capfd.readouterr()
    written = [line.split(": ")[1] for line in captured.err.splitlines()]
    assert written == list(LEVELS[LEVELS.index(level) :])
    assert captured.out == ""


def test_a_line_is_the_program_the_level_and_the_message(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = Log("ravi-test")
    log.info("it goes on")
    log.warning("no phone", "set RAVI_PHONE_POLICY=never")

    assert capfd.readouterr().err == (
        "ravi-test: info: it goes on\n"
        "ravi-test: warning: no phone\n"
        "  fix: set RAVI_PHONE_POLICY=never\n"
    )


def test_for_machines_a_message_is_one_json_object_a_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = Log("ravi-test", level="debug", is_json=True)
    _say_all(log)
    log.error("two\nlines é", 'a "fix"')

    records = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [record["level"] for record in records] == [*LEVELS, "error"]
    assert all(record["program"] == "ravi-test" for record in records)
    assert all(isinstance(record["time"], float) for record in records)
    assert "fix" not in records[0]
    assert (records[-1]["message"], records[-1]["fix"]) == ("two\nlines é", 'a "fix"')


def test_undecodable_bytes_of_a_name_do_not_stop_a_message(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Log("ravi-test").info(os.fsdecode(b"a\xffb"))

    assert capfd.readouterr().err == "ravi-test: info: a?b\n"


def test_a_message_longer_than_a_pipe_is_written_whole() -> None:
    code = "from ravi_agent.log import write_stderr; write_stderr('x' * 1_000_000)"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code], stderr=subprocess.PIPE, check=True, timeout=30
    )

    assert ended.stderr == b"x" * 1_000_000


@pytest.mark.parametrize("how", ["closed", "a pipe nobody reads", "a full disk"])
def test_a_log_that_nobody_takes_stops_nothing(how: str) -> None:
    code = """
import os, sys
from ravi_agent.log import Log
if sys.argv[1] == "closed":
    os.close(2)
elif sys.argv[1] == "a full disk":
    os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
else:
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(reading)
Log("ravi-test").error("lost", "nothing")
print("went on")
"""
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code, how],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
    )

    assert ended.stdout == "went on\n"


def test_an_empty_message_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    write_stderr("")

    assert capfd.readouterr().err == ""

"""`--log-dir`: what each agent has written, in a file of its own."""

import os
from pathlib import Path

import pytest

from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.agents import FINAL, Agent, State
from ravi_agent.launcher.planning.plan import Task
from ravi_agent.launcher.show.log_files import LogFiles


def make_agent(task: str = "0000") -> Agent:
    place = Task(id=task, index=0, identity_name=f"task-{task}", image="my-agent:1")
    return Agent(task=place, state=State.RUNNING)


def end(logs: LogFiles, *agents: Agent) -> None:
    for agent in agents:
        agent.state = State.EXITED
        logs.changed(agent)


def open_files() -> set[str]:
    return {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}


def test_each_agent_has_a_file_with_both_its_streams_in_order(tmp_path: Path) -> None:
    logs = LogFiles(str(tmp_path))
    first, second = make_agent("a"), make_agent("b")
    logs.output(first, "one", is_error=False)
    logs.output(second, "of b", is_error=False)
    logs.output(first, "two: é\u2028", is_error=True)
    logs.output(first, "", is_error=False)
    end(logs, first, second)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "b.log"]
    assert (tmp_path / "a.log").read_bytes() == "one\ntwo: é\u2028\n\n".encode()
    assert (tmp_path / "b.log").read_bytes() == b"of b\n"


def test_what_an_agent_has_said_is_there_at_once(tmp_path: Path) -> None:
    logs, agent = LogFiles(str(tmp_path)), make_agent()
    logs.output(agent, "hello", is_error=False)

    assert (tmp_path / "0000.log").read_text() == "hello\n"
    end(logs, agent)


def test_a_later_start_and_a_later_launcher_go_on_behind(tmp_path: Path) -> None:
    for line in ("one", "two"):
        logs, agent = LogFiles(str(tmp_path)), make_agent()
        logs.output(agent, line, is_error=False)
        agent.begin_again()
        logs.changed(agent)
        logs.output(agent, f"{line} again", is_error=False)
        end(logs, agent)

    assert (tmp_path / "0000.log").read_text() == "one\none again\ntwo\ntwo again\n"


@pytest.mark.parametrize("state", list(State))
def test_a_file_is_open_until_its_agent_has_ended(state: State, tmp_path: Path) -> None:
    logs, agent = LogFiles(str(tmp_path)), make_agent()
    path = os.path.realpath(tmp_path / "0000.log")
    logs.output(agent, "hello", is_error=False)
    assert path in open_files()

    agent.state = state
    logs.changed(agent)
    assert (path in open_files()) == (state not in FINAL)
    end(logs, agent)


def written_again(folder: Path, first: list[str], again: list[str]) -> str:
    """What a file holds whose launcher was killed, once the next one was told all of the log."""
    for asked_at, lines in ((1.0, first), (0.0, again)):
        logs, agent = LogFiles(str(folder)), make_agent()
        agent.container, agent.asked_at = "c", asked_at
        logs.changed(agent)
        for line in lines:
            logs.output(agent, line, is_error=line.startswith("err"))
        for file in logs._files.values():
            file.close()
    return (folder / "0000.log").read_text()


@pytest.mark.parametrize("first", ["line 1", "err 1"])
def test_what_is_told_again_in_another_order_is_there_once(first: str, tmp_path: Path) -> None:
    """An engine's log has no order between the two streams."""
    (tmp_path / "0000.log").write_text("of an earlier start\n")
    begun = ["line 1", "err 1", "line 2"]
    again = [first, *(line for line in begun if line != first), "err 2"]

    assert written_again(tmp_path, begun, again).splitlines() == ["of an earlier start", *again]


def test_a_log_that_has_lost_its_beginning_goes_on_behind_that(tmp_path: Path) -> None:
    lost = [f"{number} ".ljust(100_000, "x") for number in range(30)]

    text = written_again(tmp_path, [*lost, "kept"], ["kept", "new"])

    assert text.splitlines() == [*lost, "kept", "new"]


def test_an_agent_that_says_nothing_has_no_file_and_notes_are_nobody_s(tmp_path: Path) -> None:
    logs = LogFiles(str(tmp_path))
    logs.note("the engine is back")
    end(logs, make_agent())

    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_made_is_its_owner_s_alone(tmp_path: Path) -> None:
    LogFiles(str(tmp_path / "runs" / "nightly"))

    assert (tmp_path / "runs" / "nightly").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_is_there_is_used_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    LogFiles(str(tmp_path))

    assert tmp_path.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("name", "why"), [("file", "File exists"), ("file/logs", "Not a directory")]
)
def test_where_no_directory_can_be_it_is_refused_before_a_start(
    name: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError) as caught:
        LogFiles(str(tmp_path / name))

    assert str(caught.value) == f"--log-dir {tmp_path}/{name}: {why}"
    assert caught.value.exit_code == 64


def test_a_directory_that_cannot_be_written_is_refused_before_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root, as whom these tests may run, writes everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(UsageError, match="it cannot be written"):
        LogFiles(str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
@pytest.mark.parametrize("planted", ["the directory", "a link to it", "a file", "a link in it"])
def test_what_another_user_has_put_there_first_is_refused(tmp_path: Path, planted: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "secret").write_text("mine")
    logs = tmp_path / "logs"
    if planted == "a link to it":
        logs.symlink_to(victim)
    else:
        logs.mkdir()
    if planted == "a file":
        (logs / "0000.log").touch()
        os.chown(logs / "0000.log", 4711, 4711)
    if planted == "a link in it":
        (logs / "0000.log").symlink_to(victim / "secret")
    if planted in {"the directory", "a link to it"}:
        os.chown(logs, 4711, 4711, follow_symlinks=False)

    with pytest.raises(UsageError) as caught:
        LogFiles(str(logs / "deeper") if planted == "a link to it" else str(logs))

    assert caught.value.fix == "--log-dir DIR, one that only you can write"
    assert (victim / "secret").read_text() == "mine"


def test_a_directory_that_everybody_can_write_is_refused_unless_it_is_like_tmp(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(UsageError, match="everybody can write it"):
        LogFiles(str(tmp_path))
    tmp_path.chmod(0o1777)

    LogFiles(str(tmp_path))


def test_a_link_that_comes_while_the_run_goes_on_is_not_followed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logs = LogFiles(str(tmp_path / "logs"))
    (tmp_path / "logs/0000.log").symlink_to(tmp_path / "victim")

    logs.output(make_agent(), "hello", is_error=False)

    assert not (tmp_path / "victim").exists()
    assert "no more is written there" in capfd.readouterr().err

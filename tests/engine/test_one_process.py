"""A start without a key of the account is one process from the first instruction on."""

from docker.models.containers import Container

from engine.conftest import Start, execute, wait_for_output

UP = ("sh", "-c", "if [ -e up ]; then echo up again; fi; echo up >>up; cat up; exec sleep 600")


def is_one_process(container: Container) -> bool:
    return "exec_phase.py" not in execute(container, "cat", "/proc/1/cmdline")


def started_again(container: Container) -> None:
    """Restart it, now that its workspace is provisioned."""
    wait_for_output(container, "up")
    container.restart(timeout=10)
    wait_for_output(container, "up again")


def test_a_key_in_the_mounted_file_is_executed_away_and_later_not_read(start: Start) -> None:
    container = start(*UP)
    wait_for_output(container, "up")
    assert not is_one_process(container)

    started_again(container)
    assert is_one_process(container)


def test_root_in_the_container_can_still_look_into_it_and_write_to_its_log(start: Start) -> None:
    """Stepping down for a while makes a process undumpable, and execve(2) would undo that."""
    container = start(*UP)
    started_again(container)
    assert is_one_process(container)

    execute(container, "sh", "-c", "echo from outside >/proc/1/fd/1")
    wait_for_output(container, "from outside")
    descriptors = execute(container, "ls", "-l", "/proc/1/fd")
    assert {line.split()[-3] for line in descriptors.splitlines()[1:]} == {"0", "1", "2"}


def test_the_agent_cannot_read_its_memory_or_its_variables(start: Start) -> None:
    container = start(*UP)
    started_again(container)
    assert is_one_process(container)

    # In one stream: the engine has no order between two.
    look = "exec 2>&1; cat /proc/1/environ; head -c1 /proc/1/mem; ls /proc/1/fd; id -u"
    output = container.exec_run(["sh", "-c", look], user="agent").output
    assert isinstance(output, bytes)
    *refused, uid = output.splitlines()
    assert uid == b"1000"
    assert [b"Permission denied" in line for line in refused] == [True] * 3


def test_it_takes_little_memory_while_the_agent_runs(start: Start) -> None:
    container = start(*UP)
    started_again(container)
    assert is_one_process(container)

    fields = execute(container, "grep", "Private_Dirty", "/proc/1/smaps_rollup").split()
    assert 0 < int(fields[1]) <= 3500

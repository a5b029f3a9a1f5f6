"""Two live agents that are one identity: said where it can be seen, and never in the way."""

import os
import uuid
from collections.abc import Iterator

import docker
import pytest
from docker.models.volumes import Volume

from engine.conftest import PREFIX, Run, Start, execute, wait_for_output
from ravi_agent.local.server import LocalRavi

UP = ("sh", "-c", "echo up; exec sleep 600")
AS_ROOT_AND_NOT = [pytest.param({}, id="root"), pytest.param({"user": "1000:1000"}, id="uid 1000")]


@pytest.fixture
def volume(client: docker.DockerClient) -> Iterator[Volume]:
    made = client.volumes.create(PREFIX + uuid.uuid4().hex[:12])
    yield made
    for container in client.containers.list(all=True, filters={"volume": made.name}):
        container.remove(force=True)
    made.remove(force=True)


def speaks_of_another(text: str) -> bool:
    return any(
        part in text for part in ("another agent runs", "came with the image", "was there already")
    )


def shared(volume: Volume, mode: str = "rw") -> dict[str, dict[str, str]]:
    return {str(volume.name): {"bind": "/workspace", "mode": mode}}


# --- a volume ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", AS_ROOT_AND_NOT)
def test_a_second_agent_in_a_volume_is_told_of_the_first_for_as_long_as_that_runs(
    start: Start, run: Run, volume: Volume, options: dict[str, str]
) -> None:
    first = start(*UP, volumes=shared(volume))  # root provisions: the key is its own alone
    wait_for_output(first, "up")
    if options:
        first.remove(force=True)
        first = start(*UP, volumes=shared(volume), with_key=False, **options)
        wait_for_output(first, "up")

    second = run("true", volumes=shared(volume), with_key=False, **options)

    assert second.code == 0
    assert "another agent runs in /workspace" in second.stderr
    assert f"the host name {str(first.id)[:12]}" in second.stderr
    assert "\n  fix: give each container a volume of its own" in second.stderr
    assert not speaks_of_another(first.logs().decode())
    first.kill()
    first.wait()
    third = run("true", volumes=shared(volume), with_key=False, **options)
    assert (third.code, speaks_of_another(third.stderr)) == (0, False), third.stderr


def test_an_init_container_a_restart_and_a_new_container_are_no_second_agent(
    start: Start, run: Run, client: docker.DockerClient, volume: Volume
) -> None:
    provisioned = run(image="ravi-init", volumes=shared(volume), user="root")
    assert provisioned.code == 0, provisioned.stderr
    agent = start(*UP, volumes=shared(volume), with_key=False)
    wait_for_output(agent, "up")

    agent.restart(timeout=20)
    agent.kill()
    agent.start()
    agent.stop(timeout=20)
    later = run("true", volumes=shared(volume), with_key=False)

    assert later.code == 0
    assert not speaks_of_another(agent.logs().decode() + later.stderr)


def test_a_second_program_in_the_same_container_is_no_second_agent(
    start: Start, volume: Volume
) -> None:
    agent = start(*UP, volumes=shared(volume))
    wait_for_output(agent, "up")

    said = execute(agent, "/opt/ravi/bin/ravi-entrypoint", "echo", "done")

    assert said.endswith("done")
    assert not speaks_of_another(said)


def test_a_volume_that_cannot_be_written_is_no_obstacle(
    start: Start, run: Run, volume: Volume
) -> None:
    assert run("true", volumes=shared(volume)).code == 0

    ran = run("true", volumes=shared(volume, "ro"), with_key=False)

    assert (ran.code, speaks_of_another(ran.stderr)) == (0, False), ran.stderr


@pytest.mark.parametrize("options", AS_ROOT_AND_NOT)
def test_no_program_of_the_agent_s_has_the_lock(
    start: Start, run: Run, volume: Volume, options: dict[str, str]
) -> None:
    """It is PID 1's alone: what outlives an agent must not look like one."""
    assert run("true", volumes=shared(volume)).code == 0
    agent = start(
        *("sh", "-c", "ls -l /proc/self/fd; echo up; exec sleep 600"),
        volumes=shared(volume),
        with_key=False,
        cap_add=["SYS_PTRACE"],  # for root, to look into PID 1
        **options,
    )

    assert "holder" not in wait_for_output(agent, "up")
    own = agent.exec_run(["sh", "-c", "ls -l /proc/1/fd"], user="root").output
    assert isinstance(own, bytes)
    assert b"/workspace/.ravi/holder" in own


def test_what_an_agent_writes_in_the_holder_s_place_is_only_text(
    start: Start, run: Run, volume: Volume
) -> None:
    first = start(
        *("sh", "-c", r"printf '\033[2Jravi-entrypoint: error' >.ravi/holder; echo up; sleep 600"),
        volumes=shared(volume),
    )
    wait_for_output(first, "up")
    assert "the host name ?" in run("true", volumes=shared(volume), with_key=False).stderr

    for trap in ("mkfifo .ravi/holder", "ln -s /etc/passwd .ravi/holder", "mkdir .ravi/holder"):
        first.kill()
        first.wait()
        trapped = run(
            *("sh", "-c", f"rm -rf .ravi/holder; {trap}; exec true"),
            volumes=shared(volume),
            with_key=False,
        )
        assert trapped.code == 0, trapped.stderr
        ran = run("true", volumes=shared(volume), with_key=False)
        assert (ran.code, speaks_of_another(ran.stderr)) == (0, False), ran.stderr
        first.start()


# --- an image ----------------------------------------------------------------------------------


def test_a_clone_by_docker_commit_says_whose_identity_it_has(
    client: docker.DockerClient, start: Start, run: Run
) -> None:
    first = start(*UP)
    wait_for_output(first, "up")
    name = f"task-{str(first.id)[:12]}"
    image = first.commit()
    try:
        clone = run("true", image=image.id)
        meant = run("true", image=image.id, environment={"RAVI_IDENTITY_NAME": name})
    finally:
        client.images.remove(str(image.id), force=True)

    assert clone.code == 0
    assert f"came with the image: every container of that image is {name}" in clone.stderr
    assert f"RAVI_IDENTITY_NAME={name}" in clone.stderr
    assert (meant.code, speaks_of_another(meant.stderr)) == (0, False), meant.stderr


def test_a_container_that_is_restarted_came_with_no_image(start: Start) -> None:
    agent = start(*UP)
    wait_for_output(agent, "up")

    agent.restart(timeout=20)
    wait_for_output(agent, "SIGTERM after SIGTERM\nravi-entrypoint: info: task-")

    assert not speaks_of_another(agent.logs().decode())


# --- a host name -------------------------------------------------------------------------------


def test_two_containers_on_the_host_s_network_are_told_that_its_name_is_both_of_theirs(
    start: Start, run: Run, service: LocalRavi
) -> None:
    first = start(*UP, network_mode="host")
    wait_for_output(first, "up")

    second = run("printenv", "RAVI_IDENTITY_NAME", network_mode="host")
    named = run("true", network_mode="host", environment={"RAVI_IDENTITY_NAME": "task-2"})
    again = run("true", network_mode="host", environment={"RAVI_IDENTITY_NAME": "task-2"})

    name = f"task-{os.uname().nodename}"
    assert (second.code, second.stdout) == (0, f"{name}\n"), second.stderr  # adopted all the same
    assert f"{name} was there already, and this host's name is all that led to it" in second.stderr
    assert "\n  fix: set RAVI_IDENTITY_NAME" in second.stderr
    for quiet in (named, again):
        assert (quiet.code, speaks_of_another(quiet.stderr)) == (0, False), quiet.stderr
    assert not speaks_of_another(first.logs().decode())
    assert [one.name for one in service.store.identities()] == [name, "task-2"]

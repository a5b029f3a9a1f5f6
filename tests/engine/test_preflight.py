"""What no agent of a run could survive is refused before one is created or paid for."""

import io
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import containers, launch, of_run
from ravi_agent import contract
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi


def nothing_is_left(client: docker.DockerClient, service: LocalRavi, run: str) -> None:
    assert containers(client, run) == []
    assert client.volumes.list(filters=of_run(run)) == []
    assert client.containers.list(all=True, filters={"label": contract.LABEL_PROBE}) == []
    assert service.store.identities() == []
    assert not [one for one in service.requests.entries if one["method"] == "POST"]


def build(client: docker.DockerClient, tag: str, *lines: str) -> str:
    text = "\n".join(("FROM ravi-agent-base", "USER root", *lines))
    client.images.build(fileobj=io.BytesIO(text.encode()), tag=tag, rm=True)
    return tag


@pytest.fixture(scope="module")
def other_entrypoint(client: docker.DockerClient) -> Iterator[str]:
    """An image whose entrypoint has our name and prints what it is given."""
    tag = "ravi-agent-test-entrypoint"
    script = "printf '#!/bin/sh\\ncat\\n' >/usr/local/sbin/ravi-entrypoint"
    yield build(
        client,
        tag,
        f"RUN {script} && chmod 755 /usr/local/sbin/ravi-entrypoint",
        'ENTRYPOINT ["ravi-entrypoint"]',
    )
    client.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def programs(client: docker.DockerClient) -> Iterator[str]:
    """An image with programs behind links, and one that is none."""
    tag = "ravi-agent-test-programs"
    yield build(
        client,
        tag,
        "RUN mkdir /opt/tools && ln -s ../../bin/true /opt/tools/indirect"
        " && ln -s /opt/tools/indirect /usr/local/bin/linked"
        " && ln -s nowhere /usr/local/bin/dangling && echo text >/usr/local/bin/text",
    )
    client.images.remove(tag, force=True)


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (["--", "pyhton3", "x"], 64, "command 'pyhton3' of task 0000: image 'ravi-agent-base'"),
        (["--", "/app/agent.py"], 64, "command '/app/agent.py' of task 0000"),
        (["--", "--", "nonesuch"], 64, "command 'nonesuch' of task 0000"),
        (["-e", "PATH=/opt", "--", "python3"], 64, "in its PATH (/opt)"),
        (["-e", "RAVI_ON_EXIT=delete"], 64, "RAVI_ON_EXIT=delete"),
        (["-e", "RAVI_GRACE=soon"], 64, "RAVI_GRACE='soon'"),
        (["--memory", "1m"], 69, "with these settings: Minimum memory limit allowed is 6MB"),
        (["--cap-add", "NONESUCH"], 69, "with these settings"),
        (["--platform", "linux/s390x"], 69, "with these settings"),
        (["--cpus", "4000"], 69, "with these settings"),
        (["--user", "nonesuch"], 69, "with these settings: unable to find user nonesuch"),
        (["--device", "/dev/nonesuch"], 69, "with these settings: error gathering device"),
        (["--log-opt", "max-size=much"], 69, "with these settings: failed to initialize logging"),
        (["--tmpfs", "/scratch:colour=red"], 69, "with these settings: invalid tmpfs option"),
        (["--ipc", "nonesuch"], 69, "with these settings"),
        (["--gpus", "all"], 69, "with these settings: could not select device driver"),
        (["--volume", "/srv:/data:sometimes"], 69, "with these settings: invalid mode"),
        (["--volume", "/etc/hostname:/etc"], 69, "with these settings"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_every_agent_would_fail_by_is_refused_once(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
    arguments: list[str],
    code: int,
    cause: str,
) -> None:
    done = launch(environ, "--count", "5", "--name", run_name, *arguments, code=code)

    assert cause in done.stderr.splitlines()[0]
    assert done.stdout == ""
    nothing_is_left(client, service, run_name)


def test_an_entrypoint_of_our_name_that_is_another_program_is_handed_nothing(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
    other_entrypoint: str,
) -> None:
    done = launch(environ, "--count", "2", "--name", run_name, "--image", other_entrypoint, code=64)

    assert "its entrypoint 'ravi-entrypoint' is a program of another name" in done.stderr
    nothing_is_left(client, service, run_name)


@pytest.mark.parametrize(
    ("program", "code"), [("linked", 0), ("dangling", 64), ("text", 64), ("/opt/tools", 64)]
)
def test_a_program_is_looked_up_as_the_entrypoint_will(
    environ: dict[str, str], run_name: str, programs: str, program: str, code: int
) -> None:
    arguments = ["--count", "1", "--name", run_name, "--image", programs, "--dry-run"]

    done = launch(environ, *arguments, "--", program, code=code)

    assert ("of task 0000" in done.stderr) is (code != 0)


@pytest.mark.parametrize(("program", "code"), [("python3", 0), ("pyhton3", 64)])
def test_a_command_can_begin_in_the_entrypoint(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, program: str, code: int
) -> None:
    image = build(
        client,
        "ravi-agent-test-begun",
        f'ENTRYPOINT ["/opt/ravi/bin/ravi-entrypoint", "--", "{program}"]',
    )
    arguments = ["--count", "1", "--name", run_name, "--image", image, "--dry-run"]

    alone = launch(environ, *arguments, code=code)
    behind = launch(environ, *arguments, "--", "agent.py", code=code)

    client.images.remove(image, force=True)
    for done in (alone, behind):
        assert (f"command '{program}' of task 0000" in done.stderr) is (code != 0)


def test_what_is_refused_after_the_trial_has_made_no_directory(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
    tmp_path: Path,
) -> None:
    workspaces = ["--workspace-dir", f"{tmp_path}/work/{{id}}", "--max-identities", "0"]

    launch(environ, "--count", "2", "--name", run_name, *workspaces, code=64)

    assert not (tmp_path / "work").exists()
    nothing_is_left(client, service, run_name)


def test_a_program_that_only_a_mount_has_is_left_to_the_container(
    environ: dict[str, str], run_name: str, tmp_path: Path
) -> None:
    script = tmp_path / "agent"
    script.write_text("#!/bin/sh\necho mounted\n")
    script.chmod(0o755)
    tmp_path.chmod(0o755)
    mount = ["--volume", f"{tmp_path}:/mine"]

    done = launch(environ, "--count", "1", "--name", run_name, *mount, "--", "/mine/agent")

    assert "0000 | mounted" in done.stdout


@pytest.mark.parametrize("provision", ["host", "container"])
def test_a_wrong_key_starts_no_container(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
    tmp_path: Path,
    provision: str,
) -> None:
    (tmp_path / "management_key").write_text("ravi_mgmt_wrong\n")
    arguments = ["--count", "50", "--name", run_name, "--provision", provision]

    done = launch(environ, *arguments, code=77)

    assert "status 401" in done.stderr
    assert len(list(service.requests.entries)) == 1
    nothing_is_left(client, service, run_name)


def test_a_service_that_nobody_serves_starts_no_container(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, service: LocalRavi
) -> None:
    environ["RAVI_API_URL"] = "http://127.0.0.1:1"

    done = launch(environ, "--count", "50", "--name", run_name, code=69)

    assert "127.0.0.1:1" in done.stderr.splitlines()[0]
    nothing_is_left(client, service, run_name)


@pytest.mark.parametrize("provision", ["host", "container"])
def test_the_first_402_of_a_run_stops_it(
    environ: dict[str, str], run_name: str, service: LocalRavi, provision: str
) -> None:
    service.faults.append(Fault(method="POST", path="/api/identities/", status=402))
    arguments = ["--count", "20", "--name", run_name, "--provision", provision, "--rm"]

    done = launch(environ, *arguments, "--parallel", "1", "--retries", "5", code=1)

    creations = [one for one in service.requests.entries if one["method"] == "POST"]
    assert 1 <= len(creations) <= 4  # with a phone, and then without
    assert "stopped: " in done.stderr
    assert "status 402" in done.stderr


def test_doctor_looks_into_the_image_and_leaves_nothing(
    environ: dict[str, str], client: docker.DockerClient, other_entrypoint: str
) -> None:
    good = launch(environ, "doctor")
    bad = launch(environ, "doctor", "--image", other_entrypoint, code=1)

    assert "it has our entrypoint, and the program of its CMD" in good.stdout
    assert "is a program of another name" in bad.stdout
    assert client.containers.list(all=True, filters={"label": contract.LABEL_PROBE}) == []
    assert MANAGEMENT_KEY not in good.stdout + bad.stdout


def test_doctor_prints_a_fix_whole_however_narrow_the_terminal_is(environ: dict[str, str]) -> None:
    environ["COLUMNS"] = "40"

    done = launch(environ, "doctor", "--image", "nonesuch-image-of-a-long-name")

    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if "nonesuch" in line)
    assert lines[at].startswith("note  image nonesuch-image-of-a-long-name: ")
    assert lines[at + 1] == "      fix: make images"

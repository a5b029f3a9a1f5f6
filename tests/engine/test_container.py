"""One container by hand: `docker run` with a mounted key, and all that can be wrong with it."""

import json

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import Ran, Run, Start, execute, wait_for_output
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi


def test_the_agent_finds_its_identity_in_its_environment_and_files(
    run: Run, service: LocalRavi
) -> None:
    ran = run("sh", "-c", "echo $RAVI_EMAIL; cat $RAVI_CONFIG_DIR/config.json")

    email, config = ran.stdout.split("\n", 1)
    identity = service.store.identities()[0]
    assert ran.code == 0
    assert email == identity.email
    assert json.loads(config)["identity_uuid"] == identity.uuid
    owner = service.store.identity_of_key(json.loads(config)["identity_key"])
    assert owner is not None
    assert owner.uuid == identity.uuid


def test_a_restarted_container_keeps_its_identity_without_a_call(
    run: Run, service: LocalRavi
) -> None:
    ran = run("sh", "-c", "echo $RAVI_IDENTITY_UUID")
    calls = len(service.requests.entries)

    ran.container.restart()

    again = Ran(ran.container)
    first, second = again.stdout.split()
    assert first == second
    assert len(service.requests.entries) == calls
    assert len(service.store.identities()) == 1


def test_the_default_command_says_who_it_is(run: Run, service: LocalRavi) -> None:
    ran = run()

    identity = service.store.identities()[0]
    whoami = json.loads(ran.stdout)
    assert whoami["uuid"] == identity.uuid
    assert whoami["email"] == identity.email
    assert whoami["api_url"] == service.url


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param(["true"], 0, id="0"),
        pytest.param(["sh", "-c", "exit 7"], 7, id="7"),
        pytest.param(["nonesuch"], 127, id="not found"),
        pytest.param(["/nonesuch/program"], 127, id="no such path"),
        pytest.param(["/etc/passwd"], 126, id="not executable"),
        pytest.param(["sh", "-c", "kill -TERM $$"], 143, id="TERM"),
        pytest.param(["sh", "-c", "kill -KILL $$"], 137, id="KILL"),
    ],
)
def test_the_exit_code_is_the_agents(run: Run, command: list[str], code: int) -> None:
    assert run(*command).code == code


def test_an_agent_killed_for_memory_is_137(run: Run) -> None:
    hog = "b = []\nwhile True: b.append(bytearray(1 << 20))"

    assert run("python3", "-c", hog, mem_limit="64m", memswap_limit="64m").code == 137


def test_a_stop_reaches_the_agent_and_gives_143(start: Start) -> None:
    container = start("sh", "-c", "echo up; exec sleep 600")
    wait_for_output(container, "up")

    container.stop(timeout=10)

    assert Ran(container).code == 143


def test_arguments_name_the_identity(run: Run, service: LocalRavi) -> None:
    ran = run("echo", "$(RAVI_EMAIL)", "$$(RAVI_EMAIL)", "$(date)")

    assert ran.stdout == f"{service.store.identities()[0].email} $(RAVI_EMAIL) $(date)\n"


def test_the_agent_is_not_root_and_owns_its_workspace(run: Run) -> None:
    ran = run("sh", "-c", "id -u; id -G; stat -c '%u:%g %a' .ravi .ravi/*; touch x; echo $HOME")

    assert ran.stdout.splitlines() == [
        "1000",
        "1000",
        "1000:1000 700",
        *["1000:1000 600"] * 3,
        "/home/agent",
    ]


def test_the_agent_can_open_its_output_by_name(run: Run) -> None:
    assert run("sh", "-c", "echo out >/dev/stdout; echo err >/dev/stderr").code == 0


def test_the_ravi_directory_of_the_home_leads_to_the_identity(run: Run) -> None:
    ran = run("sh", "-c", "cd / && cat ~/.ravi/config.json")

    assert "identity_uuid" in json.loads(ran.stdout)


def test_login_shells_of_docker_exec_find_the_identity(start: Start, service: LocalRavi) -> None:
    container = start("sh", "-c", "echo up; exec sleep 600")
    wait_for_output(container, "up")

    answer = execute(container, "sh", "-lc", "echo $RAVI_EMAIL $RAVI_CONFIG_DIR")

    email = service.store.identities()[0].email
    assert answer == f"{email} /workspace/.ravi"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"user": "4321:4321"}, id="any uid"),
        pytest.param(
            {"read_only": True, "tmpfs": {"/workspace": "mode=1777"}}, id="read-only root"
        ),
        pytest.param(
            {
                "cap_drop": ["ALL"],
                "cap_add": ["SETUID", "SETGID", "KILL", "CHOWN", "DAC_READ_SEARCH"],
                "security_opt": ["no-new-privileges"],
            },
            id="few capabilities",
        ),
        pytest.param({"init": True}, id="below another init"),
    ],
)
def test_the_identity_is_there_however_the_container_is_locked_down(
    start: Start, service: LocalRavi, key_file: object, options: dict[str, object]
) -> None:
    ran = Ran(start("sh", "-c", "cat $RAVI_CONFIG_DIR/config.json; exit 3", **options))

    assert ran.code == 3, ran.stderr
    assert json.loads(ran.stdout)["identity_uuid"] == service.store.identities()[0].uuid


def test_an_empty_directory_of_roots_becomes_the_agents(run: Run, tmp_path: object) -> None:
    ran = run(
        "sh",
        "-c",
        "stat -c %u .; touch mine",
        volumes={f"{tmp_path}/made-by-docker": {"bind": "/workspace", "mode": "rw"}},
    )

    assert (ran.code, ran.stdout) == (0, "1000\n"), ran.stderr


def test_what_an_agent_installs_does_not_reach_the_entrypoint(run: Run) -> None:
    ran = run(
        "true",
        environment={
            "PYTHONPATH": "/workspace/broken",
            "PYTHONHOME": "/nonexistent",
            "PYTHONSTARTUP": "/nonexistent",
            "PYTHONSAFEPATH": "",
        },
    )

    assert ran.code == 0, ran.stderr


def test_the_interpreter_of_the_entrypoint_sees_no_package_of_the_images(
    client: docker.DockerClient, run: Run
) -> None:
    """A broken httpx and a broken ravi_agent wherever an agent's pip would put them."""
    script = (
        "import sys, site, pathlib\n"
        "for folder in [*site.getsitepackages(), '/usr/local/lib/python3/dist-packages']:\n"
        "    for name in ('httpx', 'ravi_agent', 'json', 'signal', 'sitecustomize'):\n"
        "        path = pathlib.Path(folder, name + '.py')\n"
        "        path.parent.mkdir(parents=True, exist_ok=True)\n"
        "        path.write_text('raise SystemExit(99)')\n"
    )
    spoiler = client.containers.create(
        "ravi-agent-base", ["-c", script], entrypoint="python3", user="root"
    )
    try:
        spoiler.start()
        assert spoiler.wait(timeout=60)["StatusCode"] == 0
        image = spoiler.commit(changes='ENTRYPOINT ["/opt/ravi/bin/ravi-entrypoint"]')
    finally:
        spoiler.remove(force=True)
    try:
        ran = run("echo", "fine", image=image.id)
        assert (ran.code, ran.stdout) == (0, "fine\n"), ran.stderr
    finally:
        client.images.remove(str(image.id), force=True)


@pytest.mark.parametrize(
    ("options", "code", "cause"),
    [
        pytest.param({"with_key": False}, 78, "no management key", id="no key"),
        pytest.param(
            {
                "environment": {
                    "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
                    "RAVI_MANAGEMENT_KEY_FILE": "/run/secrets/ravi_management_key",
                }
            },
            78,
            "both RAVI_MANAGEMENT_KEY and RAVI_MANAGEMENT_KEY_FILE",
            id="both keys",
        ),
        pytest.param(
            {"environment": {"RAVI_MANAGEMENT_KEY_FILE": "/nonexistent"}, "with_key": False},
            78,
            "/nonexistent",
            id="key file missing",
        ),
        pytest.param(
            {"environment": {"RAVI_API_URL": "http://127.0.0.1:9", "RAVI_PROVISION_TIMEOUT": "1"}},
            69,
            "no usable answer",
            id="unreachable",
        ),
        pytest.param(
            {"environment": {"RAVI_API_URL": "http://example.com"}},
            78,
            "RAVI_API_URL",
            id="plain http to the world",
        ),
        pytest.param(
            {"environment": {"RAVI_GRACE": "soon"}}, 78, "RAVI_GRACE='soon'", id="bad setting"
        ),
        pytest.param({"read_only": True}, 73, "cannot be written", id="read-only workspace"),
        pytest.param(
            {"environment": {"RAVI_HANDOVER": "stdin"}}, 78, "hand-over", id="no hand-over"
        ),
        pytest.param(
            {"environment": {"RAVI_AGENT_USER": "nobody-there"}}, 78, "no user", id="no such user"
        ),
    ],
)
def test_bad_input_is_one_clear_error(
    run: Run, service: LocalRavi, options: dict[str, object], code: int, cause: str
) -> None:
    ran = run("true", **options)

    assert_one_clear_error(ran, code, cause)
    assert service.store.identities() == []


@pytest.mark.parametrize(
    ("fault", "code", "cause"),
    [
        pytest.param(Fault(status=401), 77, "status 401", id="401"),
        pytest.param(Fault(status=402), 77, "status 402", id="402"),
        pytest.param(Fault(status=403), 77, "status 403", id="403"),
        pytest.param(Fault(status=200, body="<html>"), 76, "not JSON", id="HTML"),
        pytest.param(Fault(status=200, body={"a": 1}), 76, "nor a page", id="another shape"),
        pytest.param(Fault(status=500), 69, "no usable answer", id="500"),
        pytest.param(
            Fault(status=429, body={"retry_after_seconds": 60}), 75, "429", id="throttled"
        ),
    ],
)
def test_a_service_that_fails_or_lies_is_one_clear_error(
    run: Run, service: LocalRavi, fault: Fault, code: int, cause: str
) -> None:
    service.faults.append(fault)

    ran = run("true", environment={"RAVI_PROVISION_TIMEOUT": "2"})

    assert_one_clear_error(ran, code, cause)
    assert service.store.identities() == []


def test_a_command_line_without_a_command_is_usage(run: Run) -> None:
    assert_one_clear_error(run("--nonsense"), 64, "--nonsense")


def assert_one_clear_error(ran: Ran, code: int, cause: str) -> None:
    errors = [line for line in ran.stderr.splitlines() if ": error: " in line]
    assert ran.code == code, ran.stderr
    assert len(errors) == 1, ran.stderr
    assert errors[0].startswith("ravi-entrypoint: error: ")
    assert cause in errors[0]
    assert "\n  fix: " in ran.stderr
    assert "Traceback" not in ran.stderr
    assert 'File "' not in ran.stderr
    assert MANAGEMENT_KEY not in ran.stderr
    assert ran.stdout == ""


def test_under_the_engine_s_own_init_a_container_is_still_provisioned(
    run: Run, service: LocalRavi
) -> None:
    ran = run("sh", "-c", "echo $PPID $RAVI_EMAIL $RAVI_WORKSPACE", init=True)

    (identity,) = service.store.identities()
    parent, email = ran.stdout.split()  # and the agent sees no setting of ours
    assert ran.code == 0, ran.stderr
    assert email == identity.email
    assert parent != "1"

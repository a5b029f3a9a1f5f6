"""A container's life: stopped at any instant, against a service that fails, started twice."""

import json
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import docker
import pytest
from docker.models.containers import Container

from engine.conftest import Ran, Run, Start, execute, wait_for_output
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi

STOPS = 200
FAULTY = 200
AT_ONCE = 8
LONG_S = 600  # of a loaded machine, with the removal of all containers


@pytest.mark.timeout(LONG_S)
def test_a_stop_at_any_instant_ends_the_container_and_orphans_nothing(
    client: docker.DockerClient, start: Start, service: LocalRavi
) -> None:
    """At 200 random instants from the start on; the name makes sure that nothing is made twice.

    A fourth of them come once the agent is up: on a loaded machine none might otherwise.
    """
    service.faults.append(Fault(path="/api/identities/", delay_s=0.05))  # a network's distance
    seen: Counter[str] = Counter()

    def stop_one(number: int) -> None:
        wait_s = random.Random(number).uniform(0, 0.6)  # noqa: S311
        name = f"task-stop-{number}"
        container = start(
            "sh",
            "-c",
            "echo up; exec sleep 600",
            environment={"RAVI_IDENTITY_NAME": name, "RAVI_LOG_LEVEL": "debug"},
        )
        if number % 4 == 0:
            wait_for_output(container, "up", timeout_s=120)
        threading.Event().wait(wait_s)
        container.kill("SIGTERM")
        code = container.wait(timeout=120)["StatusCode"]
        output = container.logs().decode()
        assert code == 143, f"{code} after {wait_s:.3f} s: {output}"
        assert "SIGKILL" not in output, f"after {wait_s:.3f} s: {output}"
        files = provisioned_files(client, container)
        assert files in (set(), {".gitignore", "config.json", "env", "identity.json"}), files
        seen["before the agent" if "up" not in output else "with the agent"] += 1
        seen["provisioned" if files else "not provisioned"] += 1

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(stop_one, range(STOPS)))

    names = Counter(record.name for record in service.store.identities())
    assert set(names.values()) <= {1}, names
    assert seen["before the agent"] > 0, seen  # else the instants say nothing about the start
    assert seen["with the agent"] > 0, seen


def provisioned_files(client: docker.DockerClient, container: Container) -> set[str]:
    """The names in `/workspace/.ravi` of a container that has ended."""
    changes = client.api.diff(str(container.id)) or []
    folder = "/workspace/.ravi/"
    assert not [entry["Path"] for entry in changes if "/workspace/.ravi.new/" in entry["Path"]]
    return {
        entry["Path"].removeprefix(folder) for entry in changes if entry["Path"].startswith(folder)
    }


@pytest.mark.timeout(LONG_S)
def test_a_failing_service_gets_each_container_one_identity_or_one_clear_error(
    start: Start, service: LocalRavi
) -> None:
    """200 containers, a fifth of all calls failing in every listed way."""
    ways = [
        Fault(status=500),
        Fault(status=502, body="<html>Bad Gateway</html>"),
        Fault(status=503, commit=True),
        Fault(status=429, body={"retry_after_seconds": 0.2}),
        Fault(status=429, headers={"retry-after": "1"}),
        Fault(drop="before"),
        Fault(drop="after"),
        Fault(status=201, commit=True, body="<html>"),
        Fault(status=201, commit=True, body={"uuid": "u"}),
        Fault(status=307, headers={"location": "http://elsewhere.test/"}),
        Fault(status=401),
        Fault(status=403),
        Fault(method="POST", path="/api/identities/", status=402),
        Fault(method="POST", path="/api/identities/", status=409),
        Fault(path="/api/auth/keys/", status=404),
    ]
    # Each way has its share of what the ways before it leave, a fifth of all calls together.
    for way in ways:
        way.probability = 0.2 / len(ways)
    service.faults.extend(ways)
    codes: Counter[int] = Counter()

    def run_one(number: int) -> None:
        ran = Ran(
            start(
                "sh",
                "-c",
                "echo $RAVI_IDENTITY_UUID",
                environment={
                    "RAVI_IDENTITY_NAME": f"task-{number}",
                    "RAVI_PROVISION_TIMEOUT": "20",
                },
            )
        )
        codes[ran.code] += 1
        found = [one for one in service.store.identities() if one.name == f"task-{number}"]
        assert len(found) <= 1
        if ran.code == 0:
            assert ran.stdout.strip() == found[0].uuid
        else:
            assert ran.code in {69, 75, 76, 77}, ran.stderr
            assert ran.stderr.count("ravi-entrypoint: error: ") == 1, ran.stderr
            assert "\n  fix: " in ran.stderr
            assert "Traceback" not in ran.stderr

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(run_one, range(FAULTY)))

    names = Counter(record.name for record in service.store.identities())
    assert set(names.values()) == {1}
    assert codes[0] > FAULTY / 2, codes


def test_what_a_failed_start_left_is_adopted_by_the_next(start: Start, service: LocalRavi) -> None:
    service.faults.append(Fault(method="POST", path="/api/auth/keys/", status=403, count=1))
    container = start("sh", "-c", "echo $RAVI_IDENTITY_UUID", restart_policy={"Name": "no"})
    assert Ran(container).code == 77

    container.restart()

    ran = Ran(container)
    assert ran.code == 0, ran.stderr
    assert ran.stdout.strip() == service.store.identities()[0].uuid
    assert len(service.store.identities()) == 1


def test_two_starts_on_one_workspace_make_one_identity(
    client: docker.DockerClient, start: Start, service: LocalRavi
) -> None:
    service.faults.append(Fault(method="POST", path="/api/identities/", delay_s=1.0))
    volume = client.volumes.create()
    mount = {str(volume.name): {"bind": "/workspace", "mode": "rw"}}
    try:
        pair = [
            start("sh", "-c", "echo $RAVI_IDENTITY_UUID", volumes=mount, hostname=f"host-{number}")
            for number in range(2)
        ]
        ran = [Ran(container) for container in pair]
        assert [one.code for one in ran] == [0, 0], [one.stderr for one in ran]
        assert ran[0].stdout == ran[1].stdout
        assert len(service.store.identities()) == 1
    finally:
        for container in pair:
            container.remove(force=True)
        volume.remove()


def test_an_init_container_provisions_for_an_agent_without_network_or_key(
    client: docker.DockerClient, start: Start, service: LocalRavi
) -> None:
    volume = client.volumes.create()
    mount = {str(volume.name): {"bind": "/workspace", "mode": "rw"}}
    try:
        init = start(image="ravi-init", volumes=mount, environment={"RAVI_IDENTITY_NAME": "task-k"})
        made = Ran(init)
        assert (made.code, made.stdout) == (0, ""), made.stderr
        agent = start(
            "sh",
            "-c",
            "echo $RAVI_IDENTITY_NAME",
            volumes=mount,
            with_key=False,
            network_mode="none",
            user="65532",
        )
        ran = Ran(agent)
        assert (ran.code, ran.stdout) == (0, "task-k\n"), ran.stderr
    finally:
        for container in (init, agent):
            container.remove(force=True)
        volume.remove()


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        pytest.param({"RAVI_EXIT_REMAP": "143:0"}, 0, id="a stop is success"),
        pytest.param({"RAVI_SIGNAL_MAP": "TERM:INT"}, 130, id="TERM becomes INT"),
        pytest.param({"RAVI_SIGNAL_MAP": "TERM:0", "RAVI_GRACE": "1"}, 143, id="TERM is dropped"),
    ],
)
def test_signals_and_codes_can_be_rewritten(
    start: Start, environment: dict[str, str], code: int
) -> None:
    container = start("sh", "-c", "echo up; exec sleep 600", environment=environment)
    wait_for_output(container, "up")

    container.kill("SIGTERM")
    if environment.get("RAVI_SIGNAL_MAP") == "TERM:0":
        container.kill("SIGHUP")  # the agent is still there to hear it
        code = 129

    assert Ran(container).code == code


@pytest.mark.parametrize(
    ("scope", "heard"), [("group", {"parent", "child"}), ("agent", {"parent"})]
)
def test_a_signal_reaches_the_group_or_the_agent_alone(
    start: Start, scope: str, heard: set[str]
) -> None:
    listen = "signal.signal(signal.SIGUSR1, lambda *_: print(who, flush=True))"
    script = (
        "import os, signal\n"
        "who = 'child' if os.fork() == 0 else 'parent'\n"
        f"{listen}\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()\n"
    )
    container = start("python3", "-c", script, environment={"RAVI_SIGNAL_SCOPE": scope})
    wait_for_output(container, "up\nup\n")

    container.kill("SIGUSR1")
    wait_for_output(container, "parent\n")
    container.kill("SIGTERM")

    assert set(Ran(container).stdout.split()) - {"up"} == heard


def test_a_full_disk_is_said_and_leaves_nothing(start: Start, service: LocalRavi) -> None:
    """What was created meanwhile is adopted by the next start, by its name."""
    environment = {"RAVI_IDENTITY_NAME": "task-full"}
    full = Ran(
        start(
            "true",
            environment=environment,
            user="1000:1000",
            tmpfs={"/workspace": "size=8k,mode=1777"},
        )
    )
    assert full.code == 73, full.stderr
    assert "No space left on device" in full.stderr

    ran = Ran(start("sh", "-c", "echo $RAVI_IDENTITY_UUID", environment=environment))

    assert ran.stdout.strip() == service.store.identities()[0].uuid
    assert len(service.store.identities()) == 1


@pytest.mark.parametrize(
    ("script", "stop", "words"),
    [
        pytest.param("exit 7", False, "info: the agent ended with 7", id="its own code"),
        pytest.param("kill -SEGV $$", False, "warning: the agent was ended by SIGSEGV", id="crash"),
        pytest.param("echo up; exec sleep 600", True, "info: the agent was stopped", id="stopped"),
    ],
)
def test_the_last_line_tells_a_stop_from_a_crash(
    start: Start, script: str, stop: bool, words: str
) -> None:
    container = start("sh", "-c", script)
    if stop:
        wait_for_output(container, "up")
        container.kill("SIGTERM")

    assert words in Ran(container).stderr.splitlines()[-1]


def test_the_last_line_tells_an_out_of_memory_kill(run: Run) -> None:
    hog = "b = []\nwhile True: b.append(bytearray(1 << 20))"
    ran = run("python3", "-c", hog, mem_limit="64m", memswap_limit="64m")

    assert "killed for want of memory" in ran.stderr


def test_the_status_file_and_the_health_check_follow_the_start(
    client: docker.DockerClient, start: Start, service: LocalRavi
) -> None:
    service.faults.append(Fault(status=500))
    container = start("sh", "-c", "echo up; exec sleep 600")

    def status() -> dict[str, object]:
        text = execute(container, "cat", "/run/ravi/status.json")
        found: dict[str, object] = json.loads(text) if text.startswith("{") else {}
        return found

    deadline = time.monotonic() + 20
    while status().get("phase") != "provisioning" and time.monotonic() < deadline:
        continue
    assert status()["phase"] == "provisioning"
    assert container.exec_run("/opt/ravi/bin/ravi-health").exit_code == 1

    service.faults.clear()
    wait_for_output(container, "up")

    running = status()
    assert running["phase"] == "running"
    assert running["uuid"] == service.store.identities()[0].uuid
    assert execute(container, "cat", f"/proc/{running['agent_pid']}/comm") == "sleep"
    assert container.exec_run("/opt/ravi/bin/ravi-health").exit_code == 0
    inspected = client.api.inspect_container(str(container.id))
    assert inspected["Config"]["Healthcheck"]["Test"] == ["CMD", "/opt/ravi/bin/ravi-health"]


@pytest.mark.parametrize("policy", ["forget", "delete"])
def test_the_identity_is_released_at_the_exit_where_that_is_wanted(
    run: Run, service: LocalRavi, client: docker.DockerClient, policy: str
) -> None:
    ran = run("sh", "-c", "exit 5", environment={"RAVI_ON_EXIT": policy})

    assert ran.code == 5
    assert provisioned_files(client, ran.container) == set()
    assert len(service.store.identities()) == (0 if policy == "delete" else 1)


def test_an_identity_that_cannot_be_deleted_is_named_and_kept(
    run: Run, service: LocalRavi, client: docker.DockerClient
) -> None:
    service.faults.append(Fault(method="DELETE", status=405))

    ran = run("sh", "-c", "exit 5", environment={"RAVI_ON_EXIT": "delete"})

    identity = service.store.identities()[0]
    assert ran.code == 5
    assert f"identity {identity.name} ({identity.uuid}) stays" in ran.stderr
    assert "identity.json" in provisioned_files(client, ran.container)


def test_a_delete_that_hangs_does_not_cost_the_stop_its_time(
    start: Start, service: LocalRavi
) -> None:
    service.faults.append(Fault(method="DELETE", stall="before"))
    container = start("sh", "-c", "echo up; exec sleep 600", environment={"RAVI_ON_EXIT": "delete"})
    wait_for_output(container, "up")

    container.stop(timeout=10)

    ran = Ran(container)
    assert ran.code == 143  # 137 had Docker lost its patience
    assert "stays" in ran.stderr


def test_a_check_says_what_is_wrong_and_what_to_do(run: Run, service: LocalRavi) -> None:
    """The key of these tests is mounted with a mode that lets the agent read it."""
    ran = run("--check")

    assert ran.code == 1
    assert "ok      process: PID 1" in ran.stdout
    assert "problem key: the agent can read" in ran.stdout
    assert "causes: " in ran.stdout
    assert "fix: chmod 600" in ran.stdout
    assert f"ok      service: {service.url} answers" in ran.stdout
    assert service.store.identities() == []


def test_a_check_of_a_service_that_refuses_names_the_code(run: Run, service: LocalRavi) -> None:
    service.faults.append(Fault(status=401))

    ran = run("--check")

    assert ran.code == 1
    assert "problem service: " in ran.stdout
    assert "ends with 77" in ran.stdout


def test_a_check_where_all_is_well_says_so(run: Run) -> None:
    ran = run("--check", with_key=False)

    assert ran.code == 0, ran.stdout
    assert "problem" not in ran.stdout

"""PID 1 with other engines, images, users and limits than its authors have."""

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container
from docker.types import Mount, Ulimit

from engine.conftest import PREFIX, Ran, Run, Start, execute, wait_for_output

ROOT = Path(__file__).parents[2]
UP = ("sh", "-c", "echo up; exec sleep 600")


# --- users -------------------------------------------------------------------------------------

Derive = Callable[..., str]


@pytest.fixture
def derive(client: docker.DockerClient) -> Iterator[Derive]:
    """An image that a shell script makes of another, as a Dockerfile's RUN would."""
    made: list[str] = []

    def derive(script: str, base: str = "ravi-agent-base") -> str:
        container = client.containers.create(
            base,
            ["-c", script],
            entrypoint=["sh"],
            user="root",
            name=PREFIX + uuid.uuid4().hex[:12],
        )
        try:
            container.start()
            ended = container.wait(timeout=120)
            assert ended["StatusCode"] == 0, container.logs().decode()
            config = client.images.get(base).attrs["Config"]
            changes = [
                f"{word} {json.dumps(config[word.capitalize()])}"
                for word in ("ENTRYPOINT", "CMD")
                if config.get(word.capitalize())
            ]
            image = container.commit(changes="\n".join(changes))
        finally:
            container.remove(force=True)
        made.append(str(image.id))
        return made[-1]

    yield derive
    for image in made:
        try:
            client.images.remove(image, force=True)
        except docker.errors.ImageNotFound:
            continue  # gone with the image that was built on it


@pytest.mark.parametrize(
    "script", ["usermod --login worker agent", "userdel agent"], ids=["renamed", "removed"]
)
def test_an_image_without_the_user_agent_does_not_run_the_agent_as_root(
    derive: Derive, run: Run, script: str
) -> None:
    ran = run("sh", "-c", "id -u; id -g; touch mine", image=derive(script))

    assert (ran.code, ran.stdout) == (0, "1000\n1000\n"), ran.stderr


def test_a_user_agent_that_is_root_is_refused(derive: Derive, run: Run) -> None:
    image = derive("sed -i 's/^agent:x:1000/agent:x:0/' /etc/passwd")

    ran = run("id", "-u", image=image)

    assert (ran.code, ran.stdout) == (78, "")
    assert "'agent' is root" in ran.stderr
    assert "RAVI_AGENT_USER=0" in ran.stderr
    assert run("id", "-u", image=image, environment={"RAVI_AGENT_USER": "0"}).stdout == "0\n"


@pytest.mark.parametrize(
    "number", ["4294967295", "4294967296", "1" + "0" * 5000, "1000:4294967295"]
)
def test_an_id_out_of_range_is_refused_before_anything_is_paid_for(run: Run, number: str) -> None:
    ran = run("id", "-u", environment={"RAVI_AGENT_USER": number})

    assert (ran.code, ran.stdout) == (78, ""), ran.stderr
    assert "the highest is 4294967294" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("script", "owner"),
    [
        pytest.param("useradd --uid 1000 --user-group --create-home node", "node", id="node's"),
        pytest.param("groupadd --gid 1000 users1000", "agent", id="a group alone"),
    ],
)
def test_an_image_whose_base_has_id_1000_already_builds_and_uses_it(
    client: docker.DockerClient, derive: Derive, run: Run, script: str, owner: str
) -> None:
    base = derive(script, base="ravi-base-stand-in")
    tag = PREFIX + uuid.uuid4().hex[:12]
    try:
        # The packages are there already: no network, and only the last stage's own steps.
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", tag, "--file", "-", str(ROOT)],
            input=last_stage(base),
            text=True,
            check=True,
            timeout=500,
        )
        ran = run("sh", "-c", "id -un; id -u; id -g; stat -c %u /workspace; touch x", image=tag)
    finally:
        client.images.remove(tag, force=True)

    assert (ran.code, ran.stdout) == (0, f"{owner}\n1000\n1000\n1000\n"), ran.stderr


def test_an_image_whose_env_cannot_block_signals_any_more_starts(derive: Derive, run: Run) -> None:
    """As where uutils takes GNU's place in an image made of ours."""
    image = derive(
        "mv /usr/bin/env /usr/bin/env.gnu\n"
        "printf '#!/bin/sh\necho \"unexpected argument $1\" >&2; exit 125\n' >/usr/bin/env\n"
        "chmod +x /usr/bin/env"
    )

    ran = run("id", "-u", image=image)
    assert (ran.code, ran.stdout) == (0, "1000\n"), ran.stderr


def last_stage(base: str) -> str:
    """Our Dockerfile from its second FROM on, with the first stage's result from the image."""
    stage = "FROM ${BASE_IMAGE}" + (ROOT / "Dockerfile").read_text().split("FROM ${BASE_IMAGE}")[2]
    stage = stage.replace("--from=build", "--from=ravi-agent-base")
    return f"ARG BASE_IMAGE={base}\n{stage}"


def test_without_cap_kill_a_stop_reaches_the_agent_and_what_it_leaves_behind(start: Start) -> None:
    """The capabilities that our own advice names."""
    script = (
        "trap 'exit 0' TERM\n"
        "setsid sh -c 'trap \"echo asked; exit\" TERM; echo up; while :; do sleep 0.1; done' &\n"
        "while :; do sleep 0.1; done"
    )
    container = start(
        "sh", "-c", script, cap_drop=["ALL"], cap_add=["SETUID", "SETGID", "CHOWN", "DAC_OVERRIDE"]
    )
    wait_for_output(container, "up")

    container.stop(timeout=30)

    ran = Ran(container)
    assert ran.code == 0, ran.stderr
    assert "asked" in ran.stdout
    assert "SIGKILL" not in ran.stderr


def test_a_namespace_with_one_user_is_refused_with_a_remedy_that_works(run: Run) -> None:
    options = {
        "entrypoint": ["unshare", "--map-root-user"],
        "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
        "cap_add": ["SYS_ADMIN"],
    }
    command = ("/opt/ravi/bin/ravi-entrypoint", "id", "-u")

    ran = run(*command, **options)

    assert ran.code == 78, ran.stderr
    assert "cannot step down" in ran.stderr
    assert "RAVI_AGENT_USER=0" in ran.stderr
    again = run(*command, environment={"RAVI_AGENT_USER": "0"}, **options)
    assert (again.code, again.stdout) == (0, "0\n"), again.stderr


# --- engines -----------------------------------------------------------------------------------


def old_engine(*calls: str) -> str:
    """A seccomp profile as an engine's that has never heard of these calls: EPERM, not ENOSYS."""
    return "seccomp=" + json.dumps(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": list(calls), "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
        }
    )


def test_an_engine_that_refuses_newer_calls_is_no_obstacle(start: Start) -> None:
    profile = old_engine(
        "close_range", "faccessat2", "openat2", "clone3", "pwritev2", "statx", "pidfd_open"
    )
    container = start(
        *UP,
        security_opt=[profile],
    )
    wait_for_output(container, "up")

    status = json.loads(execute(container, "cat", "/run/ravi/status.json"))
    assert status["phase"] == "running"
    container.kill("SIGTERM")
    ran = Ran(container)
    assert ran.code == 143
    assert "stopped on request" in ran.stderr


_MASKED = "SCMP_CMP_MASKED_EQ"


def test_descriptors_are_not_closed_one_by_one_up_to_a_high_limit(run: Run) -> None:
    """Where an engine refuses close_range: whoever tries a number that high is killed."""
    profile = json.loads(old_engine("close_range").removeprefix("seccomp="))
    # From 4096 to 8191, and not -1, which a shell closes.
    beyond = [{"index": 0, "value": ~4095 & (1 << 64) - 1, "valueTwo": 4096, "op": _MASKED}]
    profile["syscalls"].append(
        {"names": ["close"], "action": "SCMP_ACT_KILL_PROCESS", "args": beyond}
    )
    limit = Ulimit(name="nofile", soft=20000, hard=20000)  # what any engine may give

    ran = run(
        *("sh", "-c", "ulimit -n; ls /proc/self/fd | wc -l"),
        security_opt=["seccomp=" + json.dumps(profile)],
        ulimits=[limit],
    )

    assert (ran.code, ran.stdout.split()) == (0, ["20000", "4"]), ran.stderr


def test_a_stop_during_provisioning_is_heard_where_there_can_be_no_thread(
    start: Start, service: object
) -> None:
    from ravi_agent.local.faults import Fault

    service.faults.append(Fault(path="/api/identities/", delay_s=30))  # type: ignore[attr-defined]
    container = start(*UP, security_opt=[old_engine("clone3")])
    deadline = time.monotonic() + 30
    while not service.requests.entries and time.monotonic() < deadline:  # type: ignore[attr-defined]
        time.sleep(0.05)

    container.kill("SIGTERM")

    assert Ran(container).code == 143


@pytest.mark.parametrize("how", ["init", "host", "other"])
def test_whatever_its_pid_is_the_agent_can_open_its_output_and_the_container_is_healthy(
    start: Start, how: str
) -> None:
    neighbour = start(*UP, environment={"RAVI_IDENTITY_NAME": "task-neighbour"})
    wait_for_output(neighbour, "up")
    options: dict[str, object] = {
        "init": {"init": True},
        "host": {"pid_mode": "host"},
        "other": {"pid_mode": f"container:{neighbour.id}"},
    }[how]  # type: ignore[assignment]
    container = start(
        "sh",
        "-c",
        "echo up >/dev/stdout; echo err >/dev/stderr; exec sleep 600",
        environment={"RAVI_IDENTITY_NAME": "task-this"},
        **options,
    )
    wait_for_output(container, "up")

    assert is_healthy(container)
    assert is_healthy(neighbour)
    execute(container, "ls", "-a", "/workspace").index("ravi")
    assert ".ravi-status.json" not in execute(container, "ls", "-a", "/workspace")
    neighbour.kill()
    if how != "other":
        assert is_healthy(container)


def is_healthy(container: Container) -> bool:
    return bool(container.exec_run("/opt/ravi/bin/ravi-health").exit_code == 0)


def test_a_second_start_in_a_container_does_not_speak_for_it(start: Start) -> None:
    container = start(*UP)
    wait_for_output(container, "up")

    assert execute(container, "/opt/ravi/bin/ravi-entrypoint", "echo", "done").endswith("done")

    assert is_healthy(container)


def test_a_status_from_before_says_nothing_of_a_container_without_a_start(
    client: docker.DockerClient, start: Start
) -> None:
    container = start(*UP)
    wait_for_output(container, "up")
    container.kill()
    image = container.commit(changes='ENTRYPOINT ["sleep", "600"]\nCMD []')
    try:
        later = start(image=image.id)
        assert "running" in execute(later, "cat", "/run/ravi/status.json")
        ran = later.exec_run("/opt/ravi/bin/ravi-health")
        assert (ran.exit_code, ran.output) == (1, b"no status yet\n")
        later.remove(force=True)
    finally:
        client.images.remove(str(image.id), force=True)


def test_images_without_an_agent_have_no_health_check_of_an_agents(
    client: docker.DockerClient,
) -> None:
    for name in ("ravi-init", "ravi-launch"):
        assert client.images.get(name).attrs["Config"]["Healthcheck"]["Test"] == ["NONE"]
    local = client.containers.run("ravi-local", detach=True, name=PREFIX + uuid.uuid4().hex[:12])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            health = client.api.inspect_container(str(local.id))["State"]["Health"]["Status"]
            if health == "healthy":
                return
            time.sleep(0.2)
        pytest.fail(local.logs().decode())
    finally:
        local.remove(force=True, v=True)


# --- limits ------------------------------------------------------------------------------------


def test_no_process_slot_is_said_and_is_126(run: Run) -> None:
    ran = run("true", pids_limit=1)

    assert ran.code == 126, ran.stderr
    assert "cannot run 'true': no process slot is left" in ran.stderr
    assert "--pids-limit" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_program_on_a_noexec_mount_is_said_and_is_126(
    client: docker.DockerClient, start: Start, run: Run
) -> None:
    volume = client.volumes.create(
        name=PREFIX + uuid.uuid4().hex[:12],
        driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "noexec,mode=1777"},
    )
    mounts = [Mount("/data", str(volume.name), type="volume")]
    holder = start("sh", "-c", "cp /bin/true /data/program; echo up; exec sleep 600", mounts=mounts)
    try:
        wait_for_output(holder, "up")
        ran = run("/data/program", mounts=mounts)
        ran.container.remove(force=True)
        assert ran.code == 126, ran.stderr
        assert "mounted noexec" in ran.stderr
        assert "chmod +x" not in ran.stderr
    finally:
        holder.remove(force=True)
        volume.remove(force=True)


# --- stopping ----------------------------------------------------------------------------------

DEAF = (
    "import signal, time\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
    "print('up', flush=True)\n"
    "time.sleep(600)"
)


@pytest.mark.parametrize("stop_signal", ["SIGINT", "SIGQUIT", "SIGRTMIN+3", "SIGUSR1"])
@pytest.mark.parametrize("init", [False, True], ids=["PID 1", "below another init"])
def test_the_images_own_stop_signal_begins_the_grace(
    start: Start, stop_signal: str, *, init: bool
) -> None:
    environment = {"RAVI_GRACE": "0.5"}
    if stop_signal == "SIGUSR1":  # a signal of many uses has to be named
        environment["RAVI_SIGNAL_MAP"] = "USR1:TERM"
    container = start(
        "python3", "-c", DEAF, environment=environment, stop_signal=stop_signal, init=init
    )
    wait_for_output(container, "up")

    container.stop(timeout=60)

    ran = Ran(container)
    assert ran.code == 137
    assert "not gone after 0.5 s: SIGKILL" in ran.stderr  # ours, before the engine's


# --- the agent's own hands ---------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(("end", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_an_agent_that_removes_python_and_the_package_keeps_its_code(
    run: Run, form: str, end: str, code: int
) -> None:
    ran = run(
        "sh",
        "-c",
        f"rm -rf /opt/ravi /usr/lib/python3* /usr/bin/python3* /usr/local/lib/python3*; {end}",
        environment={
            "RAVI_AGENT_USER": "0",
            "RAVI_LOG_FORMAT": form,
            "RAVI_ON_EXIT": "forget",
        },
    )

    assert ran.code == code, ran.stderr
    assert "no release" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_agent_that_replaces_python_keeps_its_code(run: Run) -> None:
    script = (
        "python=$(readlink -f /opt/ravi/bin/python); rm $python\n"
        "printf '#!/bin/sh\\nexit 1\\n' >$python; chmod +x $python; exit 7"
    )
    ran = run("sh", "-c", script, environment={"RAVI_AGENT_USER": "0", "RAVI_ON_EXIT": "forget"})

    assert ran.code == 7, ran.stderr
    assert "no release: its program ended with 1" in ran.stderr


def test_an_agent_of_pid_1s_own_user_cannot_attach_to_it_or_read_it(start: Start) -> None:
    container = start(*UP, user="1000:1000")
    wait_for_output(container, "up")
    attach = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.ptrace(16, 1, 0, 0), ctypes.get_errno())\n"
        "print(os.access('/proc/1/mem', os.R_OK), os.access('/proc/1/environ', os.R_OK))"
    )

    assert execute(container, "python3", "-c", attach).split() == ["-1", "1", "False", "False"]


@pytest.mark.parametrize("request_number", [16, 0x4206], ids=["attach", "seize"])
def test_nor_can_the_agent_itself_attach_to_pid_1(run: Run, request_number: int) -> None:
    attach = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"print(libc.ptrace({request_number}, 1, 0, 0), ctypes.get_errno())\n"
    )

    for user in ("1000:1000", "root"):
        assert run("python3", "-c", attach, user=user).stdout.split() == ["-1", "1"]


@pytest.mark.parametrize(("value", "uid"), [(None, "1000"), ("1", "1000"), ("0", "0")])
@pytest.mark.parametrize("user", ["root", "1000:1000"])
def test_an_agent_gets_no_right_by_a_setuid_program_unless_that_is_asked_for(
    derive: Derive, run: Run, user: str, value: str | None, uid: str
) -> None:
    """A program of root's that runs as root for everybody, as sudo does."""
    image = derive("cp /usr/bin/id /usr/local/bin/root-id && chmod 4755 /usr/local/bin/root-id")
    environment = {} if value is None else {"RAVI_NO_NEW_PRIVS": value}
    script = "root-id -u; grep -E '^(NoNewPrivs|CapBnd|CapEff)' /proc/self/status"
    ran = run("sh", "-c", script, image=image, user=user, environment=environment)

    shown, *status = ran.stdout.splitlines()
    assert shown == uid, ran.stderr
    fields = dict(line.split(":\t") for line in status)
    assert fields["NoNewPrivs"] == ("0" if value == "0" else "1")
    assert int(fields["CapEff"], 16) == 0
    if user == "root" and value != "0":
        assert int(fields["CapBnd"], 16) == 0


def test_an_agent_that_is_to_be_root_keeps_what_root_may_do(run: Run) -> None:
    script = "grep NoNewPrivs /proc/self/status; chown 1 /tmp && echo may"
    ran = run("sh", "-c", script, environment={"RAVI_AGENT_USER": "0"})

    assert ran.stdout == "NoNewPrivs:\t0\nmay\n"


def test_pid_1_takes_little_memory_while_the_agent_runs(start: Start) -> None:
    container = start(*UP)
    wait_for_output(container, "up")
    script = "grep Private_Dirty /proc/1/smaps_rollup"
    output = container.exec_run(["sh", "-c", script], user="root").output
    assert isinstance(output, bytes)

    kilobytes = sum(int(line.split()[1]) for line in output.decode().splitlines())
    assert 0 < kilobytes <= 3500  # 2900 on Python 3.11; others differ by some hundred


def test_the_signal_of_a_hang_up_is_not_a_stop(start: Start) -> None:
    """`docker kill -s HUP` asks for new settings, and the agent runs on."""
    script = "trap 'echo reloaded' HUP; echo up; while :; do sleep 0.1; done"
    container = start("sh", "-c", script, environment={"RAVI_GRACE": "0.2"})
    wait_for_output(container, "up")

    container.kill(int(signal.SIGHUP))
    wait_for_output(container, "reloaded")
    time.sleep(1)
    container.reload()

    assert container.status == "running"

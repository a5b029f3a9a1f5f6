"""`ps` and `top` say of each agent what docker's and kubectl's say, and its email."""

import json
import signal

import docker

from engine.conftest import LAUNCH, Launching, containers, execute, launch

# They end once they are told to: `--detach` may or may not see an end that comes by itself.
SCRIPT = """
until [ -e /tmp/go ]; do sleep 0.1; done
case $TASK_INDEX in 0) exec sleep 600;; 1) exit 3;; 2) exit 0;; 3) kill -9 $$;; esac
"""


def test_ps_says_who_each_agent_is_and_what_became_of_it(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    arguments = ["--count", "4", "--name", run_name, "--detach"]
    launch(environ, *arguments, "--", "sh", "-c", SCRIPT)
    for container in containers(client, run_name):
        execute(container, "touch", "/tmp/go")
    launch(environ, "wait", run_name, "0001", "0002", "0003", code=1)

    listed = json.loads(launch(environ, "ps", run_name, "-o", "json").stdout)
    rows = launch(environ, "ps", run_name).stdout.splitlines()
    by_format = launch(
        environ, "ps", run_name, "--format", "{{.Task}} {{.ExitCode}} {{.Email}} {{.Why}}"
    ).stdout.splitlines()
    failed = launch(environ, "ps", run_name, "-q", "--filter", "exited=3").stdout.split()

    emails = {f"task-{run_name}-000{index}@ravi-local.test" for index in range(4)}
    assert {one["email"] for one in listed} == emails
    assert [one["exit_code"] for one in listed] == [None, 3, 0, 137]
    assert [one["restarts"] for one in listed] == [0, 0, 0, 0]
    assert [one["why"] for one in listed] == ["", "exited with 3", "", "killed"]
    assert rows[0].split()[:4] == ["RUN", "TASK", "EMAIL", "STATUS"]
    assert [row.split()[1] for row in rows[1:]] == ["0000", "0001", "0002", "0003"]
    assert by_format[1] == f"0001 3 task-{run_name}-0001@ravi-local.test exited with 3"
    assert failed == [listed[1]["id"][:12]]


def test_ps_watches_until_all_have_ended(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    launch(environ, "--count", "2", "--name", run_name, "-d", "--", "sleep", "600")
    watch = launching([LAUNCH, "ps", run_name, "--watch"], environ)
    assert watch.stdout
    head = [watch.stdout.readline() for _ in range(3)]
    assert head[0].startswith("RUN")

    for container in containers(client, run_name):
        container.kill(signal.SIGKILL)
    rest, _ = watch.communicate(timeout=60)

    assert watch.returncode == 0
    assert {line.split()[1] for line in rest.splitlines()} == {"0000", "0001"}
    assert "Exited (137)" in rest


def test_top_measures_agents_that_run(environ: dict[str, str], run_name: str) -> None:
    busy = "test $TASK_INDEX = 1 && exec yes >/dev/null; exec sleep 600"
    launch(environ, "--count", "2", "--name", run_name, "-d", "--", "sh", "-c", busy)

    measured = json.loads(launch(environ, "top", run_name, "-o", "json").stdout)
    rows = launch(environ, "top", run_name).stdout.splitlines()

    assert [one["task"] for one in measured] == ["0001", "0000"]  # the busiest first
    assert measured[0]["cpu_percent"] > 1
    assert all(one["memory"] > 1 << 20 and one["processes"] >= 2 for one in measured)
    assert len(rows) == 3

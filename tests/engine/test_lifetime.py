"""`--timeout` holds when no launcher is there to see to it."""

import json

import docker

from engine.conftest import containers, launch


def test_a_detached_run_ends_by_itself(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    arguments = ["--count", "2", "--name", run_name, "--detach", "--timeout", "2s"]
    launch(environ, *arguments, "--", "sleep", "600")

    launch(environ, "wait", run_name, code=1)

    listed = json.loads(launch(environ, "ps", run_name, "-o", "json").stdout)
    assert [one["exit_code"] for one in listed] == [124, 124]
    assert [one["why"] for one in listed] == ["timed out", "timed out"]
    assert len(containers(client, run_name)) == 2

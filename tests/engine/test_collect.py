"""Results come out of the containers before these are removed."""

from pathlib import Path

import docker

from engine.conftest import containers, launch

SCRIPT = """
mkdir -p out/sub && echo "$TASK_ID" >out/result && ln -s /etc/passwd out/away
test "$TASK_INDEX" = 1 && exit 3 || exit 0
"""


def test_a_path_of_each_container_is_copied_before_the_container_is_removed(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, tmp_path: Path
) -> None:
    where = ["--collect", "/workspace/out", "--collect", "/nowhere", "--collect-to"]
    arguments = ["--count", "2", "--name", run_name, "--rm", *where, str(tmp_path / "got")]

    done = launch(environ, *arguments, "--", "sh", "-c", SCRIPT, code=1)

    for task in ("0000", "0001"):
        folder = tmp_path / "got" / task
        assert (folder / "out/result").read_text() == f"{task}\n"
        assert (folder / "out/sub").is_dir()
        assert not (folder / "out/away").is_symlink()
        assert f"{task}: not collected: /nowhere is not there" in done.stderr
    assert "collected from 0 of 2 agents" in done.stderr  # not all that was asked for
    assert containers(client, run_name) == []


def test_a_directory_that_cannot_be_written_is_refused_before_anything_starts(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    arguments = ["--count", "1", "--name", run_name, "--collect", "/out", "--collect-to"]

    refused = launch(environ, *arguments, "/proc/nowhere", code=64)

    assert "--collect-to /proc/nowhere" in refused.stderr
    assert containers(client, run_name) == []

"""docker's flags reach the containers, and starts can be spaced."""

import docker

from engine.conftest import containers, launch

SHOW = "ulimit -n; grep db /etc/hosts; cat /etc/resolv.conf; df /scratch /mine | tail -n 2"


def test_flags_of_docker_mean_what_they_mean_there(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    flags = ["--ulimit", "nofile=777:888", "--add-host", "db:10.0.0.5", "--dns", "10.9.8.7"]
    flags += ["--tmpfs", "/scratch:size=1m", "--mount", "type=tmpfs,target=/mine,tmpfs-size=2m"]
    flags += ["--log-opt", "max-size=1m", "--ipc", "shareable", "--device", "/dev/fuse"]

    done = launch(environ, "--count", "1", "--name", run_name, *flags, "--", "sh", "-c", SHOW)

    lines = [line.removeprefix("0000 | ") for line in done.stdout.splitlines()]
    assert lines[0] == "777"
    assert any(line.split() == ["10.0.0.5", "db"] for line in lines)
    assert any("10.9.8.7" in line for line in lines)
    assert sum(line.startswith("tmpfs") for line in lines) == 2
    (container,) = containers(client, run_name)
    host = container.attrs["HostConfig"]
    assert host["LogConfig"]["Config"] == {"max-size": "1m", "max-file": "2"}
    assert host["IpcMode"] == "shareable"
    assert host["Devices"][0]["PathOnHost"] == "/dev/fuse"


def test_what_the_engine_refuses_is_refused_once(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    done = launch(environ, "--count", "5", "--name", run_name, "--log-driver", "nonesuch", code=69)

    assert "with these settings" in done.stderr.splitlines()[0]
    assert containers(client, run_name) == []

"""docker's flags mean here what they mean there, and are refused before anything starts."""

import docker
import pytest

from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.networks import Networks
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.docker_flags import (
    DockerSettings,
    Mount,
    parse_host,
    parse_mount,
    parse_tmpfs,
    parse_ulimit,
)
from ravi_agent.launcher.planning.plan import make_plan
from ravi_agent.launcher.planning.spec import RunSpec


@pytest.mark.parametrize(
    ("entry", "mount"),
    [
        ("type=bind,source=/a,target=/b", Mount(type="bind", source="/a", target="/b")),
        (
            "type=bind,src=/a,dst=/b,ro",
            Mount(type="bind", source="/a", target="/b", is_read_only=True),
        ),
        ("source=data,destination=/b/", Mount(type="volume", source="data", target="/b")),
        (
            "type=volume,target=/b,readonly=true,volume-nocopy",
            Mount(type="volume", target="/b", is_read_only=True, is_nocopy=True),
        ),
        ("type=volume,target=/b,readonly=false", Mount(type="volume", target="/b")),
        (
            "type=tmpfs,target=/b,tmpfs-size=64m,tmpfs-mode=1770",
            Mount(type="tmpfs", target="/b", tmpfs_size=64 << 20, tmpfs_mode=0o1770),
        ),
        ('type=bind,"source=/a,b",target=/b', Mount(type="bind", source="/a,b", target="/b")),
    ],
)
def test_a_mount_reads_as_docker_reads_it(entry: str, mount: Mount) -> None:
    assert parse_mount(entry) == mount


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        (DockerSettings(mounts=["type=bind,target=/b"]), "--mount"),
        (DockerSettings(mounts=["type=npipe,target=/b"]), "--mount"),
        (DockerSettings(mounts=["target=b"]), "--mount"),
        (DockerSettings(mounts=["target=/b,colour=red"]), "--mount"),
        (DockerSettings(mounts=["target=/b,readonly=maybe"]), "--mount"),
        (DockerSettings(mounts=["target=/b,tmpfs-mode=rwx"]), "--mount"),
        (DockerSettings(mounts=['"target=/b']), "--mount"),
        (DockerSettings(mounts=["type=volume,target=/b,bind-propagation=rshared"]), "--mount"),
        (DockerSettings(mounts=["type=volume,target=/b,tmpfs-mode=1777"]), "--mount"),
        (DockerSettings(mounts=["type=bind,source=/a,target=/b,tmpfs-size=1m"]), "--mount"),
        (DockerSettings(mounts=["type=bind,source=/a,target=/b,volume-nocopy"]), "--mount"),
        (DockerSettings(mounts=["type=tmpfs,target=/b,bind-propagation=private"]), "--mount"),
        (DockerSettings(mounts=["type=tmpfs,source=/a,target=/b"]), "--mount"),
        (DockerSettings(mounts=["source=my data,target=/b"]), "--mount"),
        (DockerSettings(mounts=["source=data,target=//"]), "--mount"),
        (DockerSettings(dns=["resolver.example"]), "--dns"),
        (DockerSettings(ulimits=["files=3"]), "--ulimit"),
        (DockerSettings(ulimits=["nofile=9:3"]), "--ulimit"),
        (DockerSettings(ulimits=["nofile=-1:3"]), "--ulimit"),
        (DockerSettings(hosts=["db"]), "--add-host"),
        (DockerSettings(tmpfs=["scratch"]), "--tmpfs"),
        (DockerSettings(devices=["fuse"]), "--device"),
        (DockerSettings(devices=["/dev/fuse:/dev/fuse:x"]), "--device"),
        (DockerSettings(log_opts=["max-size"]), "--log-opt"),
    ],
)
def test_what_docker_would_refuse_is_refused(settings: DockerSettings, flag: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings.check()

    assert caught.value.what.startswith(f"{flag} ")
    assert (caught.value.fix or "").startswith(f"{flag} ")


@pytest.mark.parametrize(
    ("entry", "limit"),
    [
        ("nofile=1024", ("nofile", 1024, 1024)),
        ("nofile=1024:2048", ("nofile", 1024, 2048)),
        ("memlock=-1", ("memlock", -1, -1)),
        ("memlock=5:-1", ("memlock", 5, -1)),
    ],
)
def test_a_ulimit_without_a_hard_one_has_the_same(entry: str, limit: tuple[str, int, int]) -> None:
    assert parse_ulimit(entry) == limit


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("db:10.0.0.5", "db:10.0.0.5"),
        ("db=10.0.0.5", "db:10.0.0.5"),
        ("six:::1", "six:::1"),
        ("six=[::1]", "six:::1"),
        ("host.docker.internal:host-gateway", "host.docker.internal:host-gateway"),
    ],
)
def test_a_host_is_added_in_each_of_dockers_forms(entry: str, host: str) -> None:
    assert parse_host(entry) == host


def test_a_tmpfs_keeps_its_options() -> None:
    assert parse_tmpfs("/run/x/:rw,size=64m") == ("/run/x", "rw,size=64m")
    assert parse_tmpfs("/run/x") == ("/run/x", "")


def test_agents_do_not_share_a_workspace_by_a_mount() -> None:
    settings = DockerSettings(mounts=["type=bind,source=/a,target=/workspace"])
    spec = RunSpec(
        image="i",
        count=2,
        api_url="https://ravi.example",
        container=ContainerOptions(docker=settings),
    )

    with pytest.raises(UsageError, match="share their workspace"):
        make_plan("nightly", spec, is_fresh=True)


@pytest.mark.parametrize("network", ["none", "host", "container:db"])
def test_a_local_ravi_is_refused_to_agents_that_cannot_reach_it(network: str) -> None:
    container = ContainerOptions(network=network)
    spec = RunSpec(image="i", count=1, api_url="http://ravi-local:8787", container=container)
    plan = make_plan("nightly", spec, is_fresh=False)
    client = docker.DockerClient(base_url="unix:///nonexistent", version="1.41")

    with pytest.raises(UsageError, match=f"--network {network} and --local"):
        Networks(client, plan, has_local=True)
    Networks(client, plan)  # whose service is elsewhere
    client.close()


def test_the_record_of_a_run_keeps_them() -> None:
    settings = DockerSettings(mounts=("target=/b",), ulimits=("nofile=5",), ipc="host")
    spec = RunSpec(
        image="i", count=2, api_url="https://x", container=ContainerOptions(docker=settings)
    )

    assert RunSpec.from_record(spec.to_record()) == spec

"""Docker's settings for every container of a run, checked as they were typed."""

import json
from pathlib import Path
from typing import Any

import pytest

from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.container import (
    PIDS_LIMIT,
    ContainerOptions,
    parse_container_options,
)


def refusal(**options: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_container_options(**options)
    return caught.value


def test_without_a_wish_a_container_is_limited_and_gains_no_privilege() -> None:
    options = parse_container_options()

    assert options == ContainerOptions()
    assert options.pids_limit == PIDS_LIMIT == 4096
    assert options.security_opt == ("no-new-privileges",)
    assert options.cap_add == ()
    assert options.memory is None
    assert options.pull == "missing"


def test_there_can_be_no_limit_of_processes_as_docker_has_it() -> None:
    assert parse_container_options(pids_limit=-1).pids_limit == -1


def test_every_wish_arrives() -> None:
    options = parse_container_options(
        cpus=0.5,
        memory="512m",
        shm_size="1g",
        pids_limit=100,
        gpus="all",
        user="1000:1000",
        is_read_only=True,
        cap_add=["NET_ADMIN"],
        security_opt=["apparmor=mine"],
        network="agents",
        platform="linux/arm64",
        pull="never",
    )

    assert options == ContainerOptions(
        cpus=0.5,
        memory=512 << 20,
        shm_size=1 << 30,
        pids_limit=100,
        gpus="all",
        user="1000:1000",
        is_read_only=True,
        cap_add=("NET_ADMIN",),
        security_opt=("no-new-privileges", "apparmor=mine"),
        network="agents",
        platform="linux/arm64",
        pull="never",
    )


@pytest.mark.parametrize("cpus", [0.01, 1.0, 10_000])
def test_so_many_cores_are_taken(cpus: float) -> None:
    assert parse_container_options(cpus=cpus).cpus == cpus


@pytest.mark.parametrize("cpus", [0.0, -1.0, 0.009, 10_001, float("nan"), float("inf")])
def test_so_many_cores_are_refused(cpus: float) -> None:
    assert str(refusal(cpus=cpus)) == f"--cpus {cpus}: give a number of cores above 0"


@pytest.mark.parametrize("gpus", ["all", "0", "2", "device=0", "device=0,GPU-3a23c669"])
def test_gpus_are_taken_as_docker_takes_them(gpus: str) -> None:
    assert parse_container_options(gpus=gpus).gpus == gpus


@pytest.mark.parametrize("gpus", ["", "ALL", "-1", "1.5", "device=", "device=0,", "device=,0"])
def test_other_gpus_are_refused(gpus: str) -> None:
    assert str(refusal(gpus=gpus)) == f"--gpus {gpus!r}: give all, a number or device=ID,ID"


def test_the_smallest_number_of_processes_is_taken() -> None:
    assert parse_container_options(pids_limit=16).pids_limit == 16


@pytest.mark.parametrize("limit", [15, 0, -2])
def test_too_few_processes_are_refused(limit: int) -> None:
    assert str(refusal(pids_limit=limit)) == (f"--pids-limit {limit}: no agent starts with so few")


@pytest.mark.parametrize("flag", ["memory", "shm_size"])
def test_a_size_that_is_none_is_refused_under_its_flag(flag: str) -> None:
    assert refusal(**{flag: "much"}).what == f"--{flag.replace('_', '-')} 'much'"


@pytest.mark.parametrize("pull", ["", "Always", "if-not-present"])
def test_an_unknown_pull_policy_is_refused(pull: str) -> None:
    assert str(refusal(pull=pull)) == f"--pull {pull!r}: choose always, missing or never"


def test_capabilities_have_one_spelling() -> None:
    options = parse_container_options(cap_add=["cap_net_admin", "SYS_PTRACE", "all"])

    assert options.cap_add == ("NET_ADMIN", "SYS_PTRACE", "ALL")


@pytest.mark.parametrize("given", ["no-new-privileges:false", "no-new-privileges=false"])
def test_who_says_so_gets_new_privileges(given: str) -> None:
    assert parse_container_options(security_opt=[given]).security_opt == (given,)


@pytest.mark.parametrize("given", ["seccomp=unconfined", "seccomp=builtin", "label=disable"])
def test_words_of_the_engine_are_no_files(given: str) -> None:
    assert parse_container_options(security_opt=[given]).security_opt == (
        "no-new-privileges",
        given,
    )


def test_a_seccomp_profile_is_sent_as_its_content(tmp_path: Path) -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(profile, indent=2))

    sent = parse_container_options(security_opt=[f"seccomp={path}"]).security_opt[-1]

    assert sent == 'seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[]}'


def test_a_seccomp_profile_that_is_not_there_or_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    option = f"seccomp={path}"
    assert str(refusal(security_opt=[option])) == (
        f"--security-opt {option}: No such file or directory"
    )

    for content in (b"{", b"\xff"):
        path.write_bytes(content)
        assert str(refusal(security_opt=[option])) == f"--security-opt {option}: it is not JSON"

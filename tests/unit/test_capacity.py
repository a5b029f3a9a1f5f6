"""How many starts at once a host carries, and how many open files they take."""

import resource
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.capacity import (
    MOST_STARTS,
    check_count,
    default_concurrency,
    files_needed,
    measured,
    reserve_files,
)
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.spec import Flow, RunSpec

MIB = 1 << 20


def plan_of(
    count: int,
    *,
    memory: int | None = None,
    concurrency: int | None = None,
    parallel: int | None = None,
) -> Plan:
    spec = RunSpec(
        image="ravi-agent-base",
        count=count,
        api_url="https://ravi.example",
        container=ContainerOptions(memory=memory),
        flow=Flow(concurrency=concurrency, parallel=parallel, retries=3),
    )
    return make_plan("nightly", spec, is_fresh=True)


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """This process's limits of open files, the soft one lowered to 500, restored afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, hard))
    yield 500, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("cores", "starts"), [(1, 4), (2, 8), (16, 64), (64, 256)])
def test_starts_at_once_go_by_the_cores(cores: int, starts: int) -> None:
    assert default_concurrency(plan_of(1000), cores=cores, free_memory=0) == starts


@pytest.mark.parametrize(
    ("free", "starts"), [(10_000 * MIB, 16), (1600 * MIB, 16), (1599 * MIB, 15), (99 * MIB, 1)]
)
def test_no_more_are_started_at_once_than_fit_into_the_memory(free: int, starts: int) -> None:
    plan = plan_of(1000, memory=100 * MIB)

    assert default_concurrency(plan, cores=4, free_memory=free) == starts


def test_with_no_memory_left_one_at_a_time_still_starts() -> None:
    assert default_concurrency(plan_of(9, memory=MIB), cores=4, free_memory=0) == 1


@pytest.mark.parametrize(
    ("concurrency", "parallel", "starts"),
    [(5, None, 5), (40, None, 20), (40, 6, 6), (3, 6, 3), (40, 100, 20)],
)
def test_what_was_asked_for_is_kept_as_far_as_there_are_agents(
    concurrency: int, parallel: int | None, starts: int
) -> None:
    plan = plan_of(20, concurrency=concurrency, parallel=parallel)

    assert measured(plan, has_logs=False).flow.concurrency == starts


def test_more_threads_than_an_engine_is_helped_by_are_never_started() -> None:
    plan = plan_of(100, concurrency=100)

    assert measured(plan, has_logs=False).flow.concurrency == MOST_STARTS


def test_without_a_wish_this_host_is_measured() -> None:
    plan = measured(plan_of(1000, parallel=100), has_logs=False)

    assert plan.flow.concurrency == min(MOST_STARTS, max(4, 4 * (psutil.cpu_count() or 1)))


def test_nothing_else_of_a_plan_is_changed() -> None:
    plan = plan_of(9, concurrency=2, memory=MIB)

    assert measured(plan, has_logs=True) == plan


def test_open_files_are_counted_by_agents_logs_and_starts() -> None:
    bare = files_needed(0, 0, has_logs=False)

    assert bare > 0
    assert files_needed(100, 0, has_logs=False) == bare + 100
    assert files_needed(100, 0, has_logs=True) == bare + 200
    assert files_needed(100, 8, has_logs=True) == bare + 216


def test_the_limit_of_open_files_is_raised_to_what_is_needed(limits: tuple[int, int]) -> None:
    reserve_files(501, 400)

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (501, limits[1])


@pytest.mark.parametrize("needed", [1, 499, 500])
def test_a_limit_that_is_high_enough_stays(needed: int, limits: tuple[int, int]) -> None:
    reserve_files(needed, 1)

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits


def test_more_agents_than_the_host_has_files_for_are_refused_before_a_start(
    limits: tuple[int, int],
) -> None:
    hard = limits[1]
    assert hard != resource.RLIM_INFINITY, "the kernel knows no unlimited number of files"

    with pytest.raises(UsageError) as caught:
        reserve_files(hard + 1, 1234)

    assert str(caught.value) == (
        f"1234 agents at once: they take {hard + 1} open files, and this host allows {hard}"
    )
    assert caught.value.fix == f"ulimit -n {hard + 1}, or fewer at once: --parallel"
    assert caught.value.exit_code == 64
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits


@pytest.mark.usefixtures("limits")
def test_a_plan_reserves_files_for_the_agents_that_run_at_once() -> None:
    measured(plan_of(2000, parallel=600, concurrency=8), has_logs=True)

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == files_needed(600, 8, has_logs=True)


def test_a_million_agents_are_refused_before_anything_is_made_of_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    spec = RunSpec(image="i", count=1_000_000, api_url="https://ravi.example")

    with pytest.raises(UsageError, match="1000000 agents at once"):
        check_count(spec, has_logs=False)
    check_count(replace(spec, flow=Flow(parallel=500)), has_logs=False)

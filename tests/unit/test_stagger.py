"""With --stagger no two starts come together, and none in a rhythm that a site could see."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from ravi_agent.launcher.docker.starters import Starters
from ravi_agent.launcher.planning.plan import make_plan
from ravi_agent.launcher.planning.spec import Flow, RunSpec

SPEC = RunSpec(image="i", count=3, api_url="https://ravi.example")


def turns(flow: Flow, count: int) -> list[float]:
    """When so many starts in a row may begin; the run is over, so that nobody waits."""
    plan = make_plan("nightly", replace(SPEC, flow=flow), is_fresh=True)
    nobody: Any = None
    starters = Starters(plan, nobody, nobody, nobody, nobody, lambda _: None, nobody)
    starters.stop()
    found = []
    for _ in range(count):
        starters._wait_for_turn()
        found.append(starters._next_at)
    starters.close()
    return found


def test_starts_are_spaced_more_or_less_by_half_of_the_time() -> None:
    found = turns(Flow(stagger_s=1000), 50)

    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert all(500 <= gap <= 1500 for gap in gaps)
    assert len(set(gaps)) > 40


def test_without_it_nobody_waits() -> None:
    assert set(turns(Flow(), 5)) == {0.0}

"""What a run costs the API server and Ravi, on a fake of the one and a local other."""

from pathlib import Path

import pytest

from fake_kubernetes.measure import measure, measure_identity

PAGE = (Path(__file__).parents[2] / "docs/scale.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("count", [10, 100])
def test_the_calls_of_the_launcher_do_not_grow_with_the_run(count: int) -> None:
    cost = measure(count, told=1)

    assert (cost.writes, cost.watches) == (3, 4)
    assert cost.objects == count + 2


def test_an_identity_costs_three_calls() -> None:
    calls, size = measure_identity()

    assert calls == [
        "GET /api/identities/",
        "POST /api/identities/",
        "POST /api/auth/keys/identity/",
    ]
    assert f"{size} bytes each" in PAGE

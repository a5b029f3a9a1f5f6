"""The figures of `docs/scale.md` are what is measured."""

from pathlib import Path

import pytest

from fake_kubernetes.measure import measure, measure_identity

PAGE = (Path(__file__).parents[2] / "docs/scale.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("count", [10, 100])
def test_a_run_costs_what_the_page_says(count: int) -> None:
    cost = measure(count, told=1)

    assert cost.row() in PAGE.splitlines()


def test_an_identity_costs_three_calls() -> None:
    calls, size = measure_identity()

    assert calls == [
        "GET /api/identities/",
        "POST /api/identities/",
        "POST /api/auth/keys/identity/",
    ]
    assert f"{size} bytes each" in PAGE

"""Times and sizes as docker's flags take them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.values import parse_bytes, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("007s", 7)],
)
def test_a_time_is_a_number_with_a_unit(text: str, seconds: int) -> None:
    assert parse_seconds("--timeout", text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "s", "m30", "-1", "+1", "1.5h", "1 h", " 1h", "1h\n", "1h30m", "30M", "1w", "9" * 10],
    ids=repr,
)
def test_a_time_is_nothing_else(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_seconds("--timeout", text)

    assert str(caught.value) == f"--timeout {text!r}: a time is a number and s, m, h or d"
    assert caught.value.fix == "--timeout 30m"
    assert caught.value.exit_code == 64


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("4096", 4096),
        ("1b", 1),
        ("1k", 1 << 10),
        ("64m", 64 << 20),
        ("2g", 2 << 30),
        ("1t", 1 << 40),
        ("1.5g", 3 << 29),
        ("0.5k", 512),
        ("64M", 64 << 20),
        ("64mb", 64 << 20),
        ("64MiB", 64 << 20),
    ],
)
def test_a_size_is_a_number_with_a_binary_unit(text: str, size: int) -> None:
    assert parse_bytes("--memory", text) == size


@pytest.mark.parametrize(
    "text",
    ["", "0", "0g", "0.1", "-1m", "+1m", "1e3", "m", ".5g", "1.g", "1,5g", "1 g", "1x", "1m\n"],
    ids=repr,
)
def test_a_size_is_nothing_else_and_never_nought(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_bytes("--memory", text)

    assert str(caught.value) == f"--memory {text!r}: a size is a number and b, k, m or g"
    assert caught.value.fix == "--memory 512m"
    assert caught.value.exit_code == 64


@given(st.text(max_size=12) | st.text("0123456789.bkmgtishd", max_size=12))
def test_any_text_is_a_value_or_a_refusal(text: str) -> None:
    for parse, least in ((parse_seconds, 0), (parse_bytes, 1)):
        try:
            value = parse("--flag", text)
        except UsageError:
            continue
        assert value >= least


@given(st.integers(1, 10**15 - 1), st.sampled_from([("k", 10), ("m", 20), ("g", 30), ("t", 40)]))
def test_a_whole_number_of_a_unit_is_exact(number: int, unit: tuple[str, int]) -> None:
    assert parse_bytes("--memory", f"{number}{unit[0]}") == number << unit[1]

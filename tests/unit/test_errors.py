"""Exit codes that scripts rely on, and the form of every message."""

import pytest

from ravi_agent import contract, errors
from ravi_agent.errors import RaviError

CODES = {
    "RaviError": 70,
    "AbsentError": 1,
    "UsageError": 64,
    "SettingsError": 78,
    "WorkspaceError": 73,
    "UnreachableError": 69,
    "NotSentError": 69,
    "OutcomeUnknownError": 69,
    "ThrottledError": 75,
    "TimeUpError": 75,
    "LimitError": 75,
    "AnswerError": 76,
    "RefusedError": 77,
    "EngineError": 69,
}


def _all_errors() -> list[type[RaviError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, RaviError)]


def _make(kind: type[RaviError], what: str, why: str, fix: str | None = None) -> RaviError:
    if issubclass(kind, errors.RefusedError):
        return kind(what, why, fix, status=402)
    return kind(what, why, fix)


def test_every_error_has_a_code_in_the_contract() -> None:
    assert {kind.__name__: kind.exit_code for kind in _all_errors()} == CODES


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("EXIT_USAGE", 64),
        ("EXIT_UNREACHABLE", 69),
        ("EXIT_BUG", 70),
        ("EXIT_WORKSPACE", 73),
        ("EXIT_THROTTLED", 75),
        ("EXIT_ANSWER", 76),
        ("EXIT_REFUSED", 77),
        ("EXIT_SETTINGS", 78),
        ("EXIT_NOT_EXECUTABLE", 126),
        ("EXIT_NOT_FOUND", 127),
        ("EXIT_SIGNAL_BASE", 128),
    ],
)
def test_the_codes_are_the_documented_ones(name: str, code: int) -> None:
    assert getattr(contract, name) == code


@pytest.mark.parametrize("kind", _all_errors(), ids=lambda kind: kind.__name__)
def test_a_message_is_the_cause_on_one_line_and_the_remedy_on_the_next(
    kind: type[RaviError],
) -> None:
    error = _make(kind, "workspace /w", "no space", "free some")

    assert error.lines("ravi-entrypoint") == (
        "ravi-entrypoint: error: workspace /w: no space\n  fix: free some\n"
    )
    assert str(error) == "workspace /w: no space"


@pytest.mark.parametrize(
    "kind",
    [kind for kind in _all_errors() if kind is not errors.AnswerError],
    ids=lambda kind: kind.__name__,
)
def test_a_message_without_a_remedy_is_one_line(kind: type[RaviError]) -> None:
    assert _make(kind, "a", "b").lines("ravi-init") == "ravi-init: error: a: b\n"


def test_an_answer_that_makes_no_sense_always_has_a_remedy() -> None:
    assert "  fix: check that RAVI_API_URL" in errors.AnswerError("a", "b").lines("ravi-init")


def test_what_a_caller_decides_by_is_an_attribute() -> None:
    assert errors.NotSentError("a", "b", is_final=True).is_final
    assert not errors.NotSentError("a", "b").is_final
    assert errors.OutcomeUnknownError("a", "b", may_still_run=True).may_still_run
    assert not errors.OutcomeUnknownError("a", "b").may_still_run
    assert errors.ThrottledError("a", "b", retry_after_s=2.5).retry_after_s == 2.5
    assert errors.ThrottledError("a", "b").retry_after_s is None
    assert errors.RefusedError("a", "b", status=402).status == 402

"""What boot writes for supervise, and supervise for release, is what they read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ravi_agent.container.options import (
    SCOPE_AGENT,
    SCOPE_GROUP,
    SCOPE_STOP,
    Options,
    from_release_words,
    to_release_words,
)

# What execve can carry: everything but NUL. Names are those of variables.
WORDS = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
NUMBERS = st.integers(0, 2**31)
PAIRS = st.dictionaries(NUMBERS, NUMBERS, max_size=3)
VARIABLES = st.dictionaries(st.from_regex(r"\A[A-Z_]{1,20}\Z"), WORDS, max_size=3)


def fields(options: Options) -> dict[str, object]:
    return {name: getattr(options, name) for name in Options.__slots__}


@given(
    command=st.lists(st.one_of(WORDS, st.just("--"), st.just("grace=0")), min_size=1, max_size=4),
    grace_s=st.floats(0.001, 86400),
    log=st.sampled_from([("info", "text"), ("error", "json")]),
    signal_scope=st.sampled_from([SCOPE_STOP, SCOPE_AGENT, SCOPE_GROUP]),
    signal_map=PAIRS,
    exit_remap=PAIRS,
    status_path=st.one_of(st.none(), WORDS.map(lambda text: f"/{text}")),
    user=st.one_of(st.none(), st.tuples(NUMBERS, NUMBERS, st.lists(NUMBERS, max_size=3))),
    on_exit=VARIABLES,
    parent=st.one_of(st.none(), NUMBERS),
    start_hook=st.one_of(st.none(), WORDS),
    stop_hook=st.one_of(st.none(), WORDS),
    agent=st.one_of(st.none(), NUMBERS),
    held=st.one_of(st.none(), NUMBERS),
    is_telling=st.booleans(),
)
def test_supervise_reads_what_boot_wrote(
    *,
    command: list[str],
    grace_s: float,
    log: tuple[str, str],
    signal_scope: str,
    signal_map: dict[int, int],
    exit_remap: dict[int, int],
    status_path: str | None,
    user: tuple[int, int, list[int]] | None,
    on_exit: dict[str, str],
    parent: int | None,
    start_hook: str | None,
    stop_hook: str | None,
    agent: int | None,
    held: int | None,
    is_telling: bool,
) -> None:
    options = Options(
        command,
        grace_s=grace_s,
        log=log,
        signal_scope=signal_scope,
        signal_map=signal_map,
        exit_remap=exit_remap,
        status_path=status_path,
        user=user,
        on_exit=on_exit,
        start_hook=start_hook,
        stop_hook=stop_hook,
    )
    options.parent, options.agent, options.held = parent, agent, held
    options.is_telling = is_telling

    assert fields(Options.from_words(options.to_words())) == fields(options)


@given(code=st.integers(0, 255), on_exit=VARIABLES)
def test_release_reads_what_supervise_wrote(code: int, on_exit: dict[str, str]) -> None:
    assert from_release_words(to_release_words(code, on_exit)) == (code, on_exit)


@pytest.mark.parametrize("command", [["--"], ["on-exit.A=b"], ["a=b", "--", "c"]], ids=" ".join)
def test_a_word_of_the_command_is_never_taken_for_an_option(command: list[str]) -> None:
    options = Options.from_words(Options(command, grace_s=8).to_words())

    assert options.command == command
    assert options.on_exit == {}

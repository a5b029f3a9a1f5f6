"""The line on standard input and the answer to it: keys go through and show up nowhere."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent import contract
from ravi_agent.credential import Credential
from ravi_agent.errors import SettingsError
from ravi_agent.handover import Handover, parse_ready_line, read_handover, ready_line
from ravi_agent.identity import Identity

KEY = "ravi_id_PLANTED_0123456789"
IDENTITY = Identity(
    uuid="0a1b",
    name="task-é",
    email="task-1@ravi.example",
    phone=None,
    created_at="2026-01-02T03:04:05Z",
    key=KEY,
)


def always(_descriptor: int) -> bool:
    return True


@contextmanager
def pipe_with(*chunks: bytes) -> Iterator[int]:
    """The reading end of a pipe through which these chunks come, and then the end."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb", buffering=0) as file:
            try:
                file.writelines(chunks)
            except BrokenPipeError:
                return  # who read it has read enough

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield reading
    finally:
        os.close(reading)
        writer.join(30)


@pytest.mark.parametrize("key", [KEY, None], ids=["with key", "without key"])
def test_an_identity_goes_through(key: str | None) -> None:
    line = Handover(identity=IDENTITY.with_key(key)).to_line()

    handover = Handover.from_line(line)
    assert handover.identity == IDENTITY.with_key(key)
    assert handover.credential is None
    assert handover.is_fresh is False


@pytest.mark.parametrize("is_fresh", [True, False], ids=["fresh", "not fresh"])
def test_a_management_key_goes_through(is_fresh: bool) -> None:
    credential = Credential(MANAGEMENT_KEY, "RAVI_MANAGEMENT_KEY")
    line = Handover(credential=credential, is_fresh=is_fresh).to_line()

    handover = Handover.from_line(line)
    assert handover.identity is None
    assert handover.credential
    assert handover.credential.token == MANAGEMENT_KEY
    assert handover.is_fresh is is_fresh


def test_a_handover_is_one_line() -> None:
    for handover in (
        Handover(identity=IDENTITY),
        Handover(credential=Credential(MANAGEMENT_KEY, "x"), is_fresh=True),
    ):
        line = handover.to_line()
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert len(line) < contract.HANDOVER_LIMIT


def test_no_repr_shows_a_key() -> None:
    for handover in (
        Handover(identity=IDENTITY),
        Handover(credential=Credential(MANAGEMENT_KEY, "the source")),
    ):
        text = f"{handover!r} {handover} {[handover]}"
        assert KEY not in text
        assert MANAGEMENT_KEY not in text
        assert "<hidden>" in text


PUBLIC = IDENTITY.public()

BAD_LINES = {
    "empty": b"",
    "blank": b"   ",
    "no JSON": f"key {MANAGEMENT_KEY}".encode(),
    "half a line": json.dumps({"management_key": MANAGEMENT_KEY}).encode()[:-1],
    "two objects": json.dumps({"management_key": MANAGEMENT_KEY}).encode() * 2,
    "a string": json.dumps(MANAGEMENT_KEY).encode(),
    "a list": json.dumps([MANAGEMENT_KEY]).encode(),
    "null": b"null",
    "a number": b"9" * 5000,
    "deeply nested": b"[" * 60_000,
    "no UTF-8": b'{"management_key": "\xff' + MANAGEMENT_KEY.encode() + b'"}',
    "nothing in it": b"{}",
    "a key that is not text": json.dumps({"management_key": [MANAGEMENT_KEY]}).encode(),
    "an empty key": json.dumps({"management_key": " "}).encode(),
    "a key of two lines": json.dumps({"management_key": f"{MANAGEMENT_KEY}\nx"}).encode(),
    "a key beyond ASCII": json.dumps({"management_key": f"{MANAGEMENT_KEY}é"}).encode(),
    "a key that injects a header": json.dumps(
        {"management_key": f"{MANAGEMENT_KEY}\r\nX-Ravi-Identity: 1"}
    ).encode(),
    "another spelling": json.dumps({"managementKey": MANAGEMENT_KEY}).encode(),
    "an identity that is not an object": json.dumps({"identity": MANAGEMENT_KEY}).encode(),
    "an identity without fields": json.dumps({"identity": {"key": KEY}}).encode(),
    "an identity with a quote": json.dumps(
        {"identity": {**PUBLIC, "email": f"{KEY}'", "key": KEY}}
    ).encode(),
    "an identity key of two lines": json.dumps(
        {"identity": {**PUBLIC, "key": f"{KEY}\nx"}}
    ).encode(),
    "an identity key that is a number": json.dumps({"identity": {**PUBLIC, "key": 7}}).encode(),
    "an identity key in a list": json.dumps({"identity": {**PUBLIC, "key": [KEY]}}).encode(),
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_an_error_of_the_settings_that_quotes_nothing_of_it(line: bytes) -> None:
    with pytest.raises(SettingsError) as caught:
        Handover.from_line(line)

    text = caught.value.lines("test")
    assert caught.value.exit_code == 78
    assert "hand-over" in text
    assert "  fix: " in text
    assert "PLANTED" not in text
    # No traceback shows what was being read.
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_a_handover_says_only_true_is_fresh() -> None:
    values: list[object] = [1, "true", None, []]
    for value in values:
        line = json.dumps({"management_key": MANAGEMENT_KEY, "fresh": value}).encode()
        assert Handover.from_line(line).is_fresh is False


def test_what_a_later_launcher_adds_is_ignored() -> None:
    line = json.dumps({"management_key": MANAGEMENT_KEY, "colour": "red"}).encode()

    credential = Handover.from_line(line).credential
    assert credential
    assert credential.token == MANAGEMENT_KEY


def test_a_line_that_comes_in_pieces_is_read_to_its_end_and_no_further() -> None:
    line = Handover(identity=IDENTITY).to_line()
    chunks = [bytes([byte]) for byte in line]

    with pipe_with(*chunks, b"the agent's own input\n") as descriptor:
        assert read_handover(descriptor, always).identity == IDENTITY


def test_what_follows_the_line_does_not_matter() -> None:
    line = Handover(identity=IDENTITY).to_line()

    with pipe_with(line + b"not JSON\n") as descriptor:
        assert read_handover(descriptor, always).identity == IDENTITY


@pytest.mark.parametrize(
    "chunk",
    [b"", Handover(credential=Credential(MANAGEMENT_KEY, "x")).to_line()[:-1]],
    ids=["nothing", "no line end"],
)
def test_an_input_that_ends_before_the_line_does_is_refused(chunk: bytes) -> None:
    with (
        pipe_with(chunk) as descriptor,
        pytest.raises(SettingsError, match="ended before") as caught,
    ):
        read_handover(descriptor, always)

    assert MANAGEMENT_KEY not in caught.value.lines("test")


def test_a_line_that_does_not_end_is_not_read_for_ever() -> None:
    endless = [MANAGEMENT_KEY.encode() * 1000] * 1000

    with (
        pipe_with(*endless) as descriptor,
        pytest.raises(SettingsError, match="does not end") as caught,
    ):
        read_handover(descriptor, always)

    assert MANAGEMENT_KEY not in caught.value.lines("test")


def test_a_long_line_within_the_limit_is_read() -> None:
    credential = {"management_key": MANAGEMENT_KEY, "padding": ""}
    room = contract.HANDOVER_LIMIT - len(json.dumps(credential)) - 1
    line = json.dumps({**credential, "padding": "x" * room}).encode() + b"\n"
    assert len(line) == contract.HANDOVER_LIMIT

    with pipe_with(line) as descriptor:
        found = read_handover(descriptor, always).credential

    assert found
    assert found.token == MANAGEMENT_KEY


def test_a_line_that_takes_too_long_is_given_up() -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(SettingsError, match="in time"):
            read_handover(reading, lambda _: False)
    finally:
        os.close(reading)
        os.close(writing)


def test_the_answer_shows_the_public_half_alone() -> None:
    line = ready_line(IDENTITY)

    assert line.startswith("ravi-entrypoint: ready: {")
    assert line.endswith("}\n")
    assert KEY not in line
    assert parse_ready_line(line.encode()) == IDENTITY.with_key(None)
    assert parse_ready_line(line.encode().rstrip()) == IDENTITY.with_key(None)


PREFIX = contract.READY_PREFIX.encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b" " + ready_line(IDENTITY).encode(),
        PREFIX,
        PREFIX + b"{}",
        PREFIX + b"[]",
        PREFIX + b"7",
        PREFIX + b"{",
        PREFIX + b"\xff",
        PREFIX + b"[" * 100_000,
        PREFIX + json.dumps({**PUBLIC, "email": None}).encode(),
        PREFIX + json.dumps({**PUBLIC, "email": "\x1b[2J"}).encode(),
    ],
    ids=[
        "empty",
        "something else",
        "not at the start",
        "no identity",
        "no fields",
        "a list",
        "a number",
        "half an object",
        "no UTF-8",
        "deeply nested",
        "no email",
        "an escape sequence",
    ],
)
def test_a_line_that_is_no_answer_is_none(line: bytes) -> None:
    assert parse_ready_line(line) is None

"""Agents' output is cut where lines end, and nowhere else as long as they are of a usual size."""

import os

import pytest

from ravi_agent.launcher.model.lines import LINE_LIMIT, Lines, last_state, whole_characters


def pieces(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 7, 16 * 1024, 1 << 20])
def test_lines_come_whole_however_they_arrive(size: int) -> None:
    text = b"one\n\ntwo\xe2\x9c\x94\n" + b"x" * 3000 + b"\nrest"
    lines = Lines()

    heard = [lines.feed(piece) for piece in pieces(text, size)]

    assert all(one.endswith(b"\n") for one in heard if one)
    assert b"".join(heard) == text.removesuffix(b"rest")
    assert (lines.end(), lines.end()) == (b"rest", b"")


def test_a_line_of_200_kb_stays_one() -> None:
    text = ('{"log": "' + "ü" * 100_000 + '"}\n').encode()
    lines = Lines()

    heard = [one for piece in pieces(text, 16 * 1024) if (one := lines.feed(piece))]

    assert heard == [text]


@pytest.mark.parametrize("character", ["a", "ü", "€", "😀"])
def test_a_line_that_is_too_long_is_cut_between_characters(character: str) -> None:
    text = (character * (3 * LINE_LIMIT // len(character.encode()))).encode()
    lines = Lines()

    heard = [one for piece in pieces(text, 16_381) if (one := lines.feed(piece))]
    heard.append(lines.end())

    assert len(heard) == 3
    assert b"".join(heard) == text
    for one in heard:
        one.decode()


def test_where_nothing_may_be_cut_nothing_is() -> None:
    lines = Lines(None)

    assert lines.feed(b"x\r" * LINE_LIMIT) == b""
    assert lines.feed(b"\n") == b"x\r" * LINE_LIMIT + b"\n"


def test_a_line_is_searched_once() -> None:
    """The time of a line grows with its length: no byte of what has come before is read again."""

    class Watched(bytearray):
        searched = 0

        def rfind(self, *_: object) -> int:
            Watched.searched += 1
            return -1

    lines = Lines()
    lines._rest = Watched()
    for _ in range(100):
        lines.feed(b"x" * 1000)

    assert Watched.searched == 0
    assert len(lines.end()) == 100_000


def test_a_line_that_is_written_over_is_heard_once_a_second() -> None:
    now = 100.0
    lines = Lines(clock=lambda: now)

    first = lines.feed(b"10%\r20%")
    second = lines.feed(b"\r30%\r")
    now += 1.0
    third = lines.feed(b"40%\r50%")
    last = lines.feed(b"\r100%\r\nnext\r")

    assert (first, second) == (b"10%\r", b"")
    assert third == b"20%\r30%\r40%\r"
    assert last == b"50%\r100%\r\n"
    assert lines.feed(b"\n") == b"next\r\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [("a", "a"), ("", ""), ("10%\r20%", "20%"), ("10%\r20%\r", "20%"), ("dos\r", "dos")],
)
def test_the_last_state_of_a_line_is_what_counts(line: str, shown: str) -> None:
    assert last_state(line) == shown


def test_bytes_that_are_no_text_are_cut_anywhere() -> None:
    for _ in range(200):
        data = os.urandom(6)
        assert len(data) - 3 <= whole_characters(data) <= len(data)
    assert whole_characters(b"\x80" * 8) == 8
    assert whole_characters(b"") == 0

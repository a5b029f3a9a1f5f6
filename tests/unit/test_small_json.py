"""The small reader agrees with the json module in what it takes and what it gives."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ravi_agent
from ravi_agent.small_json import read_json, write_json

WHY = "JSON|value|Expecting|Invalid|Extra|Unterminated|codec|property|delimiter|control"
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(VALUES, st.sampled_from([None, 2]), st.booleans(), st.text(" \t\r\n", max_size=3))
def test_it_reads_what_json_writes(
    value: object, indent: int | None, is_ascii: bool, around: str
) -> None:
    text = around + json.dumps(value, indent=indent, ensure_ascii=is_ascii) + around

    assert read_json(text.encode(errors="surrogatepass" if is_ascii else "strict")) == value


PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "))


@given(st.dictionaries(PRINTABLE, st.none() | PRINTABLE, max_size=4))
def test_it_writes_what_json_writes(record: dict[str, str | None]) -> None:
    assert write_json(record) == json.dumps(record)
    assert write_json(record, is_indented=True) == json.dumps(record, indent=2)


@given(st.dictionaries(st.text(), st.none() | st.text(), max_size=4))
def test_json_reads_whatever_it_writes(record: dict[str, str | None]) -> None:
    assert json.loads(write_json(record)) == record


@given(st.binary(max_size=20) | st.text('[]{}",:0123e+-.ntf \\u', max_size=20).map(str.encode))
def test_it_refuses_what_json_refuses(data: bytes) -> None:
    try:
        expected = json.loads(data.decode(), parse_constant=int)
    except ValueError:
        with pytest.raises(ValueError, match=WHY):
            read_json(data)
    else:
        assert read_json(data) == expected


@pytest.mark.parametrize("data", [b"NaN", b"-Infinity", b"{} {}", b"\xff", b"", b"\xef\xbb\xbf{}"])
def test_what_is_not_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=WHY):
        read_json(data)


def test_a_deep_value_is_an_error_and_not_a_crash() -> None:
    with pytest.raises(RecursionError):
        read_json(b"[" * 100_000)


def test_it_does_not_load_the_json_module() -> None:
    program = (
        f"import sys; sys.path.append({str(Path(ravi_agent.__file__).parents[1])!r})\n"
        "from ravi_agent.small_json import read_json\n"
        "assert read_json(b'{\"a\": [1, null]}') == {'a': [1, None]}\n"
        "assert not {'json', 're', 'enum'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-IS", "-c", program], check=True, timeout=60)

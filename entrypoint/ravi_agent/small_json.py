"""JSON without the json module, whose import takes an agent's start 10 ms and PID 1 a megabyte.

That module is mostly regular expressions for its own fallback; what reads for it is in C.
"""

from ravi_agent.log import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Never

_WHITE_SPACE = " \t\n\r"


class _Strict:
    """What json.JSONDecoder tells the scanner by default, and no NaN."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> "Never":
        raise ValueError(f"{name} is not JSON")


def read_json(data: bytes) -> object:
    """The value that `data`, in UTF-8, holds. Raises ValueError, RecursionError for a deep one."""
    try:
        from _json import make_scanner
    except ImportError:  # another Python than CPython
        import json

        return json.loads(data)
    text = data.decode().strip(_WHITE_SPACE)
    try:
        value, end = make_scanner(_Strict)(text, 0)  # type: ignore[arg-type] # typeshed wants a scanner
    except StopIteration as exc:
        raise ValueError("not JSON") from exc
    if end != len(text):
        raise ValueError("more than one value")
    return value


def write_json(record: "Mapping[str, str | None]", *, is_indented: bool = False) -> str:
    """An object of texts, as json.dumps writes it, by itself or with `indent=2`."""
    between, begin, end = (",\n  ", "{\n  ", "\n}") if is_indented else (", ", "{", "}")
    pairs = [
        f"{json_text(name)}: {'null' if text is None else json_text(text)}"
        for name, text in record.items()
    ]
    return begin + between.join(pairs) + end if pairs else "{}"

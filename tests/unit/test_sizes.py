"""What keeps a module readable in one sitting."""

import ast
from collections.abc import Iterator
from pathlib import Path

import ravi_agent

ROOT = Path(ravi_agent.__file__).parent
MOST_LINES = 300
MOST_PARAMETERS = 12


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of a function's parameters, `self` and `cls` among them."""
    args = node.args
    given = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    given += [one for one in (args.vararg, args.kwarg) if one]
    return [one.arg for one in given]


def functions() -> Iterator[tuple[str, list[str]]]:
    for file in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{file.relative_to(ROOT)}: {node.name}", parameters(node)


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    sizes = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in ROOT.rglob("*.py")
    }

    assert len(sizes) > 100
    assert {name for name, size in sizes.items() if size > MOST_LINES} == set()


def test_no_function_takes_more_than_can_be_remembered() -> None:
    found = dict(functions())

    assert len(found) > 500
    assert {name for name, them in found.items() if len(them) > MOST_PARAMETERS} == set()

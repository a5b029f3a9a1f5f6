"""Every `fix:` that names one of our commands is a line that the command's own parser accepts.

Read from the source. In a fix, a command line is a part of its own: parts are separated by `, or`,
`, and`, `, then`, `, which` and `;`. Elsewhere a command is only mentioned, without flags.
"""

import ast
import os
import re
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import ravi_agent
from ravi_agent.command.table import TABLE
from ravi_agent.container import arguments, boot, init, release
from ravi_agent.errors import RaviError
from ravi_agent.launcher import cli
from ravi_agent.launcher.backend import DOCKER, KUBERNETES
from ravi_agent.launcher.commands.reference import describe_commands
from ravi_agent.local import cli as local

ROOT = Path(ravi_agent.__file__).parent
PROGRAMS = {"ravi", "ravi-entrypoint", "ravi-init", "ravi-launch", "ravi-local", "ravi-release"}
# Other ways in which a fix reaches a message: variables, tables, results of `credential`.
_HOLDERS = re.compile(r"fix|REMEDIES|REFUSED|OWN$", re.IGNORECASE)
_PARTS = re.compile(r", (?:or|and|then|which|if) |, (?=ravi)|; ")
_MENTION = re.compile(r"(?<![\w./-])(ravi(?:-[a-z]+)?)(?![\w.=/-])(?: (\S+))?")


def program_of(file: Path) -> str:
    """Whose message a module writes: what PROGRAM and `self.prog` stand for there."""
    found = re.search(r'^PROGRAM = "(.*)"', file.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "ravi-init" if "container" in file.parts else "ravi-launch"


def filled(node: ast.AST, file: Path) -> str:
    """A literal with something typical for each of its fields."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.FormattedValue):
        what = ast.unparse(node.value)
        if what in {"PROGRAM", "self.prog", "parser.prog", "path"}:
            return program_of(file)
        if what == "given.command.words":
            return "identity delete"
        if what == "command.name":
            return "run"
        if what == "word":
            return "ps"
        if what == "flags":
            return ""
        if what == "flag":
            return "--resume base"
        return "7" if re.search(r"len\(|count|created|ports|needed", what) else "base"
    assert isinstance(node, ast.JoinedStr)
    return "".join(filled(part, file) for part in node.values)


def literals(node: ast.AST, file: Path) -> Iterator[str]:
    """The strings within an expression, whole."""
    if isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    ):
        yield filled(node, file)
        return
    for child in ast.iter_child_nodes(node):
        yield from literals(child, file)


def fixes(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_HOLDERS.search(ast.unparse(target)) for target in targets):
                yield from literals(node.value, file)
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        given = [word.value for word in node.keywords if word.arg == "fix"]
        if name.endswith("Error") and len(node.args) >= 3:
            given.append(node.args[2])
        if name == "warning" and len(node.args) >= 2:
            given.append(node.args[1])
        for one in given:
            yield from literals(one, file)


ALL = [
    (file.relative_to(ROOT), text) for file in sorted(ROOT.rglob("*.py")) for text in fixes(file)
]
LINES = [
    (file, part)
    for file, text in ALL
    for part in _PARTS.split(text)
    if part.split() and (part.split()[0] in PROGRAMS or part.startswith("RAVI_CONFIG_DIR="))
]


def test_the_fixes_are_found() -> None:
    assert len(ALL) > 150
    assert len(LINES) > 25
    assert {"command", "container", "launcher"} <= {file.parts[0] for file, _ in ALL}


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Engines that do nothing, with a run `base` that has the task `TASK`."""
    for name in (DOCKER, KUBERNETES):
        fake = import_module(f"fake_backend.{name}")
        monkeypatch.setitem(sys.modules, f"ravi_agent.launcher.{name}.backend", fake)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def accepts(program: str, words: list[str]) -> None:
    """Raises UsageError, or fails, for a command line that the program does not take."""
    if program == "ravi-launch":
        at = words.index("--") if "--" in words else len(words)
        behind = tuple(words[at + 1 :]) if at < len(words) else None
        assert cli.run(words[:at], behind) != 64
    elif program == "ravi":
        TABLE.parse(words)
    elif program == "ravi-entrypoint":
        if words in (["-h"], ["--check"]):  # ends the process
            assert words[0] in boot.USAGE
            return
        boot._parse(words, {})
    elif program == "ravi-local":
        local._parser().parse_args(words)
    else:
        module = {"ravi-init": init, "ravi-release": release}[program]
        switches = {"--delete": ""} if module is release else {}
        parser = arguments.Parser(prog=program)
        arguments.parse_settings(parser, module.VARIABLES, words, {}, switches)


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize(("file", "line"), LINES, ids=[f"{file}: {line}" for file, line in LINES])
def test_a_fix_that_is_a_command_line_is_accepted(
    file: Path, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [os.path.expandvars(word) for word in shlex.split(line)]
    while "=" in words[0]:
        words.pop(0)
    program, *rest = words
    if rest == ["…"]:
        return  # whatever was typed
    rest = [word.strip("[]").removesuffix("…") for word in rest]

    try:
        accepts(program, rest)
    except SystemExit as exc:  # --help
        assert not exc.code, capfd.readouterr().err  # noqa: PT017 - the code is what is tested
    except RaviError as exc:
        pytest.fail(f"{file}: {line}: {exc}")


def test_a_command_that_is_only_mentioned_has_no_flags() -> None:
    for file, text in ALL:
        for part in _PARTS.split(text):
            if (file, part) not in LINES and not part.startswith("kubectl "):
                mentioned = [word for name, word in _MENTION.findall(part) if name in PROGRAMS]
                assert [word for word in mentioned if word.startswith("-")] == [], (file, text)


def test_a_fix_of_the_launcher_names_only_flags_that_it_has() -> None:
    known = {name for one in describe_commands() for flag in one.flags for name in flag.names}
    known |= {"--help", "--", "--entrypoint"}  # the last one is explained, and refused
    others = ("docker ", "kubectl ", "pip ", "ssh ")
    for file, text in ALL:
        if file.parts[0] != "launcher":
            continue
        for part in _PARTS.split(text):
            if not part.startswith(others) and " docker " not in part:
                flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", part))
                assert flags <= known, (file, text)


def test_a_fix_for_kubernetes_says_the_backend() -> None:
    folder = Path("launcher/kubernetes")
    for file, part in LINES:
        if file.is_relative_to(folder) and " render " not in part:
            assert "--backend kubernetes" in part, (file, part)


def test_a_wrong_line_is_seen(capfd: pytest.CaptureFixture[str]) -> None:
    """The negative control."""
    with pytest.raises(RaviError):
        accepts("ravi-init", ["--no-such-flag"])
    with pytest.raises(AssertionError):
        accepts("ravi-launch", ["ps", "--force"])
    assert "did you mean" in capfd.readouterr().err

"""What the pages say is there: commands, options, variables, targets, paths, tests and links."""

import ast
import html
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard
from xml.parsers.expat import ParserCreate

import pytest

from bench.__main__ import arguments
from ravi_agent import __version__, contract
from ravi_agent.command.table import TABLE
from ravi_agent.container import boot, init, release
from ravi_agent.container.arguments import Parser, parse_settings
from ravi_agent.launcher import cli
from ravi_agent.launcher.commands.reference import describe_commands
from ravi_agent.settings import VARIABLES
from reference.launcher import launcher_commands

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
BASE_IMAGE = "ravi-agent-base"
WORDS_AT_MOST = 700


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def snippets(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def code_of(text: str) -> list[str]:
    """Everything that stands as code in a page and could be typed, a line each."""
    lines = "".join(snippets(text, "sh")).splitlines()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [*lines, *re.findall(r"`([^`\n]+)`", prose)]


def words_of(line: str) -> list[str]:
    """A line as a shell would cut it, up to what is redirected."""
    words = shlex.split(line, comments=True)
    return [word for word in words if not word.startswith((">", "<"))]


def lines_of(*programs: str) -> Iterator[tuple[str, list[str]]]:
    """Every line of every page that calls one of these programs, with arguments in full."""
    for page in PAGES:
        # Made from the parsers; and history.
        if page.startswith("docs/reference/") or page == "CHANGELOG.md":
            continue
        for line in code_of(text_of(page)):
            line = re.sub(r"^\w+=\$\((.*)\)$", r"\1", line)  # noqa: PLW2901 - a command inside
            begins = line.split(" ", maxsplit=1)
            if begins[0] not in programs or len(begins) == 1 or re.search(r"[…\[|]", line):
                continue
            yield page, words_of(line)


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def calls(*programs: str) -> list[object]:
    """Parameters of a test: every call of these programs."""
    found = {" ".join(words): words for _, words in lines_of(*programs)}
    assert found, programs
    return [pytest.param(words, id=line) for line, words in found.items()]


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= WORDS_AT_MOST


def test_the_readme_says_what_it_is_for_before_anything_else() -> None:
    assert "sign up, receive its code and finish" in " ".join(README.split()[:60])


@pytest.mark.parametrize("words", calls("ravi-launch"))
def test_a_call_of_the_launcher_is_one_it_understands(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = words.index("--") if "--" in words else len(words)
    # The parser reads every option before it prints help.
    monkeypatch.setattr(sys, "argv", [*words[:at], "--help", *words[at:]])

    with pytest.raises(SystemExit) as left:
        cli.main()

    said = capsys.readouterr()
    assert left.value.code == 0, said.err
    assert "--help" in said.out


def test_a_call_that_the_launcher_does_not_understand_would_be_seen(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ravi-launch", "--cuont", "3", "--help"])

    with pytest.raises(SystemExit) as left:
        cli.main()

    assert left.value.code == contract.EXIT_USAGE
    assert "--cuont" in capfd.readouterr().err


@pytest.mark.parametrize("words", calls("ravi-init", "ravi-release"))
def test_a_call_that_provisions_or_releases_is_understood(words: list[str]) -> None:
    program, *arguments = words
    command = {"ravi-init": init, "ravi-release": release}[program]

    parse_settings(Parser(prog=program), command.VARIABLES, arguments, {}, command.SWITCHES)


@pytest.mark.parametrize("words", calls("ravi"))
def test_a_call_of_ravi_is_understood(words: list[str]) -> None:
    if words[1:] == ["auth", "login"]:  # of the official CLI, and said to be
        assert "[official CLI]" in text_of("docs/getting-started.md")
        return
    TABLE.parse(words[1:])


@pytest.mark.parametrize("words", calls("ravi-entrypoint"))
def test_a_call_of_the_entrypoint_names_options_it_has(words: list[str]) -> None:
    at = words.index("--") if "--" in words else len(words)
    options = [word for word in words[1:at] if word.startswith("-")]

    assert [option for option in options if option not in boot.USAGE] == []


def test_every_option_of_a_page_is_one_of_a_command() -> None:
    ours = {
        name for command in launcher_commands() for flag in command.flags for name in flag.names
    }
    ours |= {flag for page in ("image-commands", "ravi", "ravi-local") for flag in options(page)}
    ours |= {name for action in arguments()._actions for name in action.option_strings}
    recipes = [path for path in (ROOT / "images/harnesses").rglob("*") if path.is_file()]
    ours |= {flag for path in recipes for flag in re.findall(r"--[a-z]+\b", path.read_text())}
    others = {"--help", "--version", "--init", "--upgrade", "--scale", "--build-arg"}
    docker_and_kubectl = {"--tag", "--volume", "--rm", "--env", "--format", "--output", "--force"}
    unknown = {
        (page, option)
        for page in PAGES
        if page not in {"CHANGELOG.md", "docs/scale.md"}
        for line in code_of(text_of(page))
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", line.partition(" -- ")[0])
        if not line.startswith(("docker ", "kubectl ", "curl ", "pip "))
        and option not in ours | others | docker_and_kubectl
    }

    assert unknown == set()


def options(page: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]*", text_of(f"docs/reference/{page}.md")))


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_of_a_page_is_one_of_the_code(page: str) -> None:
    known = {*VARIABLES, *contract.AGENT_VARIABLES, contract.API_KEY_VARIABLE, "RAVI_RUN"}
    known |= {flag.variable for command in describe_commands() for flag in command.flags}
    mentioned = set(re.findall(r"\bRAVI_[A-Z_]+[A-Z]\b", text_of(page)))
    mentioned -= {"RAVI_WRITE_DOCS", "RAVI_CLI_VERSION"}  # of tests, and of the build

    assert mentioned - known == set()


def test_every_command_of_a_page_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    images = re.findall(r"^ *build (\S+)", (ROOT / "scripts/images").read_text(), re.MULTILINE)
    text = "\n".join(line for page in PAGES for line in code_of(text_of(page)))
    mentioned = set(re.findall(r"(?<![\w/.:-])ravi-[a-z]+(?:-[a-z]+)*(?![\w./<…-])", text))
    names_of_objects = {"ravi-agent", "ravi-run", "ravi-any-image", "ravi-env-files", "ravi-sdk"}

    assert mentioned - {*project["scripts"], *images, *names_of_objects} == set()
    extras = re.findall(r"'\.\[([\w,]+)\]'", text)
    assert extras
    assert {name for one in extras for name in one.split(",")} <= set(
        project["optional-dependencies"]
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_of_a_page_is_in_the_makefile(page: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    mentioned = re.findall(
        r"^(?:\w+=\S+ )?make ([a-z-]+)", "\n".join(code_of(text_of(page))), re.MULTILINE
    )

    assert set(mentioned) <= set(targets)


def test_the_readme_has_the_two_commands_that_a_stranger_types() -> None:
    assert {"make demo", "make test"} <= set("".join(snippets(README, "sh")).splitlines())


def test_contributing_names_every_make_target() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"^\| `make ([a-z-]+)`", CONTRIBUTING, re.MULTILINE)

    assert sorted(named) == sorted(set(targets) - {"help"})


DOCKERFILES = [
    pytest.param(text, id=page) for page in PAGES for text in snippets(text_of(page), "dockerfile")
]


@pytest.mark.parametrize("text", DOCKERFILES)
def test_a_dockerfile_parses_and_keeps_our_entrypoint(text: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    # DL3006 and DL3022 ask for a tag, which an image made here need not have; DL3002 for a last
    # USER, which would keep the entrypoint from reading the key; DL3008 for versions of packages,
    # of which Debian keeps only the last.
    ignored = [f"--ignore={rule}" for rule in ("DL3002", "DL3006", "DL3008", "DL3022")]
    lint = subprocess.run(
        [hadolint, *ignored, "-"],
        input=text,
        capture_output=True,
        check=False,
        text=True,
    )

    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")
    if text.startswith(f"FROM {BASE_IMAGE}\n"):
        assert "ENTRYPOINT" not in text
        assert "USER" not in text
    else:
        assert 'ENTRYPOINT ["/opt/ravi/bin/ravi-entrypoint"]' in text


@pytest.mark.parametrize("page", PAGES)
def test_shell_snippets_parse(page: str) -> None:
    for text in snippets(text_of(page), "sh"):
        subprocess.run(["sh", "-n"], input=text, check=True, text=True)


def test_the_python_and_typescript_of_the_agents_page_use_what_the_image_has() -> None:
    page = text_of("docs/agents.md")
    (python,) = snippets(page, "python")
    (typescript,) = snippets(page, "typescript")
    (called,) = (node for node in ast.walk(ast.parse(python)) if is_call(node, "wait_for_code"))
    share = ROOT / "images/base/share"
    (defined,) = (
        node
        for node in ast.parse((share / "ravi_wait.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == "wait_for_code"
    )
    options = set(re.findall(r"(\w+): \"", typescript))
    interface = (share / "ravi-wait.d.mts").read_text(encoding="utf-8")

    assert {one.arg for one in called.keywords} <= {one.arg for one in defined.args.kwonlyargs}
    assert options
    assert options <= set(re.findall(r"^  (\w+)\?:", interface, re.MULTILINE))
    assert "export function waitForCode" in interface


def is_call(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def test_the_dockerfile_of_the_readme_is_that_of_claude_code() -> None:
    lines = text_of("images/claude-code/Dockerfile").splitlines(keepends=True)

    assert snippets(README, "dockerfile") == ["".join(x for x in lines if not x.startswith("#"))]


def test_the_key_is_mounted_where_it_is_looked_for() -> None:
    assert f':{contract.MANAGEMENT_KEY_PATH}:ro" my-agent' in "".join(snippets(README, "sh"))


# How each line that the README has a reader type is run. A line of another kind needs a test first.
RUN_BY = {
    r"make (demo|demo-signup|test)": "`.ci/run` and the workflow",
    r"\. \.venv/bin/activate": "every target makes this directory",
    r"docker (build|run) .*": "tests/engine/test_coding_agents.py",
    r"docker rm .*": "tests/engine/test_documents.py",
    r"export RAVI_MANAGEMENT_KEY_FILE=.*": "tests/engine/test_documents.py",
    r"ravi-launch .*": "above, and tests/engine/test_documents.py",
    r"kubectl create secret generic ravi --from-file=management_key=\S+": "below",
    r"kubectl apply -f images/kubernetes/agent-base\.yaml": "tests/pods runs that file",
}


def test_every_line_of_the_readme_is_run_by_a_test() -> None:
    lines = "".join(snippets(README, "sh")).splitlines()

    assert [line for line in lines if not any(re.fullmatch(kind, line) for kind in RUN_BY)] == []


def test_the_secret_of_the_readme_is_the_one_that_the_manifest_mounts() -> None:
    manifest = text_of("images/kubernetes/agent-base.yaml")

    assert "secretName: ravi," in manifest
    assert "management_key" in manifest


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), link


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#:]+\.md)", page.read_text(encoding="utf-8"))
        waiting.extend((page.parent / link).resolve() for link in links)

    assert {ROOT / page for page in PAGES} - reached == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_path_in_code_marks_exists(page: str) -> None:
    spans = re.findall(
        r"`((?:entrypoint|scripts|images|tests|docs)/[^`\s…]*|[A-Z]\w+file)`", text_of(page)
    )

    assert [span for span in spans if not list(ROOT.glob(span.rstrip("/")))] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_in_the_file_it_links_to(page: str) -> None:
    for name, path in re.findall(r"\[(test_\w+)\]\(([^)]+)\)", text_of(page)):
        tests = ((ROOT / page).parent / path).read_text(encoding="utf-8")
        assert f"def {name}(" in tests, name


def test_every_claim_of_the_security_page_names_its_test() -> None:
    tables = re.findall(r"^\|.*\|$", text_of("docs/security.md"), re.MULTILINE)
    claims = [line for line in tables if not re.fullmatch(r"\| fact \| test \||(\|-+)+\|", line)]

    assert len(claims) > 10
    assert [claim for claim in claims if "[test_" not in claim] == []


def test_the_security_page_has_every_attacker() -> None:
    page = text_of("docs/security.md")
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)

    assert headings[:6] == [
        "The agent",
        "A neighbour",
        "The service, and who writes to an agent",
        "A repository",
        "A local user",
        "An image",
    ]
    for section in page.split("\n## ")[1:7]:
        assert "| fact | test |" in section


def test_every_message_that_is_explained_is_one_of_the_code() -> None:
    page = text_of("docs/troubleshooting.md")
    messages = re.findall(r"^\| `([^`]+)` \(\d+\)", page, re.MULTILINE)
    code = "".join(path.read_text() for path in (ROOT / "entrypoint").rglob("*.py"))
    pieces = [piece.strip() for message in messages for piece in message.split("…")]

    assert len(messages) > 5
    assert [piece for piece in pieces if piece not in code] == []


def test_the_picture_shows_agents_of_a_real_run_and_loads_nothing() -> None:
    (path,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    svg = text_of(path)
    ParserCreate().Parse(svg, True)
    lines = re.findall(r"<text [^>]*>(.*?)</text>", svg)
    said = "\n".join(html.unescape(line).replace("\xa0", " ") for line in lines)

    assert "$ scripts/demo-signup 3" in said
    assert len(re.findall(r"signed up as \S+@ravi-local\.test with the code \d{6}, as", said)) == 3
    assert "3 succeeded, 0 failed" in said
    assert "3 of 3 signed up at the shop, with 6 different codes" in said
    loaded = re.findall(r"https?://[^\"' )]+", re.sub(r"(<text [^>]*>).*?</text>", r"\1", svg))
    assert set(loaded) == {"http://www.w3.org/2000/svg"}


def test_the_changelog_keeps_its_form() -> None:
    """https://keepachangelog.com/en/1.1.0/"""
    changelog = text_of("CHANGELOG.md")
    versions = re.findall(r"^## (.*)", changelog, re.MULTILINE)
    kinds = re.findall(r"^### (.*)", changelog, re.MULTILINE)

    assert versions[0] == "[Unreleased]"
    assert versions[1].startswith(f"[{__version__}] - ")
    for version in versions[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    entries = re.findall(r"^- .*", changelog, re.MULTILINE)
    assert entries == list(dict.fromkeys(entries))

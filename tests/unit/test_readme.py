"""What the pages say is what the code does: tables, flags, targets, snippets and links."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from ravi_agent import contract, errors
from ravi_agent.identity import Identity
from ravi_agent.launcher import cli
from ravi_agent.launcher.commands.reference import describe_commands
from ravi_agent.launcher.commands.run_options import DEFAULT_IMAGE
from ravi_agent.launcher.model import exit_codes
from ravi_agent.settings import VARIABLES
from ravi_agent.workspace.claim import Claim

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/kubernetes.md", "docs/scale.md"]


def section(heading: str) -> str:
    """The README from a heading to the next one."""
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL
    )
    assert found, f"the README has no section {heading!r}"
    return found[1]


def tables(heading: str) -> list[list[list[str]]]:
    """The tables of a section as rows of cells, without their heads and code marks."""
    blocks = re.findall(r"(?:^\|.*\n)+", section(heading), re.MULTILINE)
    assert blocks, f"the section {heading!r} has no table"
    return [
        [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in lines[2:]]
        for block in blocks
        if (lines := block.splitlines())
    ]


def snippets(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no {language} snippet"
    return found


def code_of(page: str) -> str:
    """Everything that stands as code in a page, a line each."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    spans = re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    )
    return "\n".join([*blocks, *spans])


def flags() -> set[str]:
    """Every flag of every command of the launcher."""
    return {name for one in describe_commands() for flag in one.flags for name in flag.names}


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def subclasses(kind: type[errors.RaviError]) -> list[type[errors.RaviError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in subclasses(child))]


def test_the_settings_are_those_of_the_code_in_its_order() -> None:
    written = [(name, default) for name, default, _ in tables("Settings")[0]]

    assert written == [(name, default or "none") for name, (default, _) in VARIABLES.items()]


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, _, meaning in tables("Settings")[0] if not meaning] == []


def test_settings_without_a_flag_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    from ravi_agent.container import init
    from ravi_agent.container.arguments import Parser, parse_settings

    with pytest.raises(SystemExit):
        parse_settings(Parser(prog="ravi-init"), init.VARIABLES, ["--help"], {})
    shown = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
    renamed = {"RAVI_IDENTITY_NAME": "--name"}
    no_flag = [
        name
        for name in VARIABLES
        if renamed.get(name, "--" + name.removeprefix("RAVI_").lower().replace("_", "-"))
        not in shown
    ]

    sentence = section("Settings").partition("but for ")[2].partition(".")[0]
    assert re.findall(r"`(\w+)`", sentence) == no_flag


def test_the_exit_codes_are_those_of_the_contract() -> None:
    written = [code for code, _ in tables("Exit codes")[0]]
    known = {name: code for name, code in vars(contract).items() if name.startswith("EXIT_")}
    base = known.pop("EXIT_SIGNAL_BASE")

    assert written == [*map(str, sorted(known.values())), f"{base}+n"]


def test_every_failure_leaves_with_a_code_of_the_table() -> None:
    written = {code for code, _ in tables("Exit codes")[0]}

    assert {str(kind.exit_code) for kind in subclasses(errors.RaviError)} <= written


def test_the_launchers_exit_codes_are_those_of_the_code() -> None:
    written = [code for code, _ in tables("Exit codes")[1]]

    assert written == ["0", str(exit_codes.EXIT_AGENTS_FAILED), str(cli.EXIT_INTERRUPTED)]


@pytest.mark.parametrize("mode", [0o755, 0o2775], ids=["plain", "setgid"])
def test_the_files_and_modes_are_those_that_are_written(tmp_path: Path, mode: int) -> None:
    is_shared = bool(mode & 0o2000)
    tmp_path.chmod(mode)
    identity = Identity(uuid="u", name="n", email="e", phone=None, created_at="c", key="k")
    with Claim(str(tmp_path)) as claim:
        assert claim.is_free()
        claim.save(identity, api_url=contract.DEFAULT_API_URL)

    folder = tmp_path / contract.RAVI_DIR
    written = {name: modes.split(", or ")[is_shared] for name, _, modes in tables("Files")[0]}
    modes_of_directory = re.search(r"mode (\d+), or (\d+)", section("Files"))
    assert modes_of_directory
    assert folder.stat().st_mode & 0o7777 == int(modes_of_directory[1 + is_shared], 8)
    assert {path.name: f"{path.stat().st_mode & 0o7777:04o}" for path in folder.iterdir()} == (
        written
    )
    assert set(written) == {contract.CONFIG_FILE, contract.ENV_FILE, contract.IDENTITY_FILE}


@pytest.mark.parametrize("name", [contract.CONFIG_FILE, contract.IDENTITY_FILE])
def test_the_fields_of_a_file_are_those_that_are_written(tmp_path: Path, name: str) -> None:
    identity = Identity(uuid="u", name="n", email="e", phone=None, created_at="c", key="k")
    with Claim(str(tmp_path)) as claim:
        assert claim.is_free()
        claim.save(identity, api_url=contract.DEFAULT_API_URL)

    row = next(line for line in section("Files").splitlines() if line.startswith(f"| `{name}`"))
    written = yaml.safe_load((tmp_path / contract.RAVI_DIR / name).read_text())
    assert re.findall(r"`(\w+)`", row.split("|")[2]) == list(written)


def test_the_agents_variables_are_those_of_the_contract() -> None:
    written = [name for name, _ in tables("What the agent gets")[0]]

    assert written == list(contract.AGENT_VARIABLES)


def test_every_variable_of_the_readme_is_one_of_the_code() -> None:
    known = {*VARIABLES, *contract.AGENT_VARIABLES, "RAVI_RUN"}

    assert set(re.findall(r"\bRAVI_[A-Z_]+\b", README)) - known == set()


def test_every_flag_of_the_launcher_is_in_its_command_line() -> None:
    known = {"--"} | flags()
    code = code_of(section("Launcher"))
    commands = [line for line in code_of(README).splitlines() if line.startswith("ravi-launch")]
    spans = [line for line in code.splitlines() if line.startswith("--")]
    mentioned = {
        word
        for line in [*commands, *spans]
        for word in line.partition(" -- ")[0].split()
        if word.startswith("-")
    }

    assert "--count" in mentioned
    assert mentioned - known == set()


def test_every_command_of_the_readme_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    images = re.findall(r"^build (\S+)", (ROOT / "scripts/images").read_text(), re.MULTILINE)
    mentioned = set(re.findall(r"(?<![\w/.-])ravi-[a-z][a-z-]*", code_of(README)))

    assert mentioned - {*project["scripts"], *images} == set()
    extras = re.findall(r"'\.\[(\w+)\]'", README)
    assert extras
    assert set(extras) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("page", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_make_target_is_in_the_makefile(page: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    mentioned = re.findall(r"^make ([a-z-]+)", code_of(page), re.MULTILINE)

    assert mentioned
    assert set(mentioned) <= set(targets)


def test_contributing_names_every_make_target() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"^\| `make ([a-z-]+)`", CONTRIBUTING, re.MULTILINE)

    assert sorted(named) == sorted(set(targets) - {"help"})


@pytest.mark.parametrize("text", snippets("dockerfile"), ids=lambda _: "dockerfile")
def test_a_dockerfile_parses_and_is_from_our_base(text: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    # DL3006 asks for a tag, which an image made here need not have.
    lint = subprocess.run(
        [hadolint, "--ignore", "DL3006", "-"],
        input=text,
        capture_output=True,
        check=False,
        text=True,
    )

    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")
    assert text.startswith(f"FROM {DEFAULT_IMAGE}\n")
    assert "ENTRYPOINT" not in text
    assert "USER" not in text


@pytest.mark.parametrize("text", snippets("sh"), ids=lambda _: "sh")
def test_a_shell_snippet_parses(text: str) -> None:
    subprocess.run(["sh", "-n"], input=text, check=True, text=True)


def test_the_key_is_mounted_where_it_is_looked_for() -> None:
    assert f':{contract.MANAGEMENT_KEY_PATH}:ro" my-agent' in "".join(snippets("sh"))


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("https://")]
    for link in local:
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), link
    assert links


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_path_in_code_marks_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    spans = re.findall(r"`((?:entrypoint|scripts|images)/[^`\s]*|[A-Z]\w+file)`", text)

    assert [span for span in spans if not list(ROOT.glob(span.rstrip("/")))] == []


def test_the_changelog_has_an_unreleased_head() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)", changelog, re.MULTILINE)

    assert headings[0] in {"Unreleased", "[Unreleased]"}


def test_every_flag_of_the_kubernetes_page_is_in_the_command_line() -> None:
    known = {"--"} | flags()
    text = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8").partition("## Many agents")[2]
    code = code_of(text)
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", code.replace(" -- ", " ")))

    assert {"--backend", "--tasks", "--resume"} <= mentioned
    assert mentioned - known == set()

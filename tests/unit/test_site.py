"""The site of `make docs`: its links lead to its own pages, and it loads nothing else."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """The module; `site` is the name of Python's own, so it is loaded from its file."""
    spec = importlib.util.spec_from_file_location("hook", ROOT / "scripts" / "site" / "hook.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("index.md", "docs/launcher.md#flags", "launcher.md#flags"),
        ("index.md", "docs/reference/README.md", "reference/README.md"),
        ("index.md", "docs/demo.svg", "demo.svg"),
        ("index.md", "CHANGELOG.md", "CHANGELOG.md"),
        ("index.md", "images/codex/Dockerfile", "source/images/codex/Dockerfile.md"),
        ("SECURITY.md", "docs/local.md", "local.md"),
        ("security.md", "../tests/unit/test_key.py", "source/tests/unit/test_key.py.md"),
        ("security.md", "local.md", "local.md"),
        ("security.md", "#agent", "#agent"),
        ("local.md", "../README.md", "index.md"),
        ("reference/files.md", "../command.md", "../command.md"),
        ("reference/files.md", "https://ravi.id/x.md", "https://ravi.id/x.md"),
    ],
)
def test_a_link_leads_to_the_same_page_on_the_site(
    hook: ModuleType, page: str, link: str, there: str
) -> None:
    assert hook.relink(f"see [it]({link}).", page) == f"see [it]({there})."


def test_code_is_not_changed(hook: ModuleType) -> None:
    text = "```sh\necho [a](docs/x.md)\n```\n`[a](docs/x.md)`\n"

    assert hook.relink(text, "index.md") == text


def test_a_directory_that_a_page_links_to_lists_its_files(hook: ModuleType) -> None:
    pages = hook.source_pages("images/kubernetes/component")

    listing = pages["source/images/kubernetes/component.md"]
    assert "[images/kubernetes/component/cron-job.yaml](component/cron-job.yaml.md)" in listing
    shown = pages["source/images/kubernetes/component/cron-job.yaml.md"]
    assert (ROOT / "images/kubernetes/component/cron-job.yaml").read_text() in shown


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://x.example/a.js"></script>',
        "<img alt=a src=//x.example/a.png>",
        '<link rel="stylesheet" href="https://fonts.example/css">',
        "@import url(https://x.example/a.css);",
        "a { background: url('//x.example/a.png') }",
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(hook: ModuleType, text: str) -> None:
    assert list(hook.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://ravi.id">Ravi</a>',
        '<link rel="canonical" href="https://x.example/a">',
        '<script src="assets/a.js"></script>',
        "a { background: url(data:image/svg+xml;base64,AA) }",
    ],
)
def test_what_is_not_loaded_is_not_found(hook: ModuleType, text: str) -> None:
    assert list(hook.loads(text)) == []


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r"- (?:\w+: )?(\S+\.md)$", nav, re.MULTILINE)
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]

    assert sorted(named) == sorted(
        [*pages, "index.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
    )


def test_the_site_asks_for_no_font() -> None:
    assert "\n  font: false" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

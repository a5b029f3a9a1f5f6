"""What `make lint` finds beside the code: licences, vulnerabilities, npm without a lock file."""

import json
import re
import sys
from email.message import Message
from pathlib import Path

import pytest

import audit
import licences

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("fields", "is_allowed"),
    [
        ({"License-Expression": "MIT"}, True),
        ({"License-Expression": "Apache-2.0 OR GPL-3.0-only"}, True),
        ({"License-Expression": "Apache-2.0 AND (MIT)"}, True),
        ({"License-Expression": "MIT AND GPL-3.0-only"}, False),
        ({"License": "see LICENSE", "Classifier": "License :: OSI Approved :: BSD License"}, True),
        ({"Classifier": "License :: OSI Approved :: GNU Affero General Public License v3"}, False),
        ({"License": "proprietary"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_only_licences_of_the_list_are_allowed(fields: dict[str, str], is_allowed: bool) -> None:
    package = Message()
    for name, value in fields.items():
        package[name] = value

    assert licences.is_allowed(licences.licence_of(package)) == is_allowed


def test_the_packages_of_every_image_are_looked_at(tmp_path: Path) -> None:
    assert {"httpx", "starlette", "docker", "kubernetes"} <= set(licences.shipped(ROOT))
    lock = tmp_path / "images" / "x" / "requirements.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(
        "httpx==1 \\\n    --hash=sha256:0\npywin32==1 ; sys_platform == 'win32' \\\n"
        "    --hash=sha256:0\n"
    )
    assert list(licences.shipped(tmp_path)) == ["httpx"]


def answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """Have a program in place of pip-audit print that."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def test_a_vulnerability_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"id": "PYSEC-1", "fix_versions": ["2.1"]}
    packages = [
        {"name": "old", "version": "2.0", "vulns": [found]},
        {"name": "other", "skip_reason": "not on PyPI"},
    ]
    answer(monkeypatch, tmp_path, json.dumps({"dependencies": packages}))

    assert audit.main() == 1

    out, err = capsys.readouterr()
    assert err == "audit: error: old 2.0: PYSEC-1, mended in 2.1\n  fix: scripts/lock --upgrade\n"
    assert out == "audit: 1 of 2 packages asked for, 1 vulnerabilities\n"


@pytest.mark.parametrize(
    "text", ["", "no network", '{"dependencies": [{"name": "x", "skip_reason": "not found"}]}']
)
def test_an_audit_without_an_answer_says_so_and_passes(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
) -> None:
    answer(monkeypatch, tmp_path, text)

    assert audit.main() == 0
    assert "PyPI does not answer: nothing is known" in capsys.readouterr().out


def test_npm_installs_what_a_lock_file_pins() -> None:
    folders = ("images", "scripts", "tests", ".github")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    lines = [
        (path, line.strip())
        for path in [ROOT / "Dockerfile", *files]
        if path.suffix in {"", ".sh", ".yml", ".yaml"} and "node_modules" not in path.parts
        for line in path.read_text("utf-8", errors="replace").splitlines()
        if re.search(r"\b(npm (i|install|add|ci)|npx|pnpm|yarn) ", line) and "#" not in line
    ]

    assert {line for _, line in lines if "npm ci" not in line} == {
        # Of a copied lock file: npm's own `ci` refuses one without the other platforms' packages.
        'npm install --silent --no-save --no-fund --no-audit --ignore-scripts --prefix "$2" ||'
    }
    assert len(lines) > 2
    for path in (path for path in files if path.name == "package.json"):
        has_dependencies = "ependencies" in path.read_text("utf-8")
        assert path.with_name("package-lock.json").exists() or not has_dependencies, path

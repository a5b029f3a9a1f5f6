"""Files of other forms: what comes into them, and everything else that stays as it was."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from ravi_agent.errors import SettingsError, WorkspaceError
from ravi_agent.identity import Identity
from ravi_agent.setting_values import credential_files
from ravi_agent.settings import Settings
from ravi_agent.workspace.credential_files import CredentialFiles
from ravi_agent.workspace.front_matter import merge, without

KEY = "ravi_id_PLANTED_0123456789"
IDENTITY = Identity(
    uuid="0a1b", name="task-1", email="t@ravi.example", phone="+1555", created_at="", key=KEY
)
NO_PHONE = Identity(uuid="0a1b", name="task-1", email="t@ravi.example", phone=None, created_at="")
FIELDS = {"identity_uuid": "0a1b", "email": "t@ravi.example", "phone": "+1555", "config_dir": "/c"}


def files(workspace: Path, text: str) -> CredentialFiles:
    return CredentialFiles(str(workspace), credential_files(text, str(workspace)))


# --- the setting -------------------------------------------------------------------------------


def test_paths_are_below_the_workspace_however_they_are_written() -> None:
    text = "lalph,a/./b.json:json,/w/c:with colon.env:dotenv,WORKFLOW.md:yaml-front-matter,"

    assert credential_files(text, "/w") == [
        (".lalph/ravi.json", "json"),
        ("a/b.json", "json"),
        ("c:with colon.env", "dotenv"),
        ("WORKFLOW.md", "yaml-front-matter"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonesuch", "neither lalph nor PATH:json"),
        ("a:toml", "neither lalph"),
        (":json", "neither lalph"),
        ("../a:json", "not a file inside /w"),
        ("a/../../w2/b:json", "not a file inside /w"),
        ("/etc/passwd:json", "not a file inside /w"),
        ("/work/a:json", "not a file inside /w"),
        (".:json", "not a file inside /w"),
        ("a/:json", "not a file inside /w"),
        ("it's:json", "not a file inside /w"),
        (".ravi/config.json:json", "not a place"),
        ("x/../.git/config:dotenv", "not a place"),
        ("a:json,./a:dotenv", "named twice"),
        ("lalph,.lalph/ravi.json:json", "named twice"),
    ],
)
def test_what_leads_elsewhere_is_refused_by_its_setting(text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        Settings({"RAVI_WORKSPACE": "/w", "RAVI_CREDENTIAL_FILES": text})

    assert caught.value.fix == "unset RAVI_CREDENTIAL_FILES"


# --- written and removed -----------------------------------------------------------------------


def test_each_form_says_the_same_and_no_key(tmp_path: Path) -> None:
    wanted = files(tmp_path, "lalph,deep/er/.env:dotenv,WORKFLOW.md:yaml-front-matter")
    fields = {**FIELDS, "config_dir": f"{tmp_path}/.ravi"}

    wanted.prove_writable()
    wanted.write(IDENTITY)

    shell = ". ./deep/er/.env && set | sed -n 's/^RAVI_[A-Z_]*=//p'"
    sourced = subprocess.run(
        ["sh", "-c", shell],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    values = [line.strip("'") for line in sourced.stdout.splitlines()]
    assert sorted(values) == sorted(fields.values())
    assert json.loads((tmp_path / ".lalph/ravi.json").read_text()) == fields
    front = (tmp_path / "WORKFLOW.md").read_text().split("---\n")
    assert (front[0], yaml.safe_load(front[1]), front[2]) == ("", {"ravi": fields}, "")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 3
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    assert all(KEY not in path.read_text() for path in written)

    assert wanted.are_current(IDENTITY)
    wanted.remove()
    assert list(tmp_path.iterdir()) == []
    wanted.remove()


def test_without_a_phone_it_is_null_or_empty(tmp_path: Path) -> None:
    files(tmp_path, "a:json,b:dotenv,c:yaml-front-matter").write(NO_PHONE)

    assert json.loads((tmp_path / "a").read_text())["phone"] is None
    assert "RAVI_PHONE=''\n" in (tmp_path / "b").read_text()
    assert yaml.safe_load((tmp_path / "c").read_text().split("---\n")[1])["ravi"]["phone"] is None


def test_one_that_is_missing_or_stale_is_seen_and_made_again(tmp_path: Path) -> None:
    wanted = files(tmp_path, "lalph,b:dotenv")
    assert wanted.missing() == [".lalph/ravi.json", "b"]
    wanted.write(NO_PHONE)
    assert wanted.are_current(NO_PHONE)
    assert not wanted.are_current(IDENTITY)
    (tmp_path / "b").unlink()
    assert wanted.missing() == ["b"]
    assert not wanted.are_current(NO_PHONE)

    wanted.write(IDENTITY)

    assert wanted.are_current(IDENTITY)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_a_file_that_was_there_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "WORKFLOW.md"
    path.write_text("Prompt\n")
    path.chmod(mode)
    wanted = files(tmp_path, "WORKFLOW.md:yaml-front-matter")

    wanted.write(IDENTITY)
    assert path.stat().st_mode & 0o7777 == mode

    wanted.remove()
    assert (path.stat().st_mode & 0o7777, path.read_text()) == (mode, "Prompt\n")


def test_the_group_of_a_setgid_workspace_may_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)

    files(tmp_path, "a:json").write(IDENTITY)

    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        ("a:json", '{"mine": 1}'),
        ("a:json", "no JSON"),
        ("a:json", '{"identity_uuid": "u", "email": "e", "phone": null, "config_dir": "", "x": 1}'),
        ("a:dotenv", "MINE=1\n"),
        ("a:yaml-front-matter", "---\nravi: mine\n---\n"),
        ("a:yaml-front-matter", "---\nravi: {email: e, mine: 1}\n---\n"),
        ("a:yaml-front-matter", "---\na: [\n---\n"),
        ("a:yaml-front-matter", "---\na: 1\na: 2\n---\n"),
        ("a:yaml-front-matter", "---\n{a: 1}\n---\n"),
        ("a:yaml-front-matter", "---\n- a\n---\n"),
        ("a:yaml-front-matter", "---\na: 1\n"),
    ],
)
def test_what_somebody_else_wrote_is_refused_and_stays(
    tmp_path: Path, entry: str, content: str
) -> None:
    (tmp_path / "a").write_text(content)
    wanted = files(tmp_path, entry)

    with pytest.raises(WorkspaceError, match="credential file"):
        wanted.prove_writable()
    with pytest.raises(WorkspaceError, match="credential file"):
        wanted.write(IDENTITY)
    wanted.remove()

    assert (tmp_path / "a").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def _link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def _binary(path: Path) -> None:
    path.write_bytes(b"---\n\xff\n---\n")


def _big(path: Path) -> None:
    path.write_bytes(b" " * (1024 * 1024 + 1))


@pytest.mark.parametrize("make", [_link, Path.mkdir, os.mkfifo, _binary, _big])
@pytest.mark.parametrize("form", ["json", "yaml-front-matter"])
def test_what_is_no_plain_text_is_refused(tmp_path: Path, make: object, form: str) -> None:
    assert callable(make)
    make(tmp_path / "a")

    with pytest.raises(WorkspaceError, match=f"{tmp_path}/a"):
        files(tmp_path, f"a:{form}").prove_writable()


def test_a_linked_directory_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / ".lalph").symlink_to("../out")
    wanted = files(tmp_path / "w", "lalph")

    for act in (wanted.prove_writable, lambda: wanted.write(IDENTITY), wanted.remove):
        with pytest.raises(WorkspaceError, match="symbolic link"):
            act()

    assert list((tmp_path / "out").iterdir()) == []


# --- front matter ------------------------------------------------------------------------------

WORKFLOW = """---
# who we are
tracker:   {kind: linear,  labels: [ "a" ,'b' ]}   # odd spaces
hooks:
    after_create: |
        set -e
        git clone "$SOURCE" .   # no comment

      # a comment of another depth
codex: {command: 'codex  app-server'}
anchors: &x
- 1
-   2
again: *x
long: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaa"
# last words
---

You are working on {{ issue.identifier }}.
---
ravi: not this one
"""
TEXTS = {
    "workflow": WORKFLOW,
    "crlf": WORKFLOW.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + WORKFLOW,
    "indented": "---\n  a: 1\n  b: 2\n---\nbody",
    "ends with a block": "---\na: |+\n  text\n\n\n---\n",
    "only comments": "---\n# nothing\n---\nbody\n",
    "no front matter": "# Title\r\n\r\ntext",
    "empty": "",
    "not closed by a rule": "text\n---\nmore\n---\n",
    "end of file": "---\na: 1\n---",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_merging_adds_one_key_and_changes_no_other_byte(text: str) -> None:
    merged = merge(text, FIELDS)

    front = merged.removeprefix("\ufeff").partition("---")[2]
    values = yaml.safe_load(front[: front.index("\n---") + 1])
    assert values["ravi"] == FIELDS
    if "\r\n" in text:
        assert "\n" not in merged.replace("\r\n", "")
    start = next(at for at in range(len(text) + 1) if text[at : at + 1] != merged[at : at + 1])
    added = len(merged) - len(text)
    assert merged[:start] + merged[start + added :] == text
    assert merge(merged, FIELDS) == merged
    assert without(merged, set(FIELDS)) == text


def test_our_key_is_replaced_where_it_stands() -> None:
    text = f"---\na: 1 # one\n{'ravi:'}\n  email: old\n\n# mine\nz: 2\n---\nbody\n"

    merged = merge(text, {"email": "new"})

    assert merged == text.replace("  email: old", '  email: "new"')
    assert without(merged, {"email"}) == "---\na: 1 # one\n\n# mine\nz: 2\n---\nbody\n"


BOMB = "---\na0: &a0 [x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{BOMB}---\n", id="aliases of aliases"),
        pytest.param("---\na: &a " + "x" * 20_000 + "\n" + "b: [*a]\n" * 60 + "---\n", id="many"),
        pytest.param("---\na: " + "[" * 5000 + "]" * 5000 + "\n---\n", id="deep"),
        pytest.param("---\n" + "a: b\n" * 100_000 + "---\n", id="long"),
        pytest.param("---\nravi:\n  email: a\nravi:\n  email: b\n---\n", id="our key twice"),
        pytest.param("---\n\x00: 1\n---\n", id="a null byte"),
    ],
)
def test_front_matter_that_nobody_writes_by_hand_is_refused_at_once(text: str) -> None:
    """A bomb of 400 bytes took eight seconds, and nine times that a level more."""
    with pytest.raises(ValueError, match=r"its (front matter|key)"):
        merge(text, FIELDS)
    with pytest.raises(ValueError, match=r"its (front matter|key)"):
        without(text, set(FIELDS))


@pytest.mark.parametrize("end", ["z: 2\n", "", "\n# mine\nz: 2\n"], ids=["a key", "none", "more"])
def test_removing_our_key_after_an_editor_made_a_block_of_it_takes_no_other(end: str) -> None:
    text = f"---\na: 1\nravi:\n  email: |\n    e@x\n{end}---\nbody\n"

    rest = without(text, {"email"})

    assert yaml.safe_load(rest.split("---")[1]) == {"a": 1, **({"z": 2} if "z" in end else {})}
    assert rest.endswith("---\nbody\n")

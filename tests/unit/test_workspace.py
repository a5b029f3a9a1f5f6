"""`.ravi/` on a real disk: complete or not there, ours or refused."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ravi_agent import contract
from ravi_agent.errors import WorkspaceError
from ravi_agent.identity import Identity
from ravi_agent.workspace.claim import Claim, exclude_from_git
from ravi_agent.workspace.contents import agent_variables
from ravi_agent.workspace.reader import load
from ravi_agent.workspace.removal import remove

API_URL = "https://ravi.example"
KEY = "ravi_id_PLANTED_0123456789"
FILES = {"config.json", "env", "identity.json"}
ALL = FILES | {".gitignore"}


def make_identity(**fields: str | None) -> Identity:
    record = {
        "uuid": "0a1b-2c3d",
        "name": "task-1",
        "email": "task-1@ravi.example",
        "phone": "+15550000001",
        "created_at": "2026-01-02T03:04:05Z",
        **fields,
    }
    return Identity.from_public(record, KEY)


def save(workspace: Path, identity: Identity | None = None, *, api_url: str = API_URL) -> None:
    with Claim(str(workspace)) as claim:
        assert claim.is_free()
        claim.save(identity or make_identity(), api_url=api_url)


def load_any(workspace: Path) -> Identity | None:
    return load(str(workspace), name=None, api_url=API_URL)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@contextmanager
def umask(bits: int) -> Iterator[None]:
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty directory whose mode says nothing special."""
    path = tmp_path / "workspace"
    path.mkdir()
    path.chmod(0o755)
    return path


# --- what is written ---------------------------------------------------------------------------


def test_what_is_saved_is_loaded(workspace: Path) -> None:
    identity = make_identity()
    save(workspace, identity)

    assert load(str(workspace), name="task-1", api_url=API_URL) == identity
    assert load_any(workspace) == identity


def test_a_key_that_the_cli_has_put_there_for_another_identity_is_not_taken(
    workspace: Path,
) -> None:
    save(workspace)
    config = {"identity_uuid": "other", "identity_name": "other", "identity_key": "ravi_id_other"}
    (workspace / ".ravi" / "config.json").write_text(json.dumps(config))

    assert load_any(workspace) == make_identity().with_key(None)


@pytest.mark.parametrize("text", ["", "[]", "[" * 60_000, '{"identity_uuid": "0a1b-2c3d"}'])
def test_a_workspace_from_before_identity_keys_is_still_a_provisioned_one(
    workspace: Path, text: str
) -> None:
    save(workspace)
    (workspace / ".ravi" / "config.json").write_text(text)
    (workspace / ".ravi" / ".gitignore").unlink()

    assert load_any(workspace) == make_identity().with_key(None)


def test_a_workspace_without_ravi_is_not_provisioned(workspace: Path, tmp_path: Path) -> None:
    assert load_any(workspace) is None
    assert load_any(tmp_path / "not there") is None


def test_a_workspace_that_is_not_there_is_made(tmp_path: Path) -> None:
    workspace = tmp_path / "a" / "b"
    save(workspace)

    assert load_any(workspace)


def test_the_three_files_hold_what_others_read_of_them(workspace: Path) -> None:
    save(workspace)
    ravi = workspace / ".ravi"

    assert names(workspace) == {".ravi"}
    assert names(ravi) == ALL
    assert json.loads((ravi / "config.json").read_text()) == {
        "identity_uuid": "0a1b-2c3d",
        "identity_name": "task-1",
        "identity_key": KEY,
    }
    assert json.loads((ravi / "identity.json").read_text()) == {
        "uuid": "0a1b-2c3d",
        "name": "task-1",
        "email": "task-1@ravi.example",
        "phone": "+15550000001",
        "created_at": "2026-01-02T03:04:05Z",
        "api_url": API_URL,
    }


def test_the_key_stands_where_the_cli_and_the_sdk_read_it(workspace: Path) -> None:
    save(workspace)
    ravi = workspace / ".ravi"

    assert {file for file in ALL if KEY in (ravi / file).read_text()} == {"config.json", "env"}


def test_a_setting_keeps_the_key_out_of_the_variables(workspace: Path) -> None:
    with Claim(str(workspace)) as claim:
        assert claim.is_free()
        claim.save(make_identity(), api_url=API_URL, has_api_key=False)
    ravi = workspace / ".ravi"

    assert {file for file in ALL if KEY in (ravi / file).read_text()} == {"config.json"}
    assert load_any(workspace) == make_identity()


def test_without_a_key_or_a_phone_there_is_none_in_the_files(workspace: Path) -> None:
    save(workspace, make_identity(phone=None).with_key(None))
    ravi = workspace / ".ravi"

    assert "identity_key" not in json.loads((ravi / "config.json").read_text())
    assert json.loads((ravi / "identity.json").read_text())["phone"] is None
    assert "RAVI_PHONE=''\n" in (ravi / "env").read_text()


@pytest.mark.parametrize("bits", [0o000, 0o022, 0o077, 0o777], ids="umask {:03o}".format)
def test_the_owner_alone_reads_the_files_whatever_the_umask(workspace: Path, bits: int) -> None:
    with umask(bits):
        save(workspace)

    assert mode(workspace / ".ravi") == 0o700
    assert {mode(workspace / ".ravi" / file) for file in FILES} == {0o600}


@pytest.mark.parametrize("bits", [0o000, 0o077], ids="umask {:03o}".format)
@pytest.mark.parametrize("is_there", [False, True], ids=["new", "in place"])
def test_the_group_reads_them_too_in_a_setgid_workspace(
    workspace: Path, bits: int, is_there: bool
) -> None:
    workspace.chmod(0o2770)
    if is_there:
        (workspace / ".ravi").mkdir(mode=0o700)
    with umask(bits):
        save(workspace)

    assert mode(workspace / ".ravi") & 0o777 == 0o750
    assert {mode(workspace / ".ravi" / file) for file in FILES} == {0o640}


@pytest.mark.parametrize(
    "name",
    [
        'task "quoted"',
        "$HOME $(id) `id` ${PATH:?}",
        "back\\slash \\n \\'"[:-1],
        "# no comment; rm -rf *",
        "-n = & | < > ~ !history",
        "  spaces at both ends  ",
        "é 漢字 🤖",
        "n" * 255,
    ],
    ids=[
        "double quotes",
        "expansions",
        "backslashes",
        "operators",
        "more operators",
        "spaces",
        "beyond ASCII",
        "long",
    ],
)
def test_a_shell_reads_the_env_file_back_unchanged(workspace: Path, name: str) -> None:
    identity = make_identity(name=name, phone=None)
    save(workspace, identity)

    script = 'set -aeu; . "$1"; exec "$2" -0'
    printed = subprocess.run(
        ["sh", "-c", script, "sh", workspace / ".ravi" / "env", "/usr/bin/env"],
        env={},
        stdout=subprocess.PIPE,
        check=True,
        timeout=30,
    ).stdout

    variables = dict(entry.split("=", 1) for entry in printed.decode().split("\0") if entry)
    expected = agent_variables(str(workspace), identity, API_URL, has_api_key=True)
    assert {key: variables.get(key) for key in expected} == expected
    assert variables["RAVI_IDENTITY_NAME"] == name


def test_agent_variables_are_those_of_the_contract() -> None:
    variables = agent_variables("/w", make_identity(phone=None), API_URL, has_api_key=True)

    assert variables.pop("RAVI_API_KEY") == KEY
    assert variables == {
        "RAVI_CONFIG_DIR": "/w/.ravi",
        "RAVI_EMAIL": "task-1@ravi.example",
        "RAVI_PHONE": "",
        "RAVI_IDENTITY_UUID": "0a1b-2c3d",
        "RAVI_IDENTITY_NAME": "task-1",
        "RAVI_API_URL": API_URL,
    }


# --- complete or not there ---------------------------------------------------------------------


def test_a_directory_that_is_there_already_is_filled_in_place(workspace: Path) -> None:
    ravi = workspace / ".ravi"
    ravi.mkdir(mode=0o750)
    (ravi / "notes").write_text("mine")
    before = ravi.stat().st_ino

    assert load_any(workspace) is None
    save(workspace)

    assert load_any(workspace)
    assert ravi.stat().st_ino == before
    assert (ravi / "notes").read_text() == "mine"
    assert mode(ravi) == 0o700


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_workspace_that_lacks_a_file_is_not_provisioned_and_is_completed(
    workspace: Path, file: str
) -> None:
    save(workspace, make_identity(uuid="old"))
    (workspace / ".ravi" / file).unlink()

    assert load_any(workspace) is None
    save(workspace, make_identity(uuid="new"))

    assert load_any(workspace) == make_identity(uuid="new")
    assert names(workspace / ".ravi") == ALL


@pytest.mark.parametrize("kind", ["directory", "file", "link", "dangling link", "fifo"])
def test_what_a_killed_start_left_is_removed(workspace: Path, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    staging = workspace / contract.STAGING_DIR
    if kind == "directory":
        (staging / "deeper" / "still").mkdir(parents=True)
        (staging / ".config.json.new").write_text("half a fi")
        (staging / "link").symlink_to(outside)
    elif kind == "file":
        staging.write_text("")
    elif kind == "fifo":
        os.mkfifo(staging)
    else:
        staging.symlink_to(outside if kind == "link" else "nowhere")

    with Claim(str(workspace)) as claim:
        assert claim.is_free()
        assert names(workspace) == set()
        claim.save(make_identity(), api_url=API_URL)

    assert names(workspace) == {".ravi"}
    assert (outside / "kept").read_text() == "kept"


def test_what_a_kill_in_the_middle_of_the_trial_left_is_removed(workspace: Path) -> None:
    (workspace / ".ravi.new.renamed" / "deeper").mkdir(parents=True)

    save(workspace)

    assert names(workspace) == {".ravi"}


@pytest.mark.parametrize("file", sorted(FILES))
def test_half_a_file_that_a_killed_start_left_is_replaced(workspace: Path, file: str) -> None:
    ravi = workspace / ".ravi"
    ravi.mkdir(mode=0o700)
    (ravi / f".{file}.new").write_text("half a fi")

    save(workspace)

    assert names(ravi) == ALL
    assert load_any(workspace)


@pytest.mark.parametrize("file", sorted(FILES))
@pytest.mark.parametrize("name", ["{}", ".{}.new"], ids=["the file", "its temporary name"])
def test_a_link_that_stands_where_a_file_goes_is_replaced_not_followed(
    workspace: Path, tmp_path: Path, file: str, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    ravi = workspace / ".ravi"
    ravi.mkdir(mode=0o700)
    (ravi / name.format(file)).symlink_to(victim)

    if file == "identity.json" and name == "{}":
        with pytest.raises(WorkspaceError):
            load_any(workspace)
    save(workspace)

    assert victim.read_text() == "untouched"
    assert load_any(workspace)


def test_a_claim_for_what_is_paid_for_tries_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty containers that start at once would each write all files twice."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with Claim(str(workspace)) as claim:
        assert claim.is_free(is_paid=True)
        assert synced == []

        claim.save(make_identity(), api_url=API_URL)
        assert len(synced) == len(ALL) + 2  # and `.ravi/`, and the workspace
        assert load_any(workspace)


LIMITED = """
import resource, sys
from ravi_agent.errors import WorkspaceError
from ravi_agent.identity import Identity
from ravi_agent.workspace.claim import Claim

path, limit = sys.argv[1], int(sys.argv[2])
identity = Identity(uuid="u", name="n" * 200, email="e@x", phone=None, created_at="", key="k")
with Claim(path) as claim:
    assert claim.is_free()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        claim.save(identity, api_url="https://ravi.example")
    except WorkspaceError as exc:
        sys.exit(exc.exit_code)
"""


@pytest.mark.parametrize(
    "limit", [0, 100, 300], ids=["nothing fits", "config.json does not", "env does not"]
)
def test_a_disk_that_is_full_leaves_nothing_that_counts_as_provisioned(
    workspace: Path, limit: int
) -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "-c", LIMITED, workspace, str(limit)], check=False, timeout=30
    )

    assert ended.returncode == 73
    assert load_any(workspace) is None
    assert not (workspace / ".ravi").exists()
    save(workspace)  # and the next start gets on
    assert names(workspace) == {".ravi"}


def test_a_failure_while_filling_in_place_leaves_no_mixture_of_two_identities(
    workspace: Path,
) -> None:
    save(workspace, make_identity(uuid="old", name="old"))
    ravi = workspace / ".ravi"
    (ravi / "env").unlink()
    (ravi / ".identity.json.new").mkdir()  # the last of the three files cannot be written

    with pytest.raises(WorkspaceError):
        save(workspace, make_identity(uuid="new", name="new"))

    assert load_any(workspace) is None


SAVER = """
import sys
from ravi_agent.identity import Identity
from ravi_agent.workspace.claim import Claim

identity = Identity(uuid="u", name="n", email="e@x", phone=None, created_at="", key="k")
for number in range(1000):
    print(number, flush=True)
    with Claim(f"{sys.argv[1]}/{number}") as claim:
        assert claim.is_free()
        claim.save(identity, api_url="https://ravi.example")
"""


@pytest.mark.parametrize("lines", range(1, 9), ids="after {}".format)
def test_a_kill_at_any_instant_leaves_all_or_nothing(tmp_path: Path, lines: int) -> None:
    saver = subprocess.Popen(
        [sys.executable, "-I", "-c", SAVER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert saver.stdout
    with saver, saver.stdout:
        for _ in range(lines):
            assert saver.stdout.readline()
        saver.kill()

    folders = sorted(tmp_path.iterdir())
    assert len(folders) >= lines - 1
    for folder in folders:
        ravi = folder / ".ravi"
        assert (load_any(folder) is not None) == ravi.exists()
        assert not ravi.exists() or names(ravi) == ALL
        if not ravi.exists():
            save(folder)
            assert names(folder) == {".ravi"}


# --- what somebody else chose ------------------------------------------------------------------


def _assert_refused(workspace: Path, why: str, *, name: str | None = None) -> None:
    with pytest.raises(WorkspaceError, match=why) as caught:
        load(str(workspace), name=name, api_url=API_URL)
    assert caught.value.exit_code == 73
    assert caught.value.fix
    assert KEY not in caught.value.lines("test")


@pytest.mark.parametrize("kind", ["link", "dangling link", "file", "fifo"])
def test_a_ravi_that_is_no_directory_is_refused_and_left_alone(
    workspace: Path, tmp_path: Path, kind: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    save(elsewhere)
    ravi = workspace / ".ravi"
    if kind == "link":
        ravi.symlink_to(elsewhere / ".ravi")
    elif kind == "dangling link":
        ravi.symlink_to("nowhere")
    elif kind == "file":
        ravi.write_text("")
    else:
        os.mkfifo(ravi)
    before = ravi.lstat()

    _assert_refused(workspace, r"\.ravi is not used")
    with Claim(str(workspace)) as claim, pytest.raises(WorkspaceError, match="is not used"):
        claim.is_free()

    assert ravi.lstat().st_ino == before.st_ino
    assert names(workspace) == {".ravi"}


def _as_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def _as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _as_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _as_hard_link(path: Path) -> None:
    path.with_name("second name").hardlink_to(path)


def _as_writable(path: Path) -> None:
    path.chmod(0o602)


def _as_large(path: Path) -> None:
    with path.open("a") as file:
        file.write(" " * 64 * 1024)


@pytest.mark.parametrize("file", sorted(FILES))
@pytest.mark.parametrize(
    "attack", [_as_link, _as_fifo, _as_directory, _as_hard_link, _as_writable, _as_large]
)
def test_a_file_that_is_not_plainly_ours_is_refused(
    workspace: Path, file: str, attack: Callable[[Path], None]
) -> None:
    save(workspace)
    attack(workspace / ".ravi" / file)

    _assert_refused(workspace, r"\.ravi is not used")


def test_a_directory_that_everybody_can_write_is_refused(workspace: Path) -> None:
    save(workspace)
    (workspace / ".ravi").chmod(0o777)

    _assert_refused(workspace, "everybody can write it")
    with Claim(str(workspace)) as claim, pytest.raises(WorkspaceError, match="everybody"):
        claim.is_free()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("uuid: 1", id="no JSON"),
        pytest.param("[1]", id="a list"),
        pytest.param("null", id="null"),
        pytest.param("[" * 60_000, id="deeply nested"),
        pytest.param("{}", id="no fields"),
        pytest.param(
            json.dumps({"uuid": "u", "name": "task-1", "email": 7, "api_url": API_URL}),
            id="a number",
        ),
        pytest.param(
            json.dumps({"uuid": "u", "name": "task-1", "email": "a'b", "api_url": API_URL}),
            id="a quote",
        ),
    ],
)
def test_an_identity_that_cannot_be_read_is_refused(workspace: Path, text: str) -> None:
    save(workspace)
    (workspace / ".ravi" / "identity.json").write_text(text)

    _assert_refused(workspace, r"identity\.json is not used")


def test_an_identity_that_is_not_utf8_is_refused_or_harmless(workspace: Path) -> None:
    save(workspace)
    (workspace / ".ravi" / "identity.json").write_bytes(b'{"uuid": "\xff\xfe')

    _assert_refused(workspace, "not JSON")


def test_an_identity_of_another_service_is_refused(workspace: Path) -> None:
    save(workspace, api_url="https://elsewhere.example")

    _assert_refused(workspace, r"another service than https://ravi\.example")


def test_an_identity_that_does_not_say_its_service_is_refused(workspace: Path) -> None:
    save(workspace)
    file = workspace / ".ravi" / "identity.json"
    record = json.loads(file.read_text())
    del record["api_url"]
    file.write_text(json.dumps(record))

    _assert_refused(workspace, "another service")


def test_an_identity_of_another_name_is_refused_where_a_name_is_asked_for(
    workspace: Path,
) -> None:
    save(workspace, make_identity(name="somebody"))

    _assert_refused(workspace, "'somebody', this start asks for 'task-1'", name="task-1")
    assert load_any(workspace) == make_identity(name="somebody")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", [".", "config.json", "env", "identity.json"])
def test_what_was_unpacked_or_copied_in_is_refused_where_no_name_is_asked_for(
    workspace: Path, what: str
) -> None:
    """An archive unpacked by root keeps strange owners; `COPY . /workspace` makes all root's."""
    save(workspace)
    os.chown(workspace / ".ravi" / what, 4711, 4711)

    _assert_refused(workspace, "belongs to uid 4711")
    if what == ".":
        os.chown(workspace / ".ravi/env", 4711, 4711)
        os.chown(workspace / ".ravi/config.json", 4711, 4711)
        os.chown(workspace / ".ravi/identity.json", 4711, 4711)
        _assert_refused(workspace, "belongs to uid 4711")
        assert load(str(workspace), name="task-1", api_url=API_URL) == make_identity()


@contextmanager
def acting_as(uid: int, groups: tuple[int, ...] = ()) -> Iterator[None]:
    before = os.getgroups()
    os.setgroups(groups)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(
    ("uid", "groups", "mode", "is_used"),
    [
        pytest.param(1000, (), 0o755, False, id="copied into the image by root"),
        pytest.param(1000, (2000,), 0o2770, True, id="shared by fsGroup"),
        pytest.param(1000, (2000,), 0o770, False, id="a group without setgid"),
        pytest.param(1000, (), 0o2775, False, id="a group of others"),
    ],
)
def test_root_s_files_are_the_agent_s_only_where_a_group_shares_the_workspace(
    uid: int, groups: tuple[int, ...], mode: int, is_used: bool
) -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "workspace"
        path.mkdir()
        os.chown(path, -1, 2000)
        path.chmod(mode)
        save(path)
        for entry in (path / ".ravi", *(path / ".ravi").iterdir()):
            os.chown(entry, 0, 2000)
            entry.chmod(entry.stat().st_mode | 0o055)
        with acting_as(uid, groups):
            if is_used:
                assert load_any(path) == make_identity()
            else:
                _assert_refused(path, "belongs to uid 0")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_uses_what_belongs_to_the_workspace_s_owner(workspace: Path) -> None:
    save(workspace)
    for path in (workspace, workspace / ".ravi", *(workspace / ".ravi").iterdir()):
        os.chown(path, 1000, 1000)

    assert load_any(workspace) == make_identity()


def _git(folder: Path, *arguments: str) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    subprocess.run(["git", *arguments], cwd=folder, env=environ, check=True, timeout=30)


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_ravi_that_came_with_the_repository_is_refused(workspace: Path, file: str) -> None:
    save(workspace)
    _git(workspace, "init", "--quiet")
    _git(workspace, "add", "--force", f".ravi/{file}")

    _assert_refused(workspace, "git tracks it")
    with Claim(str(workspace)) as claim, pytest.raises(WorkspaceError, match="git tracks it"):
        claim.is_free()


def test_a_ravi_of_a_subdirectory_is_not_mistaken_for_the_workspace_s(workspace: Path) -> None:
    save(workspace)
    save(workspace / "sub")
    _git(workspace, "init", "--quiet")
    _git(workspace, "add", "--force", "sub/.ravi")

    assert load_any(workspace)
    _assert_refused(workspace / "sub", "git tracks it")


def test_a_repository_that_cannot_be_read_is_an_error_of_the_workspace(workspace: Path) -> None:
    save(workspace)
    _git(workspace, "init", "--quiet")
    (workspace / ".git" / "index").symlink_to("index")  # opening it fails for root, too

    _assert_refused(workspace, r"\.ravi is not used")


def test_git_never_takes_the_key_whatever_the_repository_says(workspace: Path) -> None:
    """A tracked `.gitignore` beats `info/exclude`: `!/.ravi/` would have it committed."""
    _git(workspace, "init", "--quiet")
    (workspace / ".gitignore").write_text("!/.ravi/\n!**\n")
    save(workspace)
    exclude_from_git(str(workspace))

    _git(workspace, "add", "--all")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=workspace, capture_output=True, text=True, check=True, timeout=30
    )

    assert listed.stdout == ".gitignore\n"


def test_outside_a_work_tree_there_is_nothing_to_exclude(workspace: Path) -> None:
    exclude_from_git(str(workspace))

    assert names(workspace) == set()


# --- one at a time -----------------------------------------------------------------------------

HOLDER = """
import sys
from ravi_agent.workspace.claim import Claim

with Claim(sys.argv[1]) as claim:
    print(claim.is_free(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(workspace: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the workspace until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", HOLDER, workspace],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        yield process


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    assert process.wait(30) == 0


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    assert process.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("end", [_end, _kill], ids=["that ends", "that is killed"])
def test_a_workspace_is_free_only_after_its_holder(
    workspace: Path,
    holder: subprocess.Popen[str],
    end: Callable[[subprocess.Popen[str]], None],
) -> None:
    with Claim(str(workspace)) as claim:
        assert not claim.is_free()
        assert not claim.is_free()
        end(holder)
        assert claim.is_free()


def test_a_claim_leaves_no_file(workspace: Path) -> None:
    with Claim(str(workspace)) as claim:
        assert claim.is_free()
        assert names(workspace) == set()

    assert names(workspace) == set()


def test_a_workspace_that_is_claimed_can_be_loaded(workspace: Path) -> None:
    save(workspace)

    with Claim(str(workspace)) as claim:
        assert claim.is_free()
        assert load_any(workspace)


def hold(path: Path) -> None:
    with Claim(str(path)):
        pass


def test_a_workspace_that_is_a_file_is_an_error_of_the_workspace(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(WorkspaceError) as caught, Claim(str(file)):
        pass

    assert caught.value.exit_code == 73
    with pytest.raises(WorkspaceError):
        remove(str(file))


@pytest.mark.parametrize("kind", ["fifo", "loop", "dangling", "long"])
def test_a_workspace_that_is_no_directory_is_named_with_a_remedy_that_helps(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / ("x" * 300 if kind == "long" else kind)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind != "long":
        path.symlink_to("loop" if kind == "loop" else "nonesuch/directory")

    # Behind a dangling link there is no workspace yet: only who fills one finds it.
    for use in (hold,) if kind == "dangling" else (load_any, hold):
        with pytest.raises(WorkspaceError) as caught:
            use(path)

        assert caught.value.what == f"workspace {path} cannot be used"
        assert caught.value.fix == "set RAVI_WORKSPACE to a directory"


# --- and away ----------------------------------------------------------------------------------


def test_release_removes_everything_of_ours_and_nothing_else(workspace: Path) -> None:
    save(workspace)
    (workspace / "work").write_text("mine")
    (workspace / ".ravi" / "deeper" / "still").mkdir(parents=True)
    (workspace / ".ravi" / "deeper" / "file").write_text("")
    (workspace / contract.STAGING_DIR).mkdir()
    os.mkfifo(workspace / ".ravi" / "fifo")

    assert remove(str(workspace)) is True
    assert names(workspace) == {"work"}
    assert remove(str(workspace)) is False
    assert remove(str(workspace / "not there")) is False


def test_release_follows_no_link(workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    save(workspace)
    ravi = workspace / ".ravi"
    (ravi / "folder").symlink_to(outside)
    (ravi / "file").symlink_to(outside / "kept")
    (ravi / "loop").symlink_to(ravi)
    (ravi / "nowhere").symlink_to("nowhere")

    assert remove(str(workspace))
    assert names(workspace) == set()
    assert (outside / "kept").read_text() == "kept"


def test_release_of_a_link_removes_the_link(workspace: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    save(elsewhere)
    (workspace / ".ravi").symlink_to(elsewhere / ".ravi")

    assert remove(str(workspace))
    assert names(workspace) == set()
    assert load_any(elsewhere)


def test_a_fifo_where_git_keeps_its_files_makes_nobody_wait(workspace: Path) -> None:
    os.mkfifo(workspace / ".git")

    save(workspace)

    assert load_any(workspace)


# --- removal -----------------------------------------------------------------------------------


def test_a_directory_deeper_than_a_path_can_be_long_is_removed(workspace: Path) -> None:
    """Deeper than Python recurses, with more levels than a process may hold open, too."""
    save(workspace)
    levels = 3000
    folder = os.open(workspace / ".ravi", os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("deep-down", dir_fd=folder)
        below = os.open("deep-down", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)

    assert remove(str(workspace))
    assert names(workspace) == set()


def test_names_that_removal_itself_would_use_are_in_nobody_s_way(workspace: Path) -> None:
    save(workspace)
    for number in (1, 2, 3):
        (workspace / ".ravi" / f".ravi.new.{number}" / "a" / "b").mkdir(parents=True)
        (workspace / ".ravi" / f".ravi.new.{number}" / "a" / "file").write_text("")

    assert remove(str(workspace))
    assert names(workspace) == set()

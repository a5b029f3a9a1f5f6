"""What git's own files say, against what git itself says."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ravi_agent.workspace.git import Worktree

OURS = ".ravi/identity.json"


def git(folder: Path, *arguments: str) -> str:
    """Run the real git, with nothing of this machine's or this user's configuration."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Test",
        "GIT_AUTHOR_EMAIL": "test@example.com",
        "GIT_COMMITTER_NAME": "Test",
        "GIT_COMMITTER_EMAIL": "test@example.com",
    }
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
    ).stdout


def write(top: Path, *paths: str) -> None:
    for path in paths:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(path)


def tracks(folder: Path, name: str = ".ravi") -> bool:
    worktree = Worktree.find(str(folder))
    assert worktree
    return worktree.tracks(name)


def index_version(top: Path) -> int:
    path = git(top, "rev-parse", "--git-path", "index").strip()
    return int.from_bytes((top / path).read_bytes()[4:8], "big")


def init(top: Path, *options: str) -> Path:
    top.mkdir(parents=True, exist_ok=True)
    git(top, "init", "--quiet", "--initial-branch=main", *options)
    return top


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """The top of a work tree without a file."""
    return init(tmp_path / "repository")


# --- is it tracked? ----------------------------------------------------------------------------


def _version_2(top: Path) -> None:
    assert index_version(top) == 2


def _version_3_elsewhere(top: Path) -> None:
    write(top, "later.txt")
    git(top, "add", "--intent-to-add", "later.txt")
    assert index_version(top) == 3


def _version_4(top: Path) -> None:
    git(top, "update-index", "--index-version", "4")
    assert index_version(top) == 4


def _version_4_extended(top: Path) -> None:
    _version_4(top)
    git(top, "update-index", "--skip-worktree", "a.txt", ".ravh/x")


def _split(top: Path) -> None:
    git(top, "update-index", "--split-index")
    assert b"link" in (top / ".git" / "index").read_bytes()


def _split_version_4(top: Path) -> None:
    _version_4(top)
    _split(top)


def _untracked_cache(top: Path) -> None:
    git(top, "update-index", "--force-untracked-cache")
    git(top, "status")  # fills an extension with names of directories


INDEXES = [
    _version_2,
    _version_3_elsewhere,
    _version_4,
    _version_4_extended,
    _split,
    _split_version_4,
    _untracked_cache,
]
# Neighbours in the index's order, which share as much of the name as can be.
NEIGHBOURS = (
    "a.txt",
    ".rav",
    ".ravh/x",
    ".ravi-old/identity.json",
    ".ravi.new/identity.json",
    ".raviX",
    ".ravj/identity.json",
    "sub/.ravi/identity.json",
    "sub/dir/.ravi/env",
    "x.ravi/identity.json",
    "zzz.txt",
)
HASHES = pytest.mark.parametrize("object_format", ["sha1", "sha256"])


def _commit(top: Path, *paths: str) -> None:
    write(top, *paths)
    git(top, "add", "--force", *paths)
    git(top, "commit", "--quiet", "--message", "test")


@HASHES
@pytest.mark.parametrize("rewrite", INDEXES)
def test_a_tracked_file_is_seen_in_every_kind_of_index(
    tmp_path: Path, rewrite: Callable[[Path], None], object_format: str
) -> None:
    top = init(tmp_path / "repository", f"--object-format={object_format}")
    _commit(top, *NEIGHBOURS, OURS)
    rewrite(top)

    assert git(top, "ls-files", ".ravi").splitlines() == [OURS]
    assert tracks(top)
    assert tracks(top / "sub")
    assert tracks(top / "sub" / "dir")


@HASHES
@pytest.mark.parametrize("rewrite", INDEXES)
def test_neighbours_of_a_similar_name_are_not_mistaken_for_it(
    tmp_path: Path, rewrite: Callable[[Path], None], object_format: str
) -> None:
    top = init(tmp_path / "repository", f"--object-format={object_format}")
    _commit(top, *NEIGHBOURS)
    rewrite(top)

    assert git(top, "ls-files", ".ravi") == ""
    assert not tracks(top)
    assert tracks(top / "sub")


@pytest.mark.parametrize("version", [2, 4], ids="version {}".format)
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(".ravi", id="a file"),
        pytest.param(".ravi/env", id="a file in it"),
        pytest.param(".ravi/deeper/still/x", id="a file deep in it"),
        pytest.param(f".ravi/{'long/' * 900}x", id="a path longer than 4095 bytes"),
    ],
)
def test_whatever_stands_at_or_below_the_name_is_tracked(
    top: Path, version: int, path: str
) -> None:
    _commit(top, *NEIGHBOURS)
    blob = git(top, "hash-object", "-w", "a.txt").strip()
    git(top, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    git(top, "update-index", "--index-version", str(version))
    assert index_version(top) == version

    assert tracks(top)


@pytest.mark.parametrize("version", [2, 4], ids="version {}".format)
def test_a_link_and_a_submodule_of_that_name_are_tracked(top: Path, version: int) -> None:
    _commit(top, "a.txt")
    head = git(top, "rev-parse", "HEAD").strip()
    git(top, "update-index", "--add", "--cacheinfo", f"160000,{head},.ravi")
    git(top, "update-index", "--add", "--cacheinfo", f"160000,{head},sub/.ravi")
    git(top, "update-index", "--index-version", str(version))
    (top / "sub").mkdir()

    assert tracks(top)
    assert tracks(top / "sub")


def _intend(top: Path) -> None:
    git(top, "rm", "--quiet", "--cached", OURS)
    git(top, "add", "--force", "--intent-to-add", OURS)


def _skip(top: Path) -> None:
    git(top, "update-index", "--skip-worktree", OURS)


@pytest.mark.parametrize("mark", [_intend, _skip], ids=["intent to add", "skip worktree"])
@pytest.mark.parametrize("version", [3, 4], ids="version {}".format)
def test_an_entry_with_extended_flags_is_tracked(
    top: Path, mark: Callable[[Path], None], version: int
) -> None:
    _commit(top, *NEIGHBOURS, OURS)
    git(top, "update-index", "--index-version", str(version))
    mark(top)
    assert index_version(top) == version
    assert git(top, "ls-files", ".ravi").splitlines() == [OURS]

    assert tracks(top)


@pytest.mark.parametrize("version", [2, 4], ids="version {}".format)
def test_a_file_added_after_the_index_was_split_is_tracked(top: Path, version: int) -> None:
    _commit(top, *NEIGHBOURS)
    git(top, "update-index", "--index-version", str(version))
    _split(top)
    write(top, OURS)
    git(top, "add", "--force", OURS)

    assert tracks(top)


@pytest.mark.parametrize("version", [2, 4], ids="version {}".format)
def test_thousands_of_files_do_not_hide_one(top: Path, version: int) -> None:
    blob = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # git's name of the empty file
    git(top, "hash-object", "-w", "/dev/null")
    entries = [f"100644,{blob},d{n % 7}/{'n' * (n % 200)}{n}" for n in range(5000)]
    for start in range(0, len(entries), 1000):
        options = [
            word for entry in entries[start : start + 1000] for word in ("--cacheinfo", entry)
        ]
        git(top, "update-index", "--add", *options)
    git(top, "update-index", "--index-version", str(version))
    assert not tracks(top)

    git(top, "update-index", "--add", "--cacheinfo", f"100644,{blob},{OURS}")

    assert tracks(top)


def test_nothing_is_tracked_in_a_repository_without_an_index(top: Path) -> None:
    assert not (top / ".git" / "index").exists()
    assert not tracks(top)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"DIRC", id="a header cut off"),
        pytest.param(b"DIRC\0\0\0\4\xff\xff\xff\xff", id="entries that are not there"),
        pytest.param(b"DIRC\0\0\0\4\0\0\0\1" + b"\x80" * 200, id="a number that does not end"),
        pytest.param(b"DIRC\0\0\0\2\0\0\0\1.ravi", id="a name that does not end"),
        pytest.param(b"no index at all .ravi/x", id="something else"),
    ],
)
def test_an_index_that_is_broken_tracks_nothing(top: Path, content: bytes) -> None:
    (top / ".git" / "index").write_bytes(content)

    assert not tracks(top)


# --- where is the work tree? -------------------------------------------------------------------


def test_a_directory_that_only_has_a_git_of_its_own_is_no_work_tree(top: Path) -> None:
    inner = top / "inner"
    (inner / ".git").mkdir(parents=True)  # no HEAD: git climbs past it
    _commit(top, "inner/.ravi/env")

    assert git(inner, "rev-parse", "--show-toplevel").strip() == str(top.resolve())
    assert tracks(inner)


def test_an_inner_repository_answers_for_itself(top: Path) -> None:
    _commit(top, "inner/.ravi/env")
    init(top / "inner")

    assert not tracks(top / "inner")


def test_a_workspace_reached_by_a_link_is_where_the_link_leads(top: Path, tmp_path: Path) -> None:
    _commit(top, "sub/.ravi/env")
    (tmp_path / "link").symlink_to(top / "sub")

    assert tracks(tmp_path / "link")


def test_a_linked_worktree_has_an_index_of_its_own(top: Path, tmp_path: Path) -> None:
    _commit(top, "a.txt")
    linked = tmp_path / "linked"
    git(top, "worktree", "add", "--quiet", str(linked))
    write(linked, OURS)
    git(linked, "add", "--force", OURS)

    assert tracks(linked)
    assert not tracks(top)


def test_a_submodule_has_an_index_of_its_own(top: Path, tmp_path: Path) -> None:
    other = init(tmp_path / "other")
    _commit(other, "a.txt")
    options = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    git(top, *options, str(other), "module")
    write(top / "module", OURS)
    git(top / "module", "add", "--force", OURS)

    assert tracks(top / "module")
    assert not tracks(top)


# --- exclude -----------------------------------------------------------------------------------


def exclude_file(folder: Path) -> Path:
    return folder / git(folder, "rev-parse", "--git-path", "info/exclude").strip()


def exclude(folder: Path) -> None:
    worktree = Worktree.find(str(folder))
    assert worktree
    worktree.exclude(".ravi/", ".ravi.new/", ".ravi-status.json")


@pytest.mark.parametrize("inside", ["", "sub", "sub/two words", "sub/é#!"], ids=repr)
def test_git_shows_nothing_of_ours_once_it_is_excluded(top: Path, inside: str) -> None:
    folder = top / inside
    write(folder, OURS, ".ravi.new/env", ".ravi-status.json", "work.txt")

    exclude(folder)

    shown = git(top, "status", "--porcelain", "-z", "--untracked-files=all")
    assert ".ravi" not in shown
    assert "work.txt" in shown


@pytest.mark.parametrize("inside", ["sub[1]", "back\\slash", "[!a]"], ids=repr)
def test_a_directory_of_an_odd_name_is_excluded_too(top: Path, inside: str) -> None:
    folder = top / inside
    write(folder, OURS)

    exclude(folder)

    assert ".ravi" not in git(top, "status", "--porcelain", "--untracked-files=all")


def test_only_the_directory_asked_about_is_excluded(top: Path) -> None:
    write(top, OURS, "sub/.ravi/env")

    exclude(top)

    shown = git(top, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert shown == ["?? sub/.ravi/env"]


@pytest.mark.parametrize(
    "before",
    [b"", b"*.log\n", b"*.log", b"*.log\r\n", b"# /.ravi/\n", b"/.ravi/x\n"],
    ids=["empty", "a line", "a line without an end", "CRLF", "a comment", "something like it"],
)
def test_excluding_twice_adds_each_line_once_and_keeps_what_is_there(
    top: Path, before: bytes
) -> None:
    file = exclude_file(top)
    file.write_bytes(before)

    exclude(top)
    once = file.read_bytes()
    exclude(top)

    assert file.read_bytes() == once
    assert once.startswith(before)
    lines = once.splitlines()
    added = [b"/.ravi/", b"/.ravi.new/", b"/.ravi-status.json"]
    assert lines == [*before.splitlines(), *added]


def test_a_line_that_is_there_already_is_not_added(top: Path) -> None:
    file = exclude_file(top)
    file.write_text("/.ravi-status.json\n/.ravi.new/\n/.ravi/\n")

    exclude(top)

    assert file.read_text() == "/.ravi-status.json\n/.ravi.new/\n/.ravi/\n"


def test_a_missing_info_directory_is_made(tmp_path: Path) -> None:
    top = init(tmp_path / "repository", "--template=")
    write(top, OURS)
    assert not (top / ".git" / "info").exists()

    exclude(top)

    assert git(top, "status", "--porcelain") == ""


def test_no_tracked_file_changes(top: Path) -> None:
    _commit(top, ".gitignore", "a.txt")
    write(top, OURS)

    exclude(top)

    assert git(top, "status", "--porcelain") == ""


def test_a_linked_worktree_shares_the_exclude_file_of_its_repository(
    top: Path, tmp_path: Path
) -> None:
    _commit(top, "a.txt")
    linked = [tmp_path / f"linked-{number}" for number in range(3)]
    for folder in linked:
        git(top, "worktree", "add", "--quiet", str(folder))
        write(folder, OURS)

        exclude(folder)

        assert git(folder, "status", "--porcelain") == ""
    assert exclude_file(top).read_text().count("/.ravi/\n") == 1
    assert exclude_file(linked[0]).samefile(exclude_file(top))


def test_a_submodule_has_an_exclude_file_of_its_own(top: Path, tmp_path: Path) -> None:
    other = init(tmp_path / "other")
    _commit(other, "a.txt")
    options = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    git(top, *options, str(other), "module")
    write(top / "module", OURS)

    exclude(top / "module")

    assert git(top / "module", "status", "--porcelain") == ""
    assert "/.ravi/" in exclude_file(top / "module").read_text()
    assert "/.ravi/" not in exclude_file(top).read_text()


def test_an_exclude_file_that_is_a_link_is_not_written_through(top: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched\n")
    file = exclude_file(top)
    file.unlink()
    file.symlink_to(victim)

    with pytest.raises(OSError, match="symbolic links"):
        exclude(top)

    assert victim.read_text() == "untouched\n"


# --- what somebody else may have written --------------------------------------------------------


def refused(folder: Path) -> str:
    """What is said of a work tree whose exclude file is not written."""
    with pytest.raises(OSError, match=r".") as caught:
        exclude(folder)
    return str(caught.value.strerror)


def tree_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Somebody's directory, which looks like a repository, with a work tree of its own."""
    path = init(tmp_path / "victim")
    _commit(path, "a.txt")
    git(path, "worktree", "add", "--quiet", str(tmp_path / "victims-tree"))
    return path


def _pointer(top: Path, victim: Path) -> None:
    (top / ".git").write_text(f"gitdir: {victim}/.git\n")


def _pointer_to_a_worktree(top: Path, victim: Path) -> None:
    (top / ".git").write_text(f"gitdir: {victim}/.git/worktrees/victims-tree\n")


def _own_directory_with_a_common_one(top: Path, victim: Path) -> None:
    init(top)
    (top / ".git/commondir").write_text(f"{victim}/.git\n")


def _half_a_worktree(top: Path, victim: Path) -> None:
    fake = top / "worktrees/fake"
    fake.mkdir(parents=True)
    (fake / "HEAD").write_text("ref: refs/heads/main\n")
    (fake / "gitdir").write_text(f"{top}/.git\n")
    (fake / "commondir").write_text(f"{victim}/.git\n")
    (top / ".git").write_text(f"gitdir: {fake}\n")


def _link(top: Path, victim: Path) -> None:
    (top / ".git").symlink_to(victim / ".git")


def _linked_info(top: Path, victim: Path) -> None:
    init(top, "--template=")
    (top / ".git/info").symlink_to(victim / ".git/info")


def _hard_link(top: Path, victim: Path) -> None:
    init(top, "--template=")
    (top / ".git/info").mkdir()
    (top / ".git/info/exclude").hardlink_to(victim / ".git/info/exclude")


@pytest.mark.parametrize(
    "attack",
    [
        _pointer,
        _pointer_to_a_worktree,
        _own_directory_with_a_common_one,
        _half_a_worktree,
        _link,
        _linked_info,
        _hard_link,
    ],
)
def test_nothing_is_written_outside_of_the_work_tree_s_own_repository(
    tmp_path: Path, victim: Path, attack: Callable[[Path, Path], None]
) -> None:
    top = tmp_path / "planted"
    top.mkdir()
    attack(top, victim)
    before = tree_of(victim)

    assert refused(top)
    assert tree_of(victim) == before


@pytest.mark.parametrize("name", ["two\nlines", "sub\n/etc"], ids=repr)
def test_a_line_break_in_a_directory_s_name_writes_no_line_of_its_own(top: Path, name: str) -> None:
    (top / name).mkdir(parents=True)
    before = exclude_file(top).read_bytes()

    assert "line break" in refused(top / name)
    assert exclude_file(top).read_bytes() == before


def test_a_name_that_ends_in_spaces_is_excluded(top: Path) -> None:
    worktree = Worktree.find(str(top))
    assert worktree
    write(top, "mine  ", "work.txt")

    worktree.exclude("mine  ")

    assert git(top, "status", "--porcelain") == "?? work.txt\n"


@pytest.mark.parametrize("file", ["HEAD", "index", "commondir", ".git"])
@pytest.mark.parametrize(
    "content",
    [b"gitdir: \xff\xfe\n", b"gitdir: a\0b\n", b"\xff" * 5000, b"gitdir: " + b"d/" * 3000],
    ids=["no UTF-8", "a null byte", "bytes", "a long path"],
)
def test_what_makes_no_sense_is_an_error_of_the_file_system_or_nothing(
    tmp_path: Path, file: str, content: bytes
) -> None:
    top = tmp_path / "repository"
    if file == ".git":
        top.mkdir()
        (top / ".git").write_bytes(content)
    else:
        (init(top) / ".git" / file).write_bytes(content)

    for act in (tracks, exclude, lambda folder: Worktree.find(str(folder)).branch()):  # type: ignore[union-attr]
        try:
            act(top)
        except (OSError, AssertionError, AttributeError):
            continue  # AssertionError and AttributeError: it is no work tree


def test_a_fifo_in_place_of_the_exclude_file_is_not_waited_for(top: Path) -> None:
    exclude_file(top).unlink()
    os.mkfifo(exclude_file(top))

    assert "not a plain file" in refused(top)


def _stuffed() -> bytes:
    """Two megabytes that look like our name everywhere, with no end of a name in sight."""
    return b"DIRC\0\0\0\2\0\0\0\1" + b".ravi/" * 350_000


def _growing() -> bytes:
    """Version 4: each name is a byte longer than the one before."""
    entries = []
    for length in range(1, 30_000):
        flags = min(length, 0xFFF).to_bytes(2, "big")
        entries.append(b"\0" * 60 + flags + b"\0" + b"x\0")
    return b"DIRC\0\0\0\4" + len(entries).to_bytes(4, "big") + b"".join(entries)


CPU = """
import resource, sys
from ravi_agent.workspace.git import Worktree

resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    sys.exit(Worktree.find(sys.argv[1]).tracks(".ravi"))
except OSError as exc:
    print(exc.strerror)
    sys.exit(3)
"""


@pytest.mark.parametrize(
    ("make", "code"),
    [(_stuffed, 0), (_growing, 0), (None, 3)],
    ids=["stuffed", "growing names", "two sparse gigabytes"],
)
def test_an_index_that_is_a_bomb_costs_little(
    top: Path, make: Callable[[], bytes] | None, code: int
) -> None:
    """Little: five seconds of CPU and a gigabyte are what the process may have."""
    index = top / ".git/index"
    index.write_bytes(make() if make else b"DIRC")
    if make is None:
        os.truncate(index, 2 << 30)

    ended = subprocess.run(
        [sys.executable, "-I", "-c", CPU, top],
        stdout=subprocess.PIPE,
        text=True,
        timeout=100,
        check=False,
    )

    assert ended.returncode == code
    assert ("more than" in ended.stdout) == (code == 3)

"""Provisioning on file systems that lack locks, syncs or modes: tolerated, or refused unpaid.

The kernel refuses the calls, by a seccomp filter, with what such file systems answer.
"""

import errno
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.local.server import LocalRavi
from ravi_agent.plain_file import read_plain_file

BIN = Path(sys.executable).parent
NUMBERS = {
    "x86_64": {"flock": 73, "fcntl": 72, "fsync": 74, "fchmod": 91},
    "aarch64": {"flock": 32, "fcntl": 25, "fsync": 82, "fchmod": 52},
}[platform.machine()]
# Installs a filter of (call, errno) pairs, then becomes the command. seccomp(2), <linux/filter.h>.
FILTERED = """
import ctypes, os, struct, sys

ERRNO, ALLOW, F_SETLK = 0x50000, 0x7FFF0000, 6
steps = []
for pair in sys.argv[1].split(","):
    number, lock_only, error = map(int, pair.split(":"))
    steps.append((0x20, 0, 0, 0))  # the number of the call
    if lock_only:  # of fcntl, its locks alone
        steps += [(0x15, 0, 3, number), (0x20, 0, 0, 24), (0x15, 0, 1, F_SETLK)]
    else:
        steps.append((0x15, 0, 1, number))
    steps.append((0x06, 0, 0, ERRNO | error))
steps.append((0x06, 0, 0, ALLOW))
code = b"".join(struct.pack("HBBI", *step) for step in steps)
buffer = ctypes.create_string_buffer(code, len(code))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit("no filter: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def environ(local: LocalRavi, tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "key"
    key.write_text(MANAGEMENT_KEY)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "RAVI_API_URL": local.url,
        "RAVI_MANAGEMENT_KEY_FILE": str(key),
        "RAVI_PROVISION_TIMEOUT": "60",
    }


def filtered(refused: dict[str, int], *command: str | Path) -> list[str]:
    """A command line that runs `command` where the kernel refuses these calls."""
    pairs = ",".join(f"{NUMBERS[call]}:{int(call == 'fcntl')}:{no}" for call, no in refused.items())
    return [sys.executable, "-I", "-c", FILTERED, pairs, *map(str, command)]


def init(environ: dict[str, str], refused: dict[str, int], workspace: Path, code: int = 0) -> str:
    words = ("--workspace", str(workspace), "--name", "task-1")
    return said(filtered(refused, BIN / "ravi-init", *words), environ, code=code)


def said(
    command: list[str], environ: dict[str, str], *, code: int, stdin: str | None = None
) -> str:
    """What a command that exits with `code` writes to standard error."""
    done = subprocess.run(
        command,
        env=environ,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stderr


def start(environ: dict[str, str], refused: dict[str, int], workspace: Path, code: int = 0) -> str:
    """A start that is handed its identity, which is paid for by then."""
    identity = {
        "uuid": "676537bf-26ca-46bd-8c84-fbb5acbafa53",
        "name": "task-1",
        "email": "task-1@ravi-local.test",
        "created_at": "2026-01-01T00:00:00Z",
        "key": "ravi_id_0123456789abcdef0123456789abcdef",
    }
    settings = {
        "RAVI_HANDOVER": "stdin",
        "RAVI_IDENTITY_NAME": "task-1",
        "RAVI_AGENT_USER": str(os.geteuid()),
    }
    return said(
        filtered(refused, BIN / "ravi-entrypoint", "true"),
        {**environ, **settings, "RAVI_WORKSPACE": str(workspace)},
        code=code,
        stdin=json.dumps({"identity": identity}) + "\n",
    )


LACKS = [errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS]


@pytest.mark.parametrize("number", LACKS, ids=errno.errorcode.get)
@pytest.mark.parametrize("calls", [("flock",), ("flock", "fcntl"), ("fsync",)], ids=" ".join)
@pytest.mark.parametrize("is_there", [False, True], ids=["new", "in place"])
def test_what_is_merely_missing_is_tolerated_on_every_start(
    environ: dict[str, str],
    local: LocalRavi,
    tmp_path: Path,
    calls: tuple[str, ...],
    number: int,
    is_there: bool,
) -> None:
    workspace = tmp_path / "work"
    (workspace / ".ravi" if is_there else workspace).mkdir(parents=True, mode=0o700)
    refused = dict.fromkeys(calls, number)

    first = init(environ, refused, workspace)
    second = init(environ, refused, workspace)

    assert ("has no locks" in first) == (len(calls) == 2)
    assert second == ""
    assert len(local.store.identities()) == 1
    assert [path.name for path in workspace.iterdir()] == [".ravi"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP], ids=errno.errorcode.get)
def test_a_file_system_that_refuses_chmod_gets_private_files_all_the_same(
    environ: dict[str, str], tmp_path: Path, number: int
) -> None:
    workspace = tmp_path / "work"

    said = init(environ, {"fchmod": number}, workspace)
    init(environ, {"fchmod": number}, workspace)

    assert "keeps no modes" not in said
    assert (workspace / ".ravi/config.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("call", ["flock", "fsync", "fchmod"])
def test_a_disk_that_fails_is_found_before_anything_is_paid_for(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path, call: str
) -> None:
    said = init(environ, {call: errno.EIO}, tmp_path / "work", code=73)

    assert "Input/output error" in said
    assert local.store.identities() == []
    assert not (tmp_path / "work/.ravi").exists()


@pytest.mark.parametrize("call", ["flock", "fsync", "fchmod"])
def test_a_disk_that_fails_is_said_where_the_identity_is_handed_over(
    environ: dict[str, str], tmp_path: Path, call: str
) -> None:
    said = start(environ, {call: errno.EIO}, tmp_path / "work", code=73)

    assert "Input/output error" in said
    assert not (tmp_path / "work/.ravi").exists()


HOLDER = """
import sys
from ravi_agent.workspace.claim import Claim

with Claim(sys.argv[1]) as claim:
    print(claim.is_free(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("calls", [("flock",)], ids=" ".join)
def test_two_starts_exclude_each_other_by_a_file_where_a_directory_has_no_lock(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path, calls: tuple[str, ...]
) -> None:
    workspace = tmp_path / "work"
    refused = dict.fromkeys(calls, errno.EBADF)
    holder = subprocess.Popen(
        filtered(refused, sys.executable, "-I", "-c", HOLDER, workspace),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout
        assert holder.stdin
        assert holder.stdout.readline() == "True\n"

        environ["RAVI_PROVISION_TIMEOUT"] = "0.3"
        assert "is taken" in init(environ, refused, workspace, code=73)
        holder.stdin.close()

    environ["RAVI_PROVISION_TIMEOUT"] = "60"
    init(environ, refused, workspace)
    assert len(local.store.identities()) == 1
    assert [path.name for path in workspace.iterdir()] == [".ravi"]


def test_an_agent_s_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    """`/proc` files have no size, and grow while they are read."""
    data, _ = read_plain_file("/proc/self/status", 1 << 20)
    assert data.startswith(b"Name:")

    with pytest.raises(OSError, match="more than 4 bytes"):
        read_plain_file("/proc/self/status", 4)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="regular"):
        read_plain_file(str(tmp_path / "fifo"), 4)


@pytest.fixture(params=["--chmod-ignore", "--chmod-deny"])
def shown_open(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory as Docker Desktop shows one of Windows: all of it root's, with mode 0777."""
    source, shown = tmp_path / "source", tmp_path / "shown"
    source.mkdir()
    shown.mkdir()
    options = ["--perms=0777", "--chown-ignore", "--force-user=root", "--force-group=root"]
    subprocess.run(["bindfs", *options, request.param, source, shown], check=True, timeout=60)
    yield shown
    subprocess.run(["fusermount", "-u", shown], check=True, timeout=60)


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK), reason="no FUSE for this user"
)
def test_where_everything_shows_0777_every_start_works_and_the_first_says_so(
    environ: dict[str, str], local: LocalRavi, shown_open: Path
) -> None:
    first = init(environ, {"flock": errno.ENOSYS}, shown_open)
    second = init(environ, {"flock": errno.ENOSYS}, shown_open)

    assert "keeps no modes" in first
    assert "fix: mount a volume" in first
    assert second == ""
    assert len(local.store.identities()) == 1


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK), reason="no FUSE for this user"
)
@pytest.mark.parametrize("calls", [("flock",), ("flock", "fcntl")], ids=" ".join)
def test_a_start_that_is_handed_its_identity_says_once_what_is_lacking(
    environ: dict[str, str], shown_open: Path, calls: tuple[str, ...]
) -> None:
    refused = dict.fromkeys(calls, errno.ENOSYS)

    said = start(environ, refused, shown_open)

    assert said.count("keeps no modes") == 1
    assert said.count("has no locks") == ("fcntl" in calls)
    assert "keeps no modes" not in start(environ, refused, shown_open)

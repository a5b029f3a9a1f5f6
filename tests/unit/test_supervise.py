"""The second half of PID 1, as a process of its own that is not PID 1: a subreaper."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ravi_agent
from ravi_agent.container.options import Options

PATIENCE_S = 20.0
EXEC_PHASE = str(Path(ravi_agent.__file__).parent / "container" / "exec_phase.py")


def command_line(*command: str, **options: object) -> list[str]:
    """What boot executes; `options` are those of Options."""
    settings = {"grace_s": 8.0, "log": ("debug", "text"), **options}
    words = Options(list(command), **settings).to_words()  # type: ignore[arg-type]
    return [sys.executable, "-IS", EXEC_PHASE, "supervise", *words]


def python(code: str) -> tuple[str, ...]:
    """An agent that runs this code."""
    return sys.executable, "-I", "-c", f"import os, signal, sys, time\n{code}"


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_line(*command, **options),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class Running:
    """A supervise that runs; its agent's standard output is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def kill(self, number: int) -> None:
        self._process.send_signal(number)

    def code(self) -> int:
        return self._process.wait(timeout=PATIENCE_S)

    def errors(self) -> str:
        assert self._process.stderr
        return self._process.stderr.read()


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(command: list[str], **popen: object) -> Running:
        process = subprocess.Popen(  # type: ignore[call-overload]
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            **{"stderr": subprocess.PIPE, **popen},
        )
        started.append(process)
        return Running(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


# --- nothing it says stands before an end ------------------------------------------------------


def full_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


def full_socket() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    try:
        while True:
            theirs.send(b"x" * 4096)
    except BlockingIOError:
        theirs.setblocking(True)
    return ours.detach(), theirs.detach()


def stopped_terminal() -> tuple[int, int]:
    controller, terminal = pty.openpty()
    os.set_blocking(terminal, False)
    try:
        while True:
            os.write(terminal, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(terminal, True)
    return controller, terminal


Unread = Callable[[], tuple[int, int]]
UNREAD = [full_pipe, full_socket, stopped_terminal]


@pytest.mark.parametrize("unread", UNREAD, ids=lambda make: make.__name__)
def test_an_unread_standard_error_does_not_hold_up_the_end(start: Start, unread: Unread) -> None:
    reader, writer = unread()
    running = start(command_line("sh", "-c", "exit 7"), stderr=writer)
    try:
        assert running.code() == 7
        assert os.get_blocking(writer)  # the agent has the same open file
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("unread", UNREAD, ids=lambda make: make.__name__)
def test_an_unread_standard_error_does_not_hold_up_the_kill(start: Start, unread: Unread) -> None:
    reader, writer = unread()
    agent = python("signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)")
    running = start(command_line(*agent, grace_s=0.2), stderr=writer)
    try:
        assert running.line() == "up"
        running.kill(signal.SIGTERM)
        assert running.code() == 137
    finally:
        os.close(reader)
        os.close(writer)


def test_a_program_that_is_missing_is_127_with_nobody_to_tell(start: Start) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    running = start(command_line("nonesuch"), stderr=writer)
    os.close(writer)

    assert running.code() == 127  # and not ended by SIGPIPE


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_missing_descriptors_are_no_obstacle_and_the_agent_has_all_three(
    tmp_path: Path, closed: tuple[int, ...]
) -> None:
    found = tmp_path / "found"
    agent = python(
        f"file = open({str(found)!r}, 'w')\n"
        "file.write(' '.join(os.readlink(f'/proc/self/fd/{n}') for n in range(3)))"
    )
    command = command_line(*agent, status_path=str(tmp_path / "status"))
    shell = " ".join(f"{number}>&-" for number in closed)
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {shell}', "sh", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    opened = found.read_text().split()
    assert [opened[number] for number in closed] == ["/dev/null"] * len(closed)


# --- a program that cannot be run --------------------------------------------------------------


Make = Callable[[Path], str]


def script(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def elf_of_another_machine(path: Path) -> str:
    head = bytearray(Path("/bin/true").resolve().read_bytes()[:4096])
    head[18:20] = (0x0F0F).to_bytes(2, "little")  # e_machine
    path.write_bytes(head)
    path.chmod(0o755)
    return str(path)


def elf_cut_off(path: Path) -> str:
    path.write_bytes(Path("/bin/true").resolve().read_bytes()[:64])
    path.chmod(0o755)
    return str(path)


def link(path: Path, target: str) -> str:
    path.symlink_to(target)
    return str(path)


def elf_with_another_loader(path: Path) -> str:
    data = Path("/bin/true").resolve().read_bytes()
    at = data.index(b"/lib64/ld-linux") if b"/lib64/ld-linux" in data else data.index(b"/lib/ld-")
    path.write_bytes(data[:at] + b"/no" + data[at + 3 :])
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("make", "code", "why", "fix"),
    [
        (lambda _: "", 127, "name is empty", "name a program"),
        (lambda _: "nonesuch", 127, "No such file", "check the spelling"),
        (lambda _: "/bin/sh/nonesuch", 127, "No such file", "check the spelling"),
        (str, 126, "is a directory", "name a program"),
        (
            lambda folder: script(folder / "s", "#!/nonesuch/sh\n"),
            127,
            "interpreter '/nonesuch/sh'",
            "install it",
        ),
        (lambda folder: script(folder / "s", "#!/bin/sh\r\ntrue\r\n"), 127, "CR LF", "sed -i"),
        (lambda folder: script(folder / "s", "#!/bin/sh\n", 0o644), 126, "denied", "chmod +x"),
        (lambda folder: elf_of_another_machine(folder / "e"), 126, "architecture", "--platform"),
        (lambda folder: elf_with_another_loader(folder / "e"), 127, "loader", "C library"),
        (lambda folder: elf_cut_off(folder / "e"), 126, "damaged", "copy or build it again"),
        (
            lambda folder: link(folder / "python", "/nonesuch/python"),
            127,
            "'/nonesuch/python'",
            "change the link",
        ),
        (lambda folder: link(folder / "l", "l"), 126, "leads back to itself", "ls -l"),
        (lambda folder: script(folder / "s", f"#!{folder}/s\n"), 126, "is a script", "first line"),
        (lambda folder: script(folder / "s", "#!/\n"), 126, "is a directory", "first line"),
        (lambda _: "echo hello", 127, "No such file", "each of its arguments as a word"),
        (lambda _: "echo hello; " * 500, 126, "longer than", "sh -c"),
    ],
    ids=[
        "empty name",
        "missing",
        "below a file",
        "directory",
        "missing interpreter",
        "CR LF",
        "mode",
        "another architecture",
        "missing loader",
        "part of a program",
        "dangling link",
        "link to itself",
        "interpreter that is itself",
        "interpreter that is a directory",
        "whole command line",
        "long command line",
    ],
)
def test_a_program_that_cannot_be_run_has_its_own_words(
    tmp_path: Path, make: Make, code: int, why: str, fix: str
) -> None:
    ended = run(make(tmp_path))

    first, second = ended.stderr.splitlines()[:2]
    assert ended.returncode == code, ended.stderr
    assert first.startswith("ravi-entrypoint: error: cannot run ")
    assert why in first
    assert second.startswith("  fix: ")
    assert fix in second
    assert "Traceback" not in ended.stderr


def test_a_script_without_an_interpreter_is_for_the_shell(tmp_path: Path) -> None:
    assert run(script(tmp_path / "s", "exit 9\n")).returncode == 9


def test_an_environment_over_the_kernels_limit_is_said_in_bytes(tmp_path: Path) -> None:
    """Supervise is below the limit, and the agent's longer command line is not."""
    from ravi_agent.container.spawn import execute

    words = ["x" * 100_000] * 200
    with pytest.raises(Exception, match=r"bytes long, \d+ of them in variables RAVI_") as caught:
        execute(["/bin/true", *words], {"RAVI_EMAIL": "e@x"})
    assert "--ulimit stack" in caught.value.fix  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="the variable BIG is 200004 bytes long"):
        execute(["/bin/true"], {"BIG": "x" * 200_000})


def test_no_process_slot_is_said_and_is_126() -> None:
    if os.geteuid() == 0:
        limit = "import resource, os; os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
    else:
        limit = "import resource, os\n"
    code = (
        f"{limit}resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n"
        "from ravi_agent.container.options import Options\n"
        "from ravi_agent.container.spawn import Spawner\n"
        "from ravi_agent.container.exec_error import no_process\n"
        "from ravi_agent.log import Log\n"
        "try: Spawner(Options(['true'], grace_s=1), {}, Log('test')).start(['true'])\n"
        "except OSError as exc: why = no_process(exc); print(why.code, why, why.fix)\n"
    )
    prepared = "import ravi_agent.container.spawn, encodings, codecs\n" + code
    ended = subprocess.run(
        [sys.executable, "-I", "-c", prepared], capture_output=True, text=True, check=True
    )

    assert ended.stdout.startswith("126 no process slot is left")
    assert "--pids-limit" in ended.stdout


# --- who gets a signal -------------------------------------------------------------------------

# The agent and a helper in its group say what they get.
PAIR = """
numbers = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGHUP, signal.SIGINT,
           signal.SIGTERM, signal.SIGRTMIN + 3}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
reader, writer = os.pipe()
who = "agent" if os.fork() else "helper"
if who == "helper":
    os.write(writer, b".")
else:
    os.read(reader, 1)
    print("up", flush=True)
while True:
    number = signal.sigwait(numbers)
    os.write(1, f"{who} {int(number)}\\n".encode())
    if number == signal.SIGTERM:
        os._exit(0)
"""


def received(running: Running) -> set[str]:
    """All that was said until both have ended."""
    lines = set()
    while line := running.line():
        lines.add(line)
    return lines


@pytest.mark.parametrize(
    ("scope", "usr1", "hup"),
    [
        ("stop", {"agent"}, {"agent", "helper"}),
        ("agent", {"agent"}, {"agent"}),
        ("group", {"agent", "helper"}, {"agent", "helper"}),
    ],
)
def test_a_scope_says_who_gets_which_signal(
    start: Start, scope: str, usr1: set[str], hup: set[str]
) -> None:
    running = start(command_line(*python(PAIR), signal_scope=scope))
    assert running.line() == "up"

    running.kill(signal.SIGUSR1)
    running.kill(signal.SIGHUP)
    running.kill(signal.SIGTERM)
    lines = received(running)

    assert {line.split()[0] for line in lines if line.endswith(f" {signal.SIGUSR1:d}")} == usr1
    assert {line.split()[0] for line in lines if line.endswith(f" {signal.SIGHUP:d}")} == hup
    # Under `agent` too, once the agent has ended.
    assert {"agent 15", "helper 15"} <= lines


# A pool's master that lets its worker finish, which a stop of its own would cut short.
POOL = """
signal.pthread_sigmask(signal.SIG_BLOCK, {15})
reader, writer = os.pipe()
ready, tell = os.pipe()
worker = os.fork()
if worker == 0:
    os.close(writer)
    signal.signal(15, lambda *_: os._exit(9))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {15})
    os.write(tell, b".")
    os.read(reader, 1)  # the master says when
    os._exit(0)
os.read(ready, 1)
print("up", flush=True)
signal.sigwait({15})
os.close(writer)
print("worker", os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
"""


@pytest.mark.parametrize(("scope", "outcome"), [("agent", "worker 0"), ("stop", "worker 9")])
def test_a_pool_drains_its_workers_where_the_stop_is_for_the_agent_alone(
    start: Start, scope: str, outcome: str
) -> None:
    running = start(command_line(*python(POOL), signal_scope=scope))
    assert running.line() == "up"

    running.kill(signal.SIGTERM)

    assert running.line() == outcome
    assert running.code() == 0


DEAF = (
    "numbers = signal.valid_signals()\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, numbers)\n"
    "print('up', flush=True)\n"
    "time.sleep(600)"
)


@pytest.mark.parametrize(
    ("number", "signal_map"),
    [
        pytest.param(signal.SIGTERM, {}, id="TERM"),
        pytest.param(signal.SIGRTMIN + 3, {}, id="systemd's"),
        pytest.param(signal.SIGTERM, {15: 10}, id="TERM as USR1"),
        pytest.param(signal.SIGUSR1, {15: 10}, id="what TERM becomes"),
        pytest.param(signal.SIGUSR2, {12: 15}, id="what becomes TERM"),
    ],
)
def test_a_stop_signal_begins_the_grace(
    start: Start, number: int, signal_map: dict[int, int]
) -> None:
    command = command_line(*python(DEAF), grace_s=0.2, signal_map=signal_map)
    running = start(command)
    assert running.line() == "up"

    running.kill(number)

    assert running.code() == 137
    assert "not gone after 0.2 s: SIGKILL" in running.errors()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_what_is_no_stop_kills_no_agent(start: Start, number: int) -> None:
    """An interrupt from a harness, a reload: the agent goes on for as long as it likes."""
    code = (
        f"signal.pthread_sigmask(signal.SIG_BLOCK, {{{int(number)}}})\n"
        "print('up', flush=True)\n"
        f"signal.sigwait({{{int(number)}}})\n"
        "time.sleep(0.5)\n"
        "sys.exit(6)"
    )
    running = start(command_line(*python(code), grace_s=0.1))
    assert running.line() == "up"

    running.kill(number)

    assert running.code() == 6


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1])
def test_what_the_caller_ignores_stays_ignored(number: int) -> None:
    ended = subprocess.run(
        [
            "sh",
            "-c",
            f'trap "" {int(number)}; exec "$@"',
            "sh",
            *command_line("grep", "SigIgn", "/proc/self/status"),
        ],
        stdout=subprocess.PIPE,
        timeout=PATIENCE_S,
        check=True,
    )

    ignored = int(ended.stdout.split()[1], 16) & ~(1 << 31)  # glibc's own 32 is nobody's choice
    assert ignored == 1 << (number - 1)


def test_an_ignored_hangup_ends_neither_a_start_nor_a_run(start: Start) -> None:
    """`nohup`: one that came while the start was at it is pending now."""
    agent = python("print('up', flush=True); time.sleep(0.3); sys.exit(4)")
    wrapper = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    running = start([sys.executable, "-I", "-c", wrapper, *command_line(*agent)])
    assert running.line() == "up"

    running.kill(signal.SIGHUP)

    assert running.code() == 4


def test_a_caller_that_ignores_the_end_of_children_does_not_cost_the_code() -> None:
    command = command_line("sh", "-c", "exit 7")
    wrapper = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-c", wrapper, *command], timeout=PATIENCE_S, check=False
    )

    assert ended.returncode == 7


# --- what the agent leaves behind --------------------------------------------------------------

# A helper in a session of its own whose first thread ends: /proc shows it as a zombie.
THREADED = """
import threading, ctypes
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    def work():
        while open(f"/proc/{os.getpid()}/stat").read().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        os.write(writer, b".")
        time.sleep(600)
    signal.signal(15, signal.SIG_DFL)
    threading.Thread(target=work).start()
    ctypes.CDLL(None).syscall(60, 0)  # exit(2) of this thread alone
os.read(reader, 1)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of exit(2)")
def test_a_helper_whose_first_thread_has_ended_is_asked_to_go() -> None:
    began = time.monotonic()

    ended = run(*python(THREADED), grace_s=60)

    assert ended.returncode == 0
    assert time.monotonic() - began < 50  # not by the kill at the end of the grace


# --- it leans on nothing that the agent can change ----------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package in a place that an agent may ruin."""
    import shutil

    source = Path(ravi_agent.__file__).parent
    target = tmp_path / "lib" / "ravi_agent"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


RUIN = "import shutil; shutil.rmtree(sys.argv[1])\n"


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("end", "code"), [("sys.exit(7)", 7), ("os.kill(os.getpid(), 9)", 137)], ids=["7", "kill"]
)
def test_an_agent_that_removes_the_package_keeps_its_code(
    copy: Path, form: str, end: str, code: int
) -> None:
    command = command_line(
        *python(RUIN + end), str(copy), log=("debug", form), on_exit={"RAVI_ON_EXIT": "forget"}
    )
    command[2] = str(copy / "container" / "exec_phase.py")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    assert ended.returncode == code, ended.stderr
    assert "no release" in ended.stderr
    assert "Traceback" not in ended.stderr
    if form == "json":
        assert all(json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{"))


def test_what_supervise_says_at_the_end_loads_no_module() -> None:
    """The end of every kind, watched: nothing is read from a file any more."""
    for end in ("sys.exit(7)", "os.kill(os.getpid(), 9)", "time.sleep(0)"):
        command = command_line(*python(f"print('MARK', file=sys.stderr, flush=True)\n{end}"))
        command[1:1] = ["-v"]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        after = ended.stderr.partition("MARK\n")[2].split("# clear")[0]
        loaded = [line for line in after.splitlines() if line.startswith("import ")]
        assert [line for line in loaded if "built-in" not in line.lower()] == []


# --- descriptors -------------------------------------------------------------------------------


def test_descriptors_from_above_are_closed_however_high_the_limit_is(tmp_path: Path) -> None:
    wrapper = (
        "import os, sys\n"
        "null = os.open('/dev/null', os.O_RDONLY)\n"
        "for number in (3, 7, 900): os.dup2(null, number, inheritable=True)\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = command_line("ls", "/proc/self/fd")
    ended = subprocess.run(
        [sys.executable, "-I", "-c", wrapper, *command],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )

    assert set(ended.stdout.split()) <= {"0", "1", "2", "3"}  # 3 is the directory being read


# --- the end of whoever started it -------------------------------------------------------------

HARNESS = """
import os, subprocess, sys, threading
process = subprocess.Popen(sys.argv[2:], stdout=1)
if sys.argv[1] == "thread":
    process.wait()
    sys.exit(process.returncode)
sys.stdin.read()
os._exit(0)
"""


def as_harness(*command: str, how: str = "ends", **options: object) -> list[str]:
    """A harness that starts supervise, and ends with its own standard input."""
    inner = command_line(*command, **options)
    at = next(n for n, word in enumerate(inner) if word.startswith("grace="))
    code = (
        "import os, sys\n"
        f"before, after = sys.argv[1:{at + 1}], sys.argv[{at + 1}:]\n"
        "os.execv(sys.argv[1], [*before, f'parent={os.getppid()}', *after])"
    )
    return [sys.executable, "-I", "-c", HARNESS, how, sys.executable, "-I", "-c", code, *inner]


GOES_IN_ORDER = (
    "signal.pthread_sigmask(signal.SIG_BLOCK, {15})\n"
    "print('up', os.getppid(), flush=True)\n"
    "signal.sigwait({15})\n"
    "print('asked to go', flush=True)"
)


@pytest.mark.parametrize("code", [GOES_IN_ORDER, DEAF.replace("'up'", "'up', os.getppid()")])
def test_the_agent_ends_with_the_harness_where_that_is_wanted(code: str) -> None:
    harness = subprocess.Popen(
        as_harness(*python(code), grace_s=0.3),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert harness.stdout
    assert harness.stdin
    up, supervise = harness.stdout.readline().split()
    assert up == "up"

    harness.kill()

    # The pipe ends with the last process that has it: nobody is left behind.
    assert harness.stdout.read() == ("asked to go\n" if code == GOES_IN_ORDER else "")
    deadline = time.monotonic() + PATIENCE_S
    while Path("/proc", supervise).exists() and not is_zombie(supervise):
        assert time.monotonic() < deadline
    harness.communicate()


def is_zombie(pid: str) -> bool:
    return " Z " in Path("/proc", pid, "stat").read_text()


def test_the_agent_is_killed_with_a_supervise_that_is_killed() -> None:
    harness = subprocess.Popen(
        as_harness(*python(DEAF.replace("'up'", "'up', os.getppid()"))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert harness.stdout
    supervise = int(harness.stdout.readline().split()[1])

    os.kill(supervise, signal.SIGKILL)

    assert harness.communicate()[0] == ""


def test_the_end_of_a_thread_of_the_harness_ends_no_agent() -> None:
    """The kernel tells of the thread that started it; the harness goes on."""
    code = (
        "import subprocess, sys, threading\n"
        "started = []\n"
        "def start(): started.append(subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE))\n"
        "thread = threading.Thread(target=start)\n"
        "thread.start()\n"
        "thread.join()\n"
        "print('joined', flush=True)\n"
        "sys.exit(started[0].wait())"
    )
    agent = python("print('up', flush=True); time.sleep(1); sys.exit(4)")
    inner = as_harness(*agent)[5:]
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code, *inner],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == 4, ended.stderr


def test_without_the_wish_the_agent_outlives_the_harness(tmp_path: Path) -> None:
    done = tmp_path / "done"
    agent = python(f"print('up', flush=True); time.sleep(0.5); open({str(done)!r}, 'w').close()")
    harness = subprocess.Popen(
        [sys.executable, "-I", "-c", HARNESS, "ends", *command_line(*agent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert harness.stdout
    assert harness.stdout.readline() == "up\n"

    harness.kill()
    harness.communicate()

    assert done.exists()


# --- hooks -------------------------------------------------------------------------------------


def test_a_start_hook_runs_before_the_agent_with_its_environment(tmp_path: Path) -> None:
    hook = script(
        tmp_path / "hook", f"#!/bin/sh\necho hook $MINE; sleep 600 & echo $! >{tmp_path}/pid\n"
    )
    command = command_line("sh", "-c", "echo agent", start_hook=hook, grace_s=0.3)
    ended = subprocess.run(
        command,
        env={**os.environ, "MINE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, "hook 1\nagent\n"), ended.stderr
    # What it left in the background was there for the agent, and is gone with it.
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_start_hook_that_fails_is_said_and_no_agent_starts(tmp_path: Path) -> None:
    hook = script(tmp_path / "hook", "#!/bin/sh\nexit 5\n")

    ended = run("echo", "agent", start_hook=hook)

    assert (ended.returncode, ended.stdout) == (5, "")
    assert f"error: RAVI_START_HOOK='{hook}': it ended with 5" in ended.stderr


def test_a_stop_during_the_start_hook_starts_no_agent(start: Start, tmp_path: Path) -> None:
    hook = script(tmp_path / "hook", "#!/bin/sh\necho hook; exec sleep 600\n")
    running = start(command_line("echo", "agent", start_hook=hook))
    assert running.line() == "hook"

    running.kill(signal.SIGTERM)

    assert running.code() == 143
    assert running.line() == ""


def test_a_stop_hook_runs_before_the_agent_is_asked_to_go(start: Start, tmp_path: Path) -> None:
    hook = script(tmp_path / "hook", "#!/bin/sh\necho hook; sleep 0.2; echo hook done\n")
    agent = python(GOES_IN_ORDER)
    running = start(command_line(*agent, stop_hook=hook))
    assert running.line().startswith("up")

    running.kill(signal.SIGTERM)

    assert [running.line() for _ in range(3)] == ["hook", "hook done", "asked to go"]
    assert running.code() == 0


def test_a_stop_hook_has_no_more_than_the_grace(start: Start, tmp_path: Path) -> None:
    hook = script(tmp_path / "hook", "#!/bin/sh\nexec sleep 600\n")
    running = start(command_line(*python(GOES_IN_ORDER), stop_hook=hook, grace_s=0.3))
    assert running.line().startswith("up")

    running.kill(signal.SIGTERM)

    assert running.code() == 137


def test_a_stop_hook_that_is_missing_does_not_hold_up_the_stop(start: Start) -> None:
    running = start(command_line(*python(GOES_IN_ORDER), stop_hook="/nonesuch"))
    assert running.line().startswith("up")

    running.kill(signal.SIGTERM)

    assert running.line() == "asked to go"
    assert running.code() == 0

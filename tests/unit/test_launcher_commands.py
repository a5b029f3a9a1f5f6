"""The command line of `ravi-launch`: every flag does something, every other one is refused.

Read from the commands' own declarations, so that a new flag is tested with its first line.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import fake_backend
from conftest import MANAGEMENT_KEY
from ravi_agent.credential import Credential
from ravi_agent.identity import Identity
from ravi_agent.launcher import cli
from ravi_agent.launcher.backend import DOCKER, KUBERNETES
from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Command, Declared, declared
from ravi_agent.launcher.commands.registry import commands
from ravi_agent.local.server import LocalRavi
from ravi_agent.service.api import RaviApi
from ravi_agent.workspace import ledger

LAUNCH = str(Path(sys.executable).with_name("ravi-launch"))
COMMAND = {command.name: command for command in commands()}
# What makes each command succeed.
LINES = {
    "run": ["--count", "9", "--name", "base"],
    "render": ["--count", "9", "--name", "base"],
    "ps": [],
    "logs": ["base"],
    "wait": ["base"],
    "stop": ["base"],
    "rm": ["base"],
    "reap": ["--force"],
    "audit": [],
    "doctor": [],
    "images": ["build"],
    "kubernetes": ["install"],
    "completion": ["bash"],
    "identities": ["-o", "json"],
    "top": ["base"],
}
# Values for flags whose text has a form.
SAMPLES = {
    "--env": "A=B",
    "--filter": "run=other",
    "--format": "{{.Task}}",
    "--memory": "64m",
    "--shm-size": "64m",
    "--timeout": "30m",
    "--deadline": "2h",
    "--ttl": "1d",
    "--since": "10m",
    "--older-than": "7d",
    "--gpus": "2",
    "--user": "5:5",
    "--cpus": "0.5",
    "--pids-limit": "99",
    "--provision": "container",
    "--volume": "/data:/data",
    "--collect": "/out",
    "--log-opt": "max-size=1m",
    "--ulimit": "nofile=99",
    "--add-host": "db:10.0.0.5",
    "--mount": "type=tmpfs,target=/scratch",
    "--tmpfs": "/scratch",
    "--device": "/dev/fuse",
    "--stagger": "3s",
    "--security-opt": "seccomp=unconfined",
    "--node-selector": "pool=agents",
    "--toleration": "agents:NoSchedule",
    "--api-url": "http://127.0.0.1:9",
}
# Flags that cannot stand beside others of the line, and the line that they can stand in.
BESIDE = {
    ("run", "--count"): ["--name", "base"],
    ("run", "--tasks"): ["--name", "base"],
    ("run", "--resume"): [],
    ("run", "--name"): ["--count", "9"],
    ("run", "--pool"): ["--count", "2"],
    ("run", "--pool-size"): ["--count", "2", "--pool", "signup"],
    ("identities", "--output"): [],
    ("identities", "--quiet"): [],
    ("ps", "--watch"): ["--filter", "status=exited"],  # else it would not end
    ("rm", "--local"): ["base", "--delete-identities"],
    ("rm", "--api-url"): ["base", "--delete-identities"],
    ("reap", "--force"): [],
    # Another Ravi, if there is one at all: nothing may be removed from it.
    ("reap", "--local"): ["--dry-run", "--older-than", "0s"],
    ("run", "--local-port"): ["--count", "2", "--local"],
    ("run", "--local-smtp-port"): ["--count", "2", "--local"],
    ("reap", "--local-port"): ["--local", "--dry-run", "--older-than", "0s"],
    ("doctor", "--local-port"): ["--local"],
    ("render", "--count"): ["--name", "base"],
    ("render", "--tasks"): ["--name", "base"],
    ("render", "--name"): ["--count", "9"],
}

Outcome = tuple[int, str, str, Sequence[tuple[str, Any]]]
Launch = Callable[..., Outcome]


@pytest.fixture(scope="module")
def service() -> Iterator[LocalRavi]:
    """A Ravi with one identity, for `reap` and `doctor`."""
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as server:
        with RaviApi(server.url, Credential(MANAGEMENT_KEY, "test")) as api:
            api.create_identity("task-orphan", with_phone=False)
        yield server


@pytest.fixture
def launch(
    service: LocalRavi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Launch:
    """Carry out a command line: its code, its output, and what it asked of the engine."""
    for name in (DOCKER, KUBERNETES):
        fake = import_module(f"fake_backend.{name}")
        monkeypatch.setitem(sys.modules, f"ravi_agent.launcher.{name}.backend", fake)
    for name in [name for name in os.environ if name.startswith("RAVI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAVI_API_URL", service.url)
    monkeypatch.setenv("RAVI_MANAGEMENT_KEY", MANAGEMENT_KEY)
    monkeypatch.setenv("HOME", str(tmp_path))
    docker = tmp_path / "bin" / "docker"  # for `images`, which runs docker's command line
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\necho "docker $*"\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=os.pathsep)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    made = Identity(uuid="u-1", name="task-base-0000", email="a@x", phone=None, created_at="")
    environ = {"HOME": str(tmp_path)}
    ledger.note(environ, ledger.CREATE, made, service.url, run="base")
    old = ledger.entry_of(ledger.KEY, "task-old-0000", service.url, uuid="u-0", run="old")
    old.at = "2020-01-01T00:00:00Z"
    ledger.append(environ, old)

    def launch(*words: str) -> Outcome:
        fake_backend.asked.clear()
        code = cli.run(list(words), None)
        out, err = capfd.readouterr()
        return code, out, err, tuple(fake_backend.asked)

    return launch


def value_of(one: Declared, folder: Path) -> list[str]:
    """A flag as somebody might type it, with a value that is not its default."""
    name, choices = one.parameter.name, one.parameter.choices
    if one.kind is bool:
        return [name]
    if name in {"--tasks", "--env-file"}:
        path = folder / "file"
        path.write_text('{"id": "a"}\n' if name == "--tasks" else "A=1\n")
        return [name, str(path)]
    if name == "--worktrees":
        subprocess.run(["git", "init", "--quiet", folder], check=True)
        return [name, str(folder)]
    if choices and name not in SAMPLES:
        return [name, next((one for one in choices[::-1] if one != DOCKER), "docker")]
    return [name, SAMPLES.get(name, "7" if one.kind is int else "sample")]


def flags_of(command: Command[Any]) -> list[Declared]:
    return [one for one in command.parameters if one.parameter.names]


EVERY = [
    pytest.param(command, one, id=f"{command.name} {one.parameter.name}")
    for command in commands()
    for one in flags_of(command)
]
# Every flag of the program that a command lacks.
LACKING = [
    pytest.param(command, one, id=f"{command.name} {name}")
    for command in commands()
    for name, one in {
        one.parameter.name: one for one in chain.from_iterable(map(flags_of, commands()))
    }.items()
    if name not in {own.parameter.name for own in flags_of(command)}
]


@pytest.mark.parametrize(("command", "one"), EVERY)
def test_a_flag_changes_what_the_command_does(
    launch: Launch, tmp_path: Path, command: Command[Any], one: Declared
) -> None:
    name = one.parameter.name
    line = [command.name, *BESIDE.get((command.name, name), LINES[command.name])]
    if one.parameter.only_on == KUBERNETES and command.name != "render":
        line += ["--backend", "kubernetes"]

    typed = value_of(one, tmp_path)
    if (command.name, name) == ("render", "--backend"):
        typed = ["--backend", "docker"]  # the other one is the default, and the only one it has
    plain, changed = launch(*line), launch(*line, *typed)

    assert changed != plain
    if (command.name, name) not in BESIDE:
        assert plain[0] == (1 if command.name == "wait" else 0), plain[2]
    assert "no such flag" not in changed[2]
    assert "Traceback" not in changed[2]


@pytest.mark.parametrize(("command", "one"), LACKING)
def test_a_flag_of_another_command_is_refused(
    launch: Launch, tmp_path: Path, command: Command[Any], one: Declared
) -> None:
    typed = value_of(one, tmp_path)

    code, out, err, asked = launch(command.name, *LINES[command.name], *typed)

    assert (code, out, asked) == (64, "", ())
    assert f"error: {typed[0]}: `ravi-launch {command.name}` has no such flag" in err
    assert "did you mean `ravi-launch " in err
    assert f"fix: ravi-launch {command.name} --help" in err


def test_every_pair_of_a_command_and_a_flag_is_tested() -> None:
    names = {one.parameter.name for one in chain.from_iterable(map(flags_of, commands()))}

    assert len(EVERY) + len(LACKING) == len(commands()) * len(names)


@pytest.mark.parametrize(
    "line",
    [
        ["--dry-run", "--local", "reap", "--force"],
        ["--dry-run", "reap"],
        ["--local", "reap", "--force"],
        ["--count", "2", "rm", "base"],
        ["--image", "x", "ps"],
    ],
    ids=" ".join,
)
def test_flags_before_a_command_that_are_not_the_engines_are_refused(
    launch: Launch, line: list[str]
) -> None:
    code, out, err, asked = launch(*line)

    assert (code, out, asked) == (64, "", ())
    word = next(word for word in line if word in COMMAND)
    assert f"did you mean `ravi-launch {word}` and then the flags?" in err


def test_a_dry_run_of_reap_removes_nothing_even_when_forced(launch: Launch) -> None:
    assert "removed" in dict(launch("reap", "--force")[3])

    code, out, err, asked = launch("reap", "--force", "--dry-run")

    assert (code, out, err) == (0, "container old\n", "1 containers, 0 identities\n")
    assert "removed" not in dict(asked)


@pytest.mark.parametrize("line", [["--count", "9", "--name", "base"], ["-d", *LINES["run"]]])
def test_run_is_the_default_command(launch: Launch, line: list[str]) -> None:
    assert launch(*line) == launch("run", *line)
    assert [name for name, _ in fake_backend.asked] == ["open", "launch", "close"]


@pytest.mark.parametrize(
    "command",
    [
        one
        for one in COMMAND
        if one not in {"audit", "completion", "images", "kubernetes", "render"}
    ],
)
@pytest.mark.parametrize(
    "typed",
    [
        ["--host", "tcp://x"],
        ["--host=tcp://x"],
        ["-H", "tcp://x"],
        ["-Htcp://x"],
        ["--context", "x"],
        ["-c", "x"],
        ["--backend", "kubernetes", "--namespace", "x"],
        ["--backend", "kubernetes", "-n", "x"],
    ],
    ids=" ".join,
)
def test_flags_of_the_engine_stand_before_and_after_a_command(
    launch: Launch, command: str, typed: list[str]
) -> None:
    before = launch(*typed, command, *LINES[command])

    assert before == launch(command, *LINES[command], *typed)
    assert before == launch(command, *typed, *LINES[command])
    ((_, (_, connection)),) = [one for one in fake_backend.asked if one[0] == "open"]
    assert set(vars(connection).values()) > {None}


def test_a_flag_of_the_engine_after_the_command_counts_before_one_in_front(launch: Launch) -> None:
    assert launch("-c", "a", "ps", "-c", "b") == launch("ps", "-c", "b")


def test_ps_of_a_run_takes_its_backend_behind_it(launch: Launch) -> None:
    code, out, _, asked = launch("ps", "base", "--backend", "kubernetes")

    assert code == 0
    assert "task-base-0000" in out
    assert ("agents", ("base", ())) in asked


@pytest.mark.parametrize("name", ["--host", "-H", "--context", "-c"])
@pytest.mark.parametrize("place", ["before", "after"])
def test_render_asks_no_cluster_and_takes_no_address_of_one(
    launch: Launch, name: str, place: str
) -> None:
    words = ["render", *LINES["render"]]
    line = [name, "x", *words] if place == "before" else [*words, name, "x"]

    code, out, err, _ = launch(*line)

    assert (code, out) == (64, "")
    assert "has no such flag" in err


@pytest.mark.parametrize(
    ("own", "other"), [(KUBERNETES, DOCKER), (DOCKER, KUBERNETES)], ids=[KUBERNETES, DOCKER]
)
def test_flags_of_one_engine_are_refused_on_the_other(
    launch: Launch, tmp_path: Path, own: str, other: str
) -> None:
    found = [one for one in flags_of(COMMAND["run"]) if one.parameter.only_on == own]
    for one in found:
        line = [*LINES["run"], "--backend", other, *value_of(one, tmp_path)]
        code, out, err, asked = launch(*line)
        assert (code, out, asked) == (64, "", ()), line
        assert f"error: {one.parameter.name}" in err
    assert {"--namespace", "--ttl"} <= {one.parameter.name for one in found} or own == DOCKER


def test_a_flag_of_docker_is_refused_on_kubernetes_even_with_its_default_value(
    launch: Launch,
) -> None:
    code, _, err, _ = launch(*LINES["run"], "--backend", "kubernetes", "--pids-limit", "4096")

    assert code == 64
    assert "--pids-limit on Kubernetes" in err


@pytest.mark.parametrize("engine", [DOCKER, KUBERNETES])
def test_a_resumed_run_refuses_what_it_would_ignore(
    launch: Launch, tmp_path: Path, engine: str
) -> None:
    line = ["--resume", "old", "--backend", engine]
    assert launch(*line)[0] == 0
    fixed = [one for one in flags_of(COMMAND["run"]) if engine in one.parameter.fixed_on]
    for one in fixed:
        if one.parameter.only_on in {None, engine}:
            code, _, err, asked = launch(*line, *value_of(one, tmp_path))
            assert (code, asked) == (64, ()), one.parameter.name
            assert f"--resume and {one.parameter.name}" in err
    assert {"--image", "--env"} <= {one.parameter.name for one in fixed}


@pytest.mark.parametrize("engine", [DOCKER, KUBERNETES])
def test_a_resumed_run_refuses_another_command(
    launch: Launch, capfd: pytest.CaptureFixture[str], engine: str
) -> None:
    line = ["--resume", "old", "--backend", engine]
    assert launch(*line)[0] == 0

    assert cli.run(line, ("true",)) == 64
    assert "--resume old: the run has a command already" in capfd.readouterr().err


def test_a_resumed_run_on_docker_takes_the_whole_command_line_again(launch: Launch) -> None:
    code, _, _, asked = launch("--resume", "old", "--count", "3", "--image", "x")

    assert code == 0
    request = asked[1][1]
    assert (request.is_resuming, request.has_tasks, request.spec.image) == (True, True, "x")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ([], "no --count: nothing says how many agents"),
        (["--count", "0"], "--count 0: a run has at least one agent"),
        (["--count", "x"], "--count 'x': give a whole number"),
        (["--count", "2", "--tasks", "x"], "--count and --tasks: both say how many agents"),
        (["--count", "2", "--parallel", "0"], "--parallel '0': give a whole number of at least 1"),
        (["--count", "2", "--cpus", "much"], "--cpus 'much': give a number"),
        (["--count", "2", "--output", "yaml"], "--output 'yaml': choose table, json or jsonl"),
        (["--count", "2", "--provision", "x"], "--provision 'x': choose container or host"),
        (["--count", "2", "--pull", "x"], "--pull 'x': choose always, missing or never"),
        (["--backend", "swarm", "ps"], "--backend 'swarm': choose docker or kubernetes"),
        (["--resume", "a", "--name", "b"], "--resume and --name: both name the run"),
        (["--count", "2", "--timeout", "0"], "--timeout 0: no agent ends in no time"),
        (["--count", "2", "--local", "--api-url", "https://x"], "--local and --api-url"),
        (["--count", "2", "--local-port", "9000"], "--local-port 9000: there is no local Ravi"),
        (["--count", "2", "--local", "--local-port", "70000"], "--local-port 70000: not a port"),
        (["--count", "2", "--local-smtp-port", "9000"], "--local-smtp-port 9000: there is no"),
        (["--count", "2", "--fail-fast", "--max-failures", "1"], "--fail-fast and --max-failures"),
        (["--count", "2", "-d", "--rm"], "--detach and --rm"),
        (["--count", "2", "-d", "--retries", "1"], "--detach and --retries"),
        (["--count", "2", "-d", "--fail-fast"], "--detach and --fail-fast"),
        (
            ["--count", "2", "--entrypoint", "sh"],
            "--entrypoint: the image's own creates",
        ),
        (["--count", "2", "python3"], "argument 'python3': the agents' own command goes after --"),
        (["--count"], "command line: option '--count' requires an argument"),
        (["--host"], "command line: option '--host' requires an argument"),
        (["logs"], "command line: missing argument 'RUN'"),
        (["wiat", "x"], "command 'wiat': there is no such command; did you mean wait?"),
        (["python3"], "command 'python3': there is no such command; the agents' own command"),
        (["ps", "a", "b"], "argument 'b': `ravi-launch ps` takes no more arguments"),
        (["ps", "--outptu", "json"], "--outptu: `ravi-launch ps` has no such flag; did you mean"),
        (["reap", "--prefix", ""], "--prefix '': every identity of the account would match"),
        (["reap", "--worktrees", ".", "-c", "x"], "--worktrees and --context"),
        (["-c", "x", "reap", "--worktrees", "."], "--worktrees and --context"),
        (["doctor", "--count", "0"], "--count '0': give a whole number of at least 1"),
        (["logs", "base", "--tail", "-1"], "--tail '-1': give a whole number of at least 0"),
        (["completion", "csh"], "SHELL 'csh': choose bash, zsh or fish"),
        (["render", "--count", "2"], "render: without --name, each render would be another run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_line_is_refused_before_the_engine_is_asked(
    launch: Launch, line: list[str], error: str
) -> None:
    code, out, err, asked = launch(*line)

    assert (code, out, asked) == (64, "", ())
    assert f"ravi-launch: error: {error}" in err
    assert "\n  fix: " in err
    assert "Traceback" not in err


def test_a_word_behind_the_double_dash_is_refused_by_commands_that_start_nothing(
    launch: Launch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert launch("ps")[0] == 0

    assert cli.run(["ps"], ("true",)) == 64
    assert "`ravi-launch ps` starts no agents" in capfd.readouterr().err


@pytest.mark.parametrize("command", COMMAND)
@pytest.mark.parametrize("flag", ["-h", "--help", "--version"])
def test_help_and_version_work_with_every_command(launch: Launch, command: str, flag: str) -> None:
    code, out, err, asked = launch(command, flag)

    assert (code, err, asked) == (0, "", ())
    assert out.startswith("ravi-launch 0." if flag == "--version" else "Usage: ravi-launch ")
    assert launch("--version")[1].startswith("ravi-launch 0.")


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("command", ["", *COMMAND])
def test_the_help_has_every_flag_under_its_group_and_fits_the_terminal(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, command: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))

    lines = launch(*command.split(), "--help")[1].splitlines()

    names = {name for one in flags_of(COMMAND[command or "run"]) for name in one.parameter.names}
    shown = {word.rstrip(",") for line in lines for word in line.split()[:2] if line[:1] == " "}
    assert names | {"--help", "--version"} <= shown
    # Only what cannot be broken is wider.
    assert [one for one in lines if len(one) > width and len(one.split()) > 2] == []
    headings = [one.rstrip(":") for one in lines if one.endswith(":") and one[:1].isupper()]
    order = ["Commands", "Arguments", "Options", "Run", "Identities", "Failure", "Container"]
    order += ["Kubernetes", "Output", "Engine", "Help"]
    assert headings == [one for one in order if one in headings]


def test_the_help_shows_types_choices_and_defaults(launch: Launch) -> None:
    text = " ".join(launch("run", "--help")[1].split())

    assert "--count N Number of agents" in text
    assert "-o, --output table|json|jsonl Format" in text
    assert "[default: table]" in text
    assert "-e, --env KEY[=VALUE]" in text
    assert "variable: RAVI_API_URL" in text
    assert "-v, --volume SOURCE:TARGET[:ro]" in text
    assert "Docker only]" in text


def test_the_help_of_the_program_lists_the_commands(launch: Launch) -> None:
    lines = launch("--help")[1].splitlines()

    listed = [
        line.split()[0] for line in lines[lines.index("Commands:") + 1 :] if line[2:3].strip()
    ]
    assert listed[: len(commands())] == list(COMMAND)


def test_help_waits_for_no_engine_and_no_library_of_one() -> None:
    program = (
        "import sys; from ravi_agent.launcher import cli; cli.run(['run', '--help'], None);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )

    tops = {name.partition(".")[0] for name in done.stderr.split()}
    assert "json" in tops
    slow = {"click", "dataclasses", "docker", "httpx", "kubernetes", "psutil", "requests", "typing"}
    assert not tops & {*slow, "rich", "yaml"}


@pytest.mark.parametrize("columns", ["", "0", "wide", "20", "72", "250"])
def test_the_help_that_is_kept_is_the_help_of_the_commands(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for words in ([], *([name] for name in COMMAND)):
        # Behind another flag the parser answers.
        assert launch(*words, "--help") == launch(*words, "--help", "--help")
    assert launch("nothing", "--help")[0] == 64


def test_a_reader_who_leaves_early_gets_no_traceback(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [LAUNCH, "--help"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    "words", [["--help"], ["ps", "--help"], ["--version"], ["completion", "zsh"]]
)
def test_a_full_disk_behind_standard_output_gets_no_traceback(words: list[str]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [LAUNCH, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 73
    assert "No space left on device\n  fix: free some space" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_it_prints_is_whole_where_nothing_waits_for_its_end() -> None:
    piped = subprocess.run([LAUNCH, "run", "--help"], capture_output=True, text=True, check=True)

    assert piped.stdout.endswith("\n")
    assert "--count" in piped.stdout
    assert piped.stderr == ""


def test_no_name_is_declared_twice_in_a_command() -> None:
    for command in commands():
        names = [name for one in flags_of(command) for name in one.parameter.names]
        fields = [one.field for one in command.parameters]
        assert len(names) == len(set(names)), command.name
        assert len(fields) == len(set(fields)), command.name


def test_a_short_flag_means_the_same_in_every_command() -> None:
    # As docker and kubectl have them: `-f` follows a log, and forces elsewhere.
    twice = {"-f": {"--follow", "--force"}}
    meant: dict[str, set[str]] = {}
    for command in commands():
        for one in flags_of(command):
            for short in one.parameter.names[1:]:
                meant.setdefault(short, set()).add(one.parameter.name)

    assert {short: names for short, names in meant.items() if len(names) > 1} == twice


def test_the_engines_flags_are_the_same_for_all_commands_that_have_them() -> None:
    own = {one.field: one for one in declared(EngineOptions)}

    for command in commands():
        if command.name in {"audit", "completion", "images", "kubernetes", "render"}:
            continue
        assert {one.field: one for one in command.parameters if one.field in own} == own

"""Completion in the shells themselves; their engine has the run `base` with the task `0000`."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ravi_agent
from ravi_agent.launcher.commands.completions import in_time

_PROGRAM = """\
#!{python}
import sys
sys.path[:0] = [{source!r}, {tests!r}]
import fake_backend.{fake}
sys.modules["ravi_agent.launcher.docker.backend"] = fake_backend.{fake}
from ravi_agent.launcher.cli import main
main()
"""
# What is typed before Tab, and what stands there then: the same in every shell.
CASES = [
    ("ravi-launch wa", "wait"),
    ("ravi-launch --max-f", "--max-failures"),
    ("ravi-launch run --max-f", "--max-failures"),
    ("ravi-launch --count 2 --fail", "--fail-fast"),
    ("ravi-launch -c x do", "doctor"),
    ("ravi-launch --backend k", "kubernetes"),
    ("ravi-launch ps --output j", "json"),
    ("ravi-launch --resume ba", "base"),
    ("ravi-launch ps ba", "base"),
    ("ravi-launch logs base 00", "0000"),
    ("ravi-launch completion z", "zsh"),
]

Complete = Callable[[str, dict[str, str]], list[str]]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose `ravi-launch` asks the fake engine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    install(folder, "docker")
    return {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ZDOTDIR": str(tmp_path),
        "TERM": "vt100",
        "LC_ALL": "C.UTF-8",
        "ANSWER": str(tmp_path / "answer"),
    }


def install(folder: Path, fake: str) -> None:
    program = folder / "ravi-launch"
    source, tests = Path(ravi_agent.__file__).parents[1], Path(__file__).parents[1]
    program.write_text(
        _PROGRAM.format(python=sys.executable, source=str(source), tests=str(tests), fake=fake)
    )
    program.chmod(0o755)


def in_bash(typed: str, environ: dict[str, str]) -> list[str]:
    """What bash would offer for the last word."""
    script = (
        "source <(ravi-launch completion bash) && complete -p ravi-launch >/dev/null || exit 1\n"
        'COMP_WORDS=($1) COMP_LINE=$1; [[ $1 == *" " ]] && COMP_WORDS+=("")\n'
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        '_ravi_launch ravi-launch\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    return run(["bash", "-c", script, "bash", typed], environ)


def in_fish(typed: str, environ: dict[str, str]) -> list[str]:
    script = "ravi-launch completion fish | source; complete --do-complete $argv[1]"
    lines = run(["fish", "--no-config", "-c", script, "--", typed], environ)
    return [line.partition("\t")[0] for line in lines]


def in_zsh(typed: str, environ: dict[str, str], *, is_loaded: bool = False) -> list[str]:
    """The last words of zsh's line after Tab has been pressed."""
    folder = Path(environ["HOME"])
    load = "source <(ravi-launch completion zsh)"
    if is_loaded:  # the way of packages: a file in a directory of $fpath
        functions = folder / "functions"
        functions.mkdir()
        script = "\n".join(run(["ravi-launch", "completion", "zsh"], environ))
        (functions / "_ravi-launch").write_text(f"{script}\n")
        load = ""
    (folder / ".zshrc").write_text(
        f"fpath=({folder}/functions $fpath)\n"
        "autoload -Uz compinit && compinit -D -u\n"
        f"{load}\n"
        'report() { print -r -- "$BUFFER" >$ANSWER; exit }\n'
        "zle -N report; bindkey '^X' report; bindkey '^I' complete-word; print READY\n"
    )
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-i"], env=environ, stdin=terminal, stdout=terminal, stderr=terminal,
        start_new_session=True,
    ) as shell:  # fmt: skip
        os.close(terminal)
        said = b""
        while b"READY" not in said:
            said += os.read(controller, 4096)
        os.write(controller, f"{typed}\t\x18".encode())
        try:
            while os.read(controller, 4096):
                pass
        except OSError:
            pass  # EIO: zsh has closed the terminal
        shell.wait(30)
    os.close(controller)
    before, after = typed.split(), Path(environ["ANSWER"]).read_text().split()
    return after[len(before) - 1 :]


def run(command: list[str], environ: dict[str, str]) -> list[str]:
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize(("typed", "expected"), CASES, ids=[typed for typed, _ in CASES])
@pytest.mark.parametrize("shell", [in_bash, in_fish, in_zsh], ids=["bash", "fish", "zsh"])
def test_a_shell_completes_commands_flags_values_and_names(
    environ: dict[str, str], shell: Complete, typed: str, expected: str
) -> None:
    assert shell(typed, environ) == [expected]


def test_a_value_behind_an_equals_sign_is_completed(environ: dict[str, str]) -> None:
    assert in_fish("ravi-launch ps --output=j", environ) == ["--output=json"]
    assert in_zsh("ravi-launch ps --output=j", environ) == ["--output=json"]
    # bash breaks words there.
    assert in_bash("ravi-launch ps --output = j", environ) == ["json"]
    assert in_bash("ravi-launch ps --output =", environ) == ["json", "table"]


def test_zsh_loads_the_script_from_a_directory(environ: dict[str, str]) -> None:
    assert in_zsh("ravi-launch wa", environ, is_loaded=True) == ["wait"]


def test_a_shell_offers_files_where_a_file_is_named(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks.csv").touch()
    monkeypatch.chdir(tmp_path)

    assert in_zsh("ravi-launch --tasks tas", environ) == ["tasks.csv"]
    assert in_fish("ravi-launch --tasks tas", environ) == ["tasks.csv"]
    assert in_bash("ravi-launch --tasks tas", environ) == [""]  # bash does, by `-o default`


def test_descriptions_with_colons_and_quotes_do_not_disturb_zsh(environ: dict[str, str]) -> None:
    assert in_zsh("ravi-launch -c x --hos", environ) == ["--host"]
    assert in_zsh("ravi-launch run --en", environ) == ["--env"]


def test_an_engine_that_does_not_answer_gives_no_names_and_no_words(
    environ: dict[str, str], tmp_path: Path
) -> None:
    install(tmp_path / "bin", "broken")

    assert in_bash("ravi-launch ps ", environ) == [""]
    assert in_bash("ravi-launch wa", environ) == ["wait"]


def test_a_prompt_waits_no_longer_than_it_may() -> None:
    import threading

    forever = threading.Event()

    def ask() -> list[str]:
        forever.wait()
        return ["late"]

    assert in_time(ask, 0.01) == []
    forever.set()
    assert in_time(lambda: ["soon"], 60) == ["soon"]


def test_an_instruction_that_is_none_is_an_error(environ: dict[str, str]) -> None:
    asked = {"_RAVI_LAUNCH_COMPLETE": "complete_csh", "COMP_WORDS": "", "COMP_CWORD": "0"}
    done = subprocess.run(
        ["ravi-launch"], env=environ | asked, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (1, "")

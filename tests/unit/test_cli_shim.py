"""The official CLI beside an agent that does not start at the top of its workspace."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from official_cli.recorder import Recorder
from ravi_agent.container import official_cli
from ravi_agent.identity import Identity
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace.claim import Claim

ENTRYPOINT = Path(sys.executable).with_name("ravi-entrypoint")
STAND_IN = Path(__file__).parents[1] / "official_cli"
SHIM = Path(official_cli.SHIM_DIR) / "ravi"
# As in test_official_cli: the real one, and the port that is compiled into it.
REAL = os.environ.get("RAVI_OFFICIAL_CLI")
PORT = int(os.environ.get("RAVI_OFFICIAL_CLI_PORT", "0"))


class Host:
    """A person's home, an agent's workspace, and the official CLI on PATH."""

    def __init__(self, service: LocalRavi, path: Path, url: str) -> None:
        self.person = service.store.create(name="a person", email=None, with_phone=True)
        self.agent = service.store.create(name="task-1", email=None, with_phone=True)
        self.home, self.workspace, self.below = path / "home", path / "w", path / "w/src"
        self.programs = path / "bin"
        self.programs.mkdir()
        (self.programs / "ravi").symlink_to(REAL or STAND_IN / "ravi")
        self._url, self._service = url, service
        self.log_in(self.home, self.person)
        self.provision(self.workspace, self.agent)
        self.below.mkdir()

    def log_in(self, folder: Path, record: Record) -> None:
        (folder / ".ravi").mkdir(parents=True)
        config = {"identity_key": self.key(record), "identity_uuid": record.uuid}
        (folder / ".ravi/config.json").write_text(json.dumps(config))

    def key(self, record: Record) -> str:
        return self._service.store.mint_key(record.uuid, "test")

    def provision(self, folder: Path, record: Record) -> None:
        identity = Identity(
            uuid=record.uuid,
            name=record.name,
            email=record.email,
            phone=record.phone,
            created_at="",
            key=self.key(record),
        )
        with Claim(str(folder)) as claim:
            assert claim.is_free()
            claim.save(identity, api_url=self._url)

    def run(self, *command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "RAVI_API_URL": self._url,
            "RAVI_STAND_IN_URL": self._url,
            **variables,
        }
        return subprocess.run(
            [ENTRYPOINT, "--", *command],
            cwd=cwd,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def recorder(local: LocalRavi) -> Iterator[Recorder]:
    with Recorder(local.url, PORT) as proxy:
        yield proxy


@pytest.fixture
def host(local: LocalRavi, recorder: Recorder, tmp_path: Path) -> Host:
    return Host(local, tmp_path, recorder.url)


def address(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 0, ended.stderr
    return str(json.loads(ended.stdout)["email"])


def test_below_a_workspace_the_official_cli_would_be_the_person_and_a_warning_says_so(
    host: Host,
) -> None:
    ended = host.run("ravi", "get", "email", cwd=host.below)

    assert address(ended) == host.person.email
    warning, fix = ended.stderr.splitlines()[:2]
    assert warning.startswith("ravi-entrypoint: warning: ")
    assert f"reads {host.home}/.ravi and acts as somebody else than task-1" in warning
    assert fix == f"  fix: start the agent in {host.workspace}, or set RAVI_CLI_SHIM=1"


def test_both_fixes_are_true(host: Host) -> None:
    for ended in (
        host.run("ravi", "get", "email", cwd=host.workspace),
        host.run("ravi", "get", "email", cwd=host.below, RAVI_CLI_SHIM="1"),
    ):
        assert address(ended) == host.agent.email
        assert "warning" not in ended.stderr


def test_without_anybody_logged_in_a_warning_says_that_it_finds_no_identity(host: Host) -> None:
    (host.home / ".ravi/config.json").unlink()

    ended = host.run("true", cwd=host.below)

    assert ended.returncode == 0
    assert f"does not look into {host.workspace}: it finds no identity" in ended.stderr


@pytest.mark.parametrize("home", ["the workspace", "a link to it"])
def test_a_home_that_leads_to_the_workspace_leaves_nothing_to_say(host: Host, home: str) -> None:
    folder = host.workspace
    if home == "a link to it":
        folder = host.workspace.parent / "linked"
        folder.mkdir()
        (folder / ".ravi").symlink_to(host.workspace / ".ravi")

    ended = host.run("ravi", "get", "email", cwd=host.below, HOME=str(folder))

    assert address(ended) == host.agent.email
    assert "warning" not in ended.stderr


def test_a_directory_that_has_been_removed_leaves_nothing_to_say(host: Host) -> None:
    command = (
        f"cd {host.below} && rmdir {host.below}\n"
        f"RAVI_AGENT_USER=0 RAVI_WORKSPACE={host.workspace} exec {ENTRYPOINT} -- true"
    )

    ended = host.run("sh", "-c", command, cwd=host.workspace)

    assert ended.returncode == 0, ended.stderr
    assert "warning" not in ended.stderr


# --- the shim ----------------------------------------------------------------------------------


def shimmed(host: Host, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return host.run(*command, cwd=host.below, RAVI_CLI_SHIM="1", **variables)


def test_the_shim_acts_as_the_agent_in_every_directory_and_changes_nothing_else(host: Host) -> None:
    for folder in (host.below, host.workspace, Path("/"), host.home.parent):
        ended = shimmed(host, "sh", "-c", f"cd {folder} && ravi get email")
        assert address(ended) == host.agent.email

    ended = shimmed(host, "sh", "-c", "pwd; echo $HOME; ls -a $HOME/.ravi")
    assert ended.stdout.split() == [str(host.below), str(host.home), ".", "..", "config.json"]


def test_a_file_name_is_relative_to_the_directory_of_the_agent(
    host: Host, recorder: Recorder
) -> None:
    (host.below / "report.txt").write_text("attached")
    words = "ravi email compose --to a@else.example --subject s --body b --attach report.txt"

    ended = shimmed(host, *words.split())

    assert ended.returncode == 0, ended.stderr
    assert any("{attachment_uuids" in request for request in recorder.sent)


def test_words_reach_the_cli_as_they_were_typed(host: Host) -> None:
    (host.programs / "ravi").unlink()
    (host.programs / "ravi").write_text('#!/bin/sh\nprintf "[%s]" "$@"; exit 3\n')
    (host.programs / "ravi").chmod(0o755)

    ended = shimmed(host, "ravi", "feedback", "two  words", "", "*", "$HOME", "auth login")

    assert ended.stdout == "[feedback][two  words][][*][$HOME][auth login]"
    assert ended.returncode == 3


@pytest.mark.parametrize("words", ["auth login", "auth logout", "--human auth logout"])
def test_a_login_or_logout_would_be_the_workspace_s_and_is_refused(host: Host, words: str) -> None:
    ended = shimmed(host, "ravi", *words.split())

    assert (ended.returncode, ended.stdout) == (64, "")
    assert "\n  fix: " in ended.stderr
    assert (host.workspace / ".ravi/config.json").exists()
    assert (host.home / ".ravi/config.json").exists()


def test_another_identity_s_directory_is_not_acted_for_by_accident(host: Host) -> None:
    """The official CLI would prefer the current directory's."""
    other = host.workspace.parent / "other"
    host.log_in(other, host.person)

    ended = shimmed(host, "sh", "-c", f"cd {other} && ravi get email")

    assert (ended.returncode, ended.stdout) == (78, "")
    assert f"fix: cd {host.workspace}" in ended.stderr


def test_a_configuration_that_the_cli_cannot_be_shown_is_refused(host: Host) -> None:
    ended = shimmed(host, "env", f"RAVI_CONFIG_DIR={host.below}", "ravi", "get", "email")

    assert (ended.returncode, ended.stdout) == (78, "")


def test_without_another_ravi_on_path_it_says_so(host: Host) -> None:
    ended = shimmed(host, "ravi", "get", "email", PATH="/usr/bin:/bin")

    assert (ended.returncode, ended.stdout) == (127, "")
    assert "no ravi on PATH but" in ended.stderr


@pytest.mark.parametrize("spelling", ["{0}:{0}", "{0}:{0}/:{0}", "{1}:{0}:{1}:{0}"])
def test_it_never_runs_itself_for_ever(host: Host, spelling: str, tmp_path: Path) -> None:
    """An agent that starts another one has the shim on its PATH twice, or two copies of it."""
    shutil.copytree(SHIM.parent, tmp_path / "copy")
    shims = spelling.format(SHIM.parent, tmp_path / "copy")

    ended = shimmed(host, "ravi", "get", "email", PATH=f"{shims}:{host.programs}:/usr/bin:/bin")
    alone = shimmed(host, "ravi", "get", "email", PATH=f"{shims}:/usr/bin:/bin")

    assert address(ended) == host.agent.email
    assert alone.returncode == 127


def test_it_works_by_its_path_alone_and_without_an_identity(host: Host) -> None:
    ended = host.run("env", "-u", "RAVI_CONFIG_DIR", str(SHIM), "get", "email", cwd=host.workspace)

    assert address(ended) == host.agent.email

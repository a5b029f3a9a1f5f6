"""What the README has a reader type is typed here, and so is the Dockerfile of existing images."""

import os
import re
import shutil
import smtplib
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path

import docker
import docker.errors
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import PREFIX, Ran, Run, Start, containers, launch, wait_for_output
from ravi_agent.local.server import LocalRavi

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
AGENTS = (ROOT / "docs/agents.md").read_text(encoding="utf-8")
EXISTING_IMAGE = (ROOT / "docs/existing-image.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, heading
    return found[1]


def snippets(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def snippet(text: str, language: str) -> str:
    (found,) = snippets(text, language)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reader's directory: an agent, and a key that root alone reads."""
    shutil.copy(ROOT / "images/agent-example/agent.py", tmp_path)
    key = tmp_path / "management_key"
    key.write_text(MANAGEMENT_KEY + "\n")
    key.chmod(0o600)
    return tmp_path


@pytest.fixture
def image(client: docker.DockerClient) -> Iterator[str]:
    """A name for an image of this test."""
    name = PREFIX + uuid.uuid4().hex[:12]
    yield name
    try:
        client.images.remove(name, force=True)
    except docker.errors.ImageNotFound:
        return  # it was not built


def type_in(
    folder: Path, lines: str, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Type lines into a shell that stops at the first one to fail."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-ec", lines],
        cwd=folder,
        env={**environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )


def test_an_agent_in_a_shell_gets_its_code_and_its_link(start: Start, service: LocalRavi) -> None:
    lines = snippets(section(AGENTS, "In a shell"), "sh")[0]

    agent = start("sh", "-ec", f'{lines}echo "the code is $code, the link is $link"')

    wait_for_output(agent, "signing up as")
    (identity,) = service.store.identities()
    mail_to(service, identity.email, "Your verification code is 271828.")
    mail_to(service, identity.email, "Confirm your address: https://shop.example/confirm?t=8Gh3")
    ran = Ran(agent)
    assert ran.code == 0, ran.stderr
    assert f"signing up as {identity.email}" in ran.stdout
    assert "the code is 271828, the link is https://shop.example/confirm?t=8Gh3" in ran.stdout


def mail_to(service: LocalRavi, address: str, text: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "no-reply@shop.example", address
    mail["Subject"] = "Welcome"
    mail.set_content(text)
    with smtplib.SMTP(service.host, service.smtp_port, timeout=10) as smtp:
        smtp.send_message(mail)


def test_the_runs_of_the_readme_start_run_on_and_go(
    client: docker.DockerClient,
    folder: Path,
    run_name: str,
    service: LocalRavi,
    environ: dict[str, str],
) -> None:
    lines = snippet(section(README, "Many agents at once"), "sh") + snippet(
        section(README, "Costs and cleaning up"), "sh"
    )
    assert "nightly" in lines
    # The demo has fifty; here what matters is that each line does what it says.
    lines = lines.replace("--count 50", "--count 3").replace("nightly", run_name)
    lines = lines.replace("my-agent", "ravi-agent-example")
    assert "-- claude --print" in lines
    lines = re.sub("-- claude .*", "-- python3 /app/agent.py", lines)
    lines = lines.replace("ravi-launch rm", f"ravi-launch wait {run_name}\nravi-launch rm")

    done = type_in(folder, lines, environ)

    assert done.returncode == 0, done.stderr
    names = {identity.name for identity in service.store.identities()}
    assert {f"task-{run_name}-000{index}" for index in range(3)} < names
    assert len(names) == 6
    assert done.stdout.count("I am ") >= 6
    assert containers(client, run_name) == []


def test_the_quick_start_of_the_readme_needs_no_account(
    client: docker.DockerClient, folder: Path, environ: dict[str, str]
) -> None:
    typed = snippet(section(README, "Quick start"), "sh").splitlines()
    was_there = [one.name for one in client.containers.list(all=True)]
    lines = [line for line in typed if line.startswith("ravi-launch")]
    # Another local Ravi than this test's is its owner's to remove.
    lines += [line for line in typed if line.startswith("docker") and "ravi-local" not in was_there]
    environ = {
        name: value for name, value in environ.items() if not name.startswith("RAVI_MANAGEMENT")
    }

    done = type_in(folder, "\n".join(lines), environ)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"I am task-\S+@ravi-local\.test", done.stdout.replace(": ", "-"))) == 3


def test_an_existing_image_gets_the_entrypoint(
    client: docker.DockerClient,
    folder: Path,
    image: str,
    run_name: str,
    service: LocalRavi,
    environ: dict[str, str],
) -> None:
    dockerfile = snippet(EXISTING_IMAGE, "dockerfile").replace("your-image", base_image(client))
    (folder / "Dockerfile").write_text(f"{dockerfile}COPY agent.py /app/agent.py\n")
    built = type_in(folder, f"docker build --tag {image} .", environ)
    assert built.returncode == 0, built.stderr

    done = launch(environ, "--count", "2", "--image", image, "--name", run_name, "--rm")

    assert {identity.name for identity in service.store.identities()} == {
        f"task-{run_name}-0000",
        f"task-{run_name}-0001",
    }
    assert done.stdout.count("I am ") == 2
    whoami = client.containers.run(
        image,
        ["id", "-u"],
        environment={"RAVI_API_URL": service.url},
        remove=True,
        volumes={str(folder / "management_key"): {"bind": "/run/secrets/ravi_management_key"}},
    )
    assert whoami == b"1000\n"


@pytest.mark.parametrize("owner", ["ubuntu", "node"])
def test_an_existing_image_with_a_user_of_uid_1000_has_its_agent_run_as_that(
    client: docker.DockerClient, folder: Path, image: str, run: Run, owner: str
) -> None:
    add_user = f"RUN useradd --uid 1000 --user-group --create-home {owner}\n"
    dockerfile = snippet(EXISTING_IMAGE, "dockerfile").replace("USER 0:0\n", add_user)
    (folder / "Dockerfile").write_text(dockerfile.replace("your-image", base_image(client)))
    built = type_in(folder, f"docker build --tag {image} .", os.environ)
    assert built.returncode == 0, built.stderr

    ran = run(
        "sh", "-c", "id -un; id -u; id -g; echo $HOME; touch mine; ravi get email", image=image
    )

    assert ran.code == 0, ran.stderr
    assert ran.stdout.splitlines()[:4] == [owner, "1000", "1000", f"/home/{owner}"]
    assert "@ravi-local.test" in ran.stdout


def test_an_existing_image_whose_env_cannot_block_signals_is_told_and_starts(
    client: docker.DockerClient, folder: Path, image: str, run: Run
) -> None:
    (folder / "env").write_text(UUTILS_ENV)
    (folder / "env").chmod(0o755)
    dockerfile = snippet(EXISTING_IMAGE, "dockerfile").replace(
        "USER 0:0\n", "RUN mv /usr/bin/env /usr/bin/env.gnu\nCOPY env /usr/bin/env\n"
    )
    (folder / "Dockerfile").write_text(dockerfile.replace("your-image", base_image(client)))
    built = type_in(folder, f"docker build --tag {image} .", os.environ)
    assert built.returncode == 0, built.stderr

    assert "warning: env cannot block signals" in built.stdout + built.stderr
    assert run("id", "-u", image=image).stdout == "1000\n"


def test_a_coding_agent_finds_its_skill(folder: Path, image: str, run: Run) -> None:
    (folder / "Dockerfile").write_text(snippet(AGENTS, "dockerfile"))
    built = type_in(folder, f"docker build --tag {image} .", os.environ)
    assert built.returncode == 0, built.stderr

    ran = run("sh", "-c", "cat .claude/skills/*/SKILL.md; stat -c %u .claude", image=image)

    assert "ravi inbox wait --code" in ran.stdout
    assert ran.stdout.endswith("\n1000\n")


# What uutils' env says (clap's words and its exit code); in all else it is the one that was there.
UUTILS_ENV = """#!/bin/sh
case "$*" in
*--block-signal*)
    echo "error: unexpected argument '--block-signal' found" >&2
    exit 125
    ;;
esac
exec /usr/bin/env.gnu "$@"
"""


def base_image(client: docker.DockerClient) -> str:
    """What scripts/images has built the base image on."""
    script = (ROOT / "scripts/images").read_text()
    names: list[str] = [
        os.environ.get("BASE_IMAGE", ""),
        *re.findall(r"^(?:public|stand_in)=(\S+)", script, re.MULTILINE),
    ]
    there: set[str] = {tag for one in client.images.list() for tag in one.tags}
    return next(name for name in names if name and {name, f"{name}:latest"} & there)

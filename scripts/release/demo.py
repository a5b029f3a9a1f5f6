"""The demo of the README, on images that were pulled."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ravi_agent.contract import LOCAL_NAME
from release.build import IMAGES, ROOT
from release.image import ImageError

_AGENTS = 5
_IMAGE = "ravi-agent-example:pulled"


def check_room() -> None:
    """ImageError where a local Ravi is there already: the demo would use that one."""
    if _inspect("container", LOCAL_NAME):
        raise ImageError(
            f"the engine has a local Ravi, of other images\n  fix: docker rm -f {LOCAL_NAME}"
        )


def run(tags: Mapping[str, str]) -> None:
    """Run agents, and the help of each other image; `tags` has a pulled image's tag by its name.

    ImageError where an agent fails, or the local Ravi is not the pulled one.
    """
    command = ["docker", "build", "--quiet", "--tag", _IMAGE]
    command += ["--build-arg", f"AGENT_BASE={tags[IMAGES[0]]}"]
    file = str(ROOT / "images/agent-example/Dockerfile")
    subprocess.run([*command, "--file", file, str(ROOT)], check=True, capture_output=True)
    with _local_ravi(tags.get(LOCAL_NAME)):
        launch = str(Path(sys.executable).with_name("ravi-launch"))
        arguments = ["--local", f"--count={_AGENTS}", f"--image={_IMAGE}", "--rm"]
        done = subprocess.run([launch, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImageError(f"the demo ends with {done.returncode}: {done.stderr[-2000:]}")
    for name, tag in tags.items():
        if name != IMAGES[0]:
            command = ["docker", "run", "--rm", tag, "--help"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def _local_ravi(tag: str | None) -> Iterator[None]:
    """While this lasts `--local` means the image of that tag, None for the one that is there.

    What the engine has by that name comes back at the end, and what was started ends.
    """
    check_room()
    had_data = _inspect("volume", LOCAL_NAME)
    before = _inspect("image", LOCAL_NAME)
    if tag:
        _docker("tag", tag, LOCAL_NAME)
    try:
        yield
        used = _inspect("container", LOCAL_NAME, "{{.Image}}")
        if used != _inspect("image", tag or LOCAL_NAME):
            raise ImageError(f"the local Ravi of the demo is {used}, not what was pulled")
    finally:
        if _inspect("container", LOCAL_NAME):
            _docker("rm", "--force", LOCAL_NAME)
        if not had_data and _inspect("volume", LOCAL_NAME):
            _docker("volume", "rm", LOCAL_NAME)
        if tag and before:
            _docker("tag", before, LOCAL_NAME)
        elif tag:
            _docker("rmi", LOCAL_NAME)


def _inspect(kind: str, name: str, what: str | None = None) -> str | None:
    """A field of what the engine has by that name, by default what identifies it; None without."""
    form = what or ("{{.Name}}" if kind == "volume" else "{{.Id}}")
    command = ["docker", kind, "inspect", "--format", form, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _docker(*words: str) -> None:
    subprocess.run(["docker", *words], check=True, stdout=subprocess.DEVNULL)

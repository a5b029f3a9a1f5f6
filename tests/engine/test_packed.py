"""The file of packed modules in the image has what starts import, and nothing else."""

import json
import re
import subprocess
from collections.abc import Iterator
from uuid import uuid4

import pytest

from ravi_agent.identity import Identity

IMAGE = "ravi-agent-base"
IDENTITY = Identity(
    uuid=str(uuid4()),
    name="packed",
    email="packed@ravi-local.test",
    phone=None,
    created_at="2026-01-01T00:00:00Z",
    key="ravi_id_0123456789abcdef0123456789abcdef",
)
# As the image's entrypoint starts, and says of each module what loads it (python -v).
VERBOSE = ("/opt/ravi/bin/python", "-IS", "-v", "/opt/ravi/bin/ravi-entrypoint")


def loaders(output: str) -> dict[str, str]:
    """What loaded each of our modules, by the module's name."""
    found = re.findall(r"^import '(ravi_agent[\w.]*)' # <([\w.]+) object", output, re.MULTILINE)
    return dict(found)


@pytest.fixture(scope="module")
def starts() -> Iterator[list[dict[str, str]]]:
    """One that is handed an identity, and one that finds it there."""
    name = f"ravi-test-packed-{uuid4().hex[:8]}"
    create = ["docker", "create", "--name", name, "--interactive", "--entrypoint", VERBOSE[0]]
    settings = ["--env", "RAVI_HANDOVER=stdin", "--env", "RAVI_IDENTITY_NAME=packed"]
    subprocess.run(
        [*create, *settings, IMAGE, *VERBOSE[1:], "true"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    try:
        line = json.dumps({"identity": {**IDENTITY.public(), "key": IDENTITY.key}}) + "\n"
        outputs = [
            subprocess.run(
                ["docker", "start", "--attach", "--interactive", name],
                input=line,
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            ).stderr
            for _ in range(2)
        ]
        yield [loaders(output) for output in outputs]
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


def test_no_start_looks_for_a_file_of_ours(starts: list[dict[str, str]]) -> None:
    for start in starts:
        assert set(start.values()) == {"ravi_agent.packed.PackedModules"}


def test_it_has_nothing_that_no_start_imports(starts: list[dict[str, str]]) -> None:
    script = (
        "import marshal, sys;"
        "name = f'/opt/ravi/lib/start.{sys.implementation.cache_tag}';"
        "print(*marshal.loads(open(name, 'rb').read())[1])"
    )
    command = ["docker", "run", "--rm", "--entrypoint", VERBOSE[0], IMAGE, "-IS", "-c", script]
    packed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    assert set(packed.split()) == {module for start in starts for module in start}

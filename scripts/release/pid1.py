"""PID 1 of a published image, tried as tests/conformance tries it, on any architecture."""

import subprocess
import tempfile

import docker

from conformance import containers, rows
from release.build import ROOT, own_architecture
from release.image import ImageError

_DOCKERFILE = """\
FROM {image}
USER 0
COPY image /conformance
USER 1000:1000
RUN /opt/ravi/bin/python -I /conformance/provision.py
"""
# What tells of qemu instead: its threads wake up, and `docker top` shows it in place of programs.
_OF_THE_EMULATOR = {"idle", "top"}
_ATTEMPTS = 2  # an emulated program may be too slow for a row's patience, never by design


def check(image: str, architecture: str) -> list[str]:
    """Run every row of the table on an image: lines for people. ImageError with what is red."""
    tag = f"ravi-agent-test-conformance:{architecture}"
    with tempfile.NamedTemporaryFile("w", suffix=".Dockerfile") as file:
        file.write(_DOCKERFILE.format(image=image))
        file.flush()
        folder = str(ROOT / "tests/conformance")
        options = ["--platform", f"linux/{architecture}", "--tag", tag, "--file", file.name]
        command = ["docker", "build", *options, folder]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        raise ImageError(f"{tag} does not build: {built.stdout[-2000:]}{built.stderr[-2000:]}")
    client = docker.DockerClient.from_env(timeout=300)
    try:
        engine = containers.Engine(client, tag)
        found = _rights(engine)
        for probe in dict.fromkeys(row.probe for row in rows.ROWS):
            answered = _red(engine, probe)
            print(f"PID 1 on {architecture}: {probe.__name__}: {answered or 'green'}", flush=True)
            found |= answered
    finally:
        client.close()
    ignored = _OF_THE_EMULATOR if architecture != own_architecture() else set[str]()
    if red := [f"{key}: {found[key]}" for key in found if key not in ignored]:
        raise ImageError("\n".join(f"PID 1 on {architecture}: {one}" for one in red))
    return [f"PID 1 on {architecture}: {len(rows.ROWS) - len(ignored)} rows green"]


def _rights(engine: containers.Engine) -> dict[str, str]:
    """What prctl(2) did: no new rights for the agent, and no look into PID 1 of the same user."""
    fields = "NoNewPrivs|CapBnd"
    command = f"grep -E '{fields}' /proc/self/status; stat -c 'owner %u' /proc/1/environ; echo over"
    with engine.run(*containers.OURS.command, "sh", "-c", command) as box:
        box.wait_for("over")
        seen = box.output().split()
    red = {}
    if seen[seen.index("NoNewPrivs:") + 1] != "1":
        red["no-new-privs"] = " ".join(seen)
    if seen[seen.index("owner") + 1] != "0":
        red["no-tracing"] = " ".join(seen)
    return red


def _red(engine: containers.Engine, probe: rows.Probe) -> dict[str, str]:
    """What stays red of a probe's rows, and what was seen."""
    red: dict[str, str] = {}
    for _ in range(_ATTEMPTS):
        try:
            verdicts = probe(engine, containers.OURS)
        except AssertionError as exc:
            red = {probe.__name__: str(exc)}
            continue
        red = {key: one.seen for key, one in verdicts.items() if not one.is_green}
        if not red:
            break
    return red

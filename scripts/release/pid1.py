"""PID 1 of a published image, tried as tests/conformance tries it, on any architecture."""

import signal
import subprocess
import tempfile

import docker

from conformance import containers, probes, rows
from release.build import ROOT, own_architecture
from release.image import ImageError

_DOCKERFILE = """\
FROM {image}
USER 0
COPY image /conformance
USER 1000:1000
RUN /opt/ravi/bin/python -I /conformance/provision.py
"""
# What tells of qemu instead. Its threads wake up, `docker top` shows it in place of programs, and
# it loses real-time signals, and ends at a SIGILL from outside, with any program as PID 1.
_OF_THE_EMULATOR = (probes.idleness, probes.top, probes.signals)
# A stop is lost as well while qemu itself starts, before the first program of the image does; and
# qemu 7.2 refuses PR_SET_CHILD_SUBREAPER to every program.
_ROWS_OF_THE_EMULATOR = {"stop-at-start", "subreaper"}
_CARRIED = [
    signal.Signals[f"SIG{name}"]
    for name in ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "IO"]
]
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
        tried = list(dict.fromkeys(row.probe for row in rows.ROWS))
        is_emulated = architecture != own_architecture()
        if is_emulated:
            tried = [probe for probe in tried if probe not in _OF_THE_EMULATOR]
            tried.append(_forwarding)
        for probe in tried:
            answered = _red(engine, probe)
            if is_emulated:
                answered = {key: answered[key] for key in answered.keys() - _ROWS_OF_THE_EMULATOR}
            print(f"PID 1 on {architecture}: {probe.__name__}: {answered or 'green'}", flush=True)
            found |= answered
    finally:
        client.close()
    if found:
        lines = [f"PID 1 on {architecture}: {key}: {seen}" for key, seen in found.items()]
        raise ImageError("\n".join(lines))
    return [f"PID 1 on {architecture}: all of {len(tried)} probes green"]


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


def _forwarding(engine: containers.Engine, init: containers.Init) -> probes.Verdicts:
    """The signals that qemu carries, one by one from outside."""
    with engine.run(*init.command, *containers.AGENT, "signals", grace_s=60) as box:
        box.wait_for("ready")
        lost = []
        for number in _CARRIED:
            box.kill(number)
            if not box.has_said(f"agent {int(number)}\n"):
                lost.append(number.name)
    return {"forwarding": probes.Verdict(not lost, f"did not arrive: {' '.join(lost)}")}


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

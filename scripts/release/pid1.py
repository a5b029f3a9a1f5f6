"""PID 1 of a published image, tried as tests/conformance tries it, on any architecture."""

import signal
import subprocess
import tempfile
from collections.abc import Mapping

import docker
import docker.errors

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
# Rows that a program under qemu-user 7.2 cannot show, whatever is PID 1: docs/releasing.md has what
# shows that. They are left to machines of that architecture, by `make release-images`.
LEFT_OUT = {
    "signals": "qemu loses real-time signals; those from 1 to 31 are tried",
    "stop-at-start": "a stop is lost while qemu itself starts",
    "subreaper": "qemu refuses PR_SET_CHILD_SUBREAPER",
    "nohup": "qemu forgets an ignored signal at the second execve",
}
_CARRIED = [number for number in probes.CATCHABLE if number < signal.SIGRTMIN]
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
        is_emulated = architecture != own_architecture()
        tried = probes_for(is_emulated=is_emulated)
        for probe in tried:
            red = _red(engine, probe, LEFT_OUT if is_emulated else {})
            print(f"PID 1 on {architecture}: {probe.__name__}: {red or 'green'}", flush=True)
            found |= red
    finally:
        client.close()
    if found:
        lines = [f"PID 1 on {architecture}: {key}: {seen}" for key, seen in found.items()]
        raise ImageError("\n".join(lines))
    lines = [f"PID 1 on {architecture}: all of {len(tried)} probes green"]
    if is_emulated:
        lines += [
            f"PID 1 on {architecture}: {key}: left out: {why}" for key, why in LEFT_OUT.items()
        ]
    return lines


def probes_for(*, is_emulated: bool) -> list[rows.Probe]:
    """Those of the table; under an emulator those that answer for a row it can show."""
    keys = {row.key for row in rows.ROWS} - (LEFT_OUT.keys() if is_emulated else set())
    tried = list(dict.fromkeys(row.probe for row in rows.ROWS if row.key in keys))
    if is_emulated:  # its rows, with the signals that qemu carries
        tried[tried.index(probes.signals)] = forwarding
    return tried


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


def forwarding(engine: containers.Engine, init: containers.Init) -> probes.Verdicts:
    """The signals that qemu carries, one by one from outside, and who gets them."""
    with engine.run(*init.command, *containers.AGENT, "signals", grace_s=60) as box:
        box.wait_for("ready")
        lost = []
        for number in _CARRIED:
            box.kill(number)
            expected = [f"agent {number}\n"]
            if number in probes.STOPS:
                expected.append(f"grandchild {number}\n")
            lost += [line.strip() for line in expected if not box.has_said(line)]
        lines = (line.split() for line in box.output().splitlines())
        spread = {int(words[1]) for words in lines if words[0] == "grandchild"} - probes.STOPS
    return {
        "forwarding": probes.Verdict(not lost, f"did not arrive: {', '.join(lost)}"),
        "alone": probes.Verdict(not spread, f"a helper gets {sorted(spread)}"),
    }


def _red(
    engine: containers.Engine, probe: rows.Probe, left_out: Mapping[str, str]
) -> dict[str, str]:
    """What stays red of a probe's rows, but for those left out, and what was seen."""
    red: dict[str, str] = {}
    for _ in range(_ATTEMPTS):
        try:
            verdicts = probe(engine, containers.OURS)
        except (AssertionError, docker.errors.APIError) as exc:  # PID 1 may have ended
            red = {probe.__name__: str(exc)}
            continue
        red = {
            key: one.seen
            for key, one in verdicts.items()
            if not one.is_green and key not in left_out
        }
        if not red:
            break
    return red

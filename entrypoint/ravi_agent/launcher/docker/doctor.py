"""`ravi-launch doctor`: what stands in the way of a run, found out without starting one."""

import json
import os
import resource
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

import psutil

from ravi_agent.credential import host_account, key_path
from ravi_agent.errors import RaviError
from ravi_agent.launcher.docker import capacity
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.images import Images
from ravi_agent.launcher.docker.networks import PORTS
from ravi_agent.launcher.show.progress import print_table

# Python, its pipes and the engine's own share of one idle agent, measured at 22 MB.
_AGENT_BYTES = 32 * 1024 * 1024


class Verdict(StrEnum):
    GOOD = "good"
    NOTE = "note"  # worth knowing
    BAD = "bad"  # no run succeeds like this


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at; `fix` is what to type, empty where nothing needs mending."""

    what: str
    verdict: Verdict
    says: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """The run that is thought of."""

    host: str | None
    context: str | None
    image: str
    count: int
    is_local: bool


def examine(patient: Patient, environ: Mapping[str, str], *, is_json: bool) -> int:
    """Print what was found, one row a thing: 0 if nothing is bad, else 1."""
    findings = [*_engine(patient), *_service(patient, environ), _files(patient), _memory(patient)]
    if is_json:
        print(json.dumps([asdict(one) for one in findings], indent=2))
    else:
        columns = ("what", "verdict", "says", "fix")
        print_table(columns, [(one.what, one.verdict, one.says, one.fix) for one in findings])
    return int(any(one.verdict == Verdict.BAD for one in findings))


def _bad(what: str, exc: RaviError) -> Finding:
    return Finding(what=what, verdict=Verdict.BAD, says=str(exc), fix=exc.fix or "")


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, verdict=Verdict.GOOD, says=look())
    except RaviError as exc:
        return _bad(what, exc)


def _engine(patient: Patient) -> Iterator[Finding]:
    try:
        engine = DockerEngine(connections=1, host=patient.host, context=patient.context)
    except RaviError as exc:
        yield _bad("engine", exc)
        return
    try:
        version = engine.client.version()
        says = f"Docker {version['Version']}, API {version['ApiVersion']}"
        yield Finding(what="engine", verdict=Verdict.GOOD, says=says)
        yield _image(patient, engine)
        yield _networks(patient)
    finally:
        engine.close()


def _image(patient: Patient, engine: DockerEngine) -> Finding:
    images = Images(engine.client, platform=None, say=lambda _: None)
    what = f"image {patient.image}"
    config = images.config(patient.image)
    if config is None:
        says = "not here: a run would pull it"
        return Finding(what=what, verdict=Verdict.NOTE, says=says, fix="make images")

    def look() -> str:
        images.check(patient.image, config)
        return "here, and it starts ravi-entrypoint"

    return _try(what, look)


def _networks(patient: Patient) -> Finding:
    many = -(-patient.count // PORTS)
    says = "one network" if many == 1 else f"a run has {many} networks made for it"
    return Finding(what=f"{patient.count} agents", verdict=Verdict.GOOD, says=says)


def _service(patient: Patient, environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        url, credential = host_account(environ, is_local=patient.is_local)
    except RaviError as exc:
        yield _bad("settings", exc)
        return
    yield Finding(what="key", verdict=Verdict.GOOD, says=f"from {credential.source}")
    path = key_path(environ)
    if not patient.is_local and os.path.exists(path):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o077:
            says = f"{path} has mode {mode:04o}: others can read it"
            yield Finding(what="key file", verdict=Verdict.NOTE, says=says, fix=f"chmod 600 {path}")
    from ravi_agent.service.api import RaviApi

    def look() -> str:
        with RaviApi(url, credential) as api:
            return f"{url} takes the key; {len(api.list_identities(''))} identities"

    yield _try("service", look)


def _files(patient: Patient) -> Finding:
    needed = capacity.files_needed(patient.count, capacity.MOST_STARTS, has_logs=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < needed:
        says = f"{patient.count} agents may take {needed}, and this host allows {hard}"
        return Finding(what="open files", verdict=Verdict.BAD, says=says, fix=f"ulimit -n {needed}")
    says = f"{needed} are allowed"
    return Finding(what="open files", verdict=Verdict.GOOD, says=says)


def _memory(patient: Patient) -> Finding:
    free = psutil.virtual_memory().available
    idle = patient.count * _AGENT_BYTES
    says = f"{free >> 20} MB free here; {patient.count} idle agents take about {idle >> 20} MB"
    if idle > free:
        fix = f"--parallel {max(1, free // _AGENT_BYTES)}"
        return Finding(what="memory", verdict=Verdict.NOTE, says=says, fix=fix)
    return Finding(what="memory", verdict=Verdict.GOOD, says=says)

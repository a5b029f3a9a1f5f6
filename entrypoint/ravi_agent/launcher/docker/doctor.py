"""What would stop a run on a Docker engine, found without starting one."""

import resource
from collections.abc import Iterator
from functools import partial

from ravi_agent import contract
from ravi_agent.errors import RaviError
from ravi_agent.launcher.docker import capacity
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.images import Images
from ravi_agent.launcher.docker.local_ravi import running_port
from ravi_agent.launcher.docker.networks import PORTS
from ravi_agent.launcher.docker.preflight import check_disk, check_image
from ravi_agent.launcher.model.findings import (
    Finding,
    Verdict,
    attempt,
    diagnose_account,
    failure,
    good,
)
from ravi_agent.launcher.model.request import DoctorTarget
from ravi_agent.launcher.planning.plan import make_plan, new_run_name
from ravi_agent.launcher.planning.spec import RunSpec

# Python, its pipes and the engine's own share of one idle agent, measured at 22 MB.
_AGENT_BYTES = 32 * 1024 * 1024


def diagnose(engine: DockerEngine, target: DoctorTarget) -> Iterator[Finding]:
    """One finding for each thing checked on the engine and on this host."""
    yield attempt("engine", engine.version)
    yield attempt("disk", partial(check_disk, engine))
    yield _image(engine, target)
    yield _networks(target)
    yield _files(target)
    yield _memory(target)
    if target.is_local:
        yield from _local_ravi(engine, target)


def _image(engine: DockerEngine, target: DoctorTarget) -> Finding:
    images = Images(engine.client, platform=None, say=lambda _: None)
    what = f"image {target.image}"
    try:
        config = images.config(target.image)
        if config is None:
            says = "not on this engine: a run would pull it"
            return Finding(what=what, verdict=Verdict.NOTE, says=says, fix="make images")
        images.check(target.image, config)
        spec = RunSpec(image=target.image, count=1, api_url=contract.DEFAULT_API_URL)
        plan = make_plan(new_run_name(), spec, is_fresh=True)
        check_image(engine, plan, target.image, config)
    except RaviError as exc:
        return failure(what, exc)
    says = "present; it has our entrypoint, and the program of its CMD"
    return good(what, says)


def _local_ravi(engine: DockerEngine, target: DoctorTarget) -> Iterator[Finding]:
    """The local Ravi of that engine, which is asked only where this host reaches its port."""
    what = "local Ravi"
    try:
        port = running_port(engine)
    except RaviError as exc:
        yield failure(what, exc)
        return
    if port is None:
        says = "none runs on this engine: a run with --local starts one"
        yield good(what, says)
        return
    yield good(what, f"it runs on this engine, port {port}")
    if engine.is_on_this_host:
        environ = {**target.environ, "RAVI_LOCAL_PORT": str(port)}
        yield from diagnose_account(environ, is_local=True)


def _networks(target: DoctorTarget) -> Finding:
    many = -(-target.count // PORTS)
    says = "one network" if many == 1 else f"a run creates {many} networks of its own"
    return good(f"{target.count} agents", says)


def _files(target: DoctorTarget) -> Finding:
    needed = capacity.files_needed(target.count, capacity.MOST_STARTS, has_logs=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < needed:
        says = f"{target.count} agents may take {needed}, and this host allows {hard}"
        return Finding(what="open files", verdict=Verdict.BAD, says=says, fix=f"ulimit -n {needed}")
    return good("open files", f"{needed} are allowed")


def _memory(target: DoctorTarget) -> Finding:
    free = capacity.available_memory()
    idle = target.count * _AGENT_BYTES
    says = f"{free >> 20} MB free here; {target.count} idle agents take about {idle >> 20} MB"
    if idle > free:
        fix = f"--parallel {max(1, free // _AGENT_BYTES)}"
        return Finding(what="memory", verdict=Verdict.NOTE, says=says, fix=fix)
    return good("memory", says)

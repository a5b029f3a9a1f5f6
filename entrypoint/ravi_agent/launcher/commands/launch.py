"""`ravi-launch --count N`: the flags of a run, checked and put into a spec."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import DOCKER, KUBERNETES, open_backend, render
from ravi_agent.launcher.commands.kubernetes import RENDER, JobFlags
from ravi_agent.launcher.model.request import Connection, RunRequest, ViewOptions
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.plan import check_count, check_run_name, new_run_name
from ravi_agent.launcher.planning.spec import (
    RunSpec,
    parse_environment,
    parse_labels,
    read_env_file,
)
from ravi_agent.launcher.planning.tasks_file import read_tasks
from ravi_agent.launcher.planning.values import parse_seconds
from ravi_agent.settings import Settings

DEFAULT_IMAGE = "ravi-agent-base"
OUTPUTS = ("table", "json", "jsonl")
_TEMPLATES = "{index} {count} {id} {run} are filled in."

Texts = list[str] | None
Option = typer.Option


def launch(
    ctx: typer.Context,
    # What runs
    count: Annotated[int | None, Option("--count", "-n", help="How many agents.")] = None,
    tasks: Annotated[
        str | None,
        Option(
            "--tasks", help="One agent a row of this file: JSON Lines, CSV or ids; - for stdin."
        ),
    ] = None,
    image: Annotated[
        str, Option("--image", help="Image to run, FROM ravi-agent-base.")
    ] = DEFAULT_IMAGE,
    name: Annotated[
        str | None,
        Option("--name", help="Name of the run; the same name adopts the same identities."),
    ] = None,
    resume: Annotated[
        str | None,
        Option("--resume", metavar="RUN", help="Go on with a run whose launcher has ended."),
    ] = None,
    # What each gets
    env: Annotated[
        Texts,
        Option("--env", "-e", help=f"K=V for every agent, or K for the host's own. {_TEMPLATES}"),
    ] = None,
    env_file: Annotated[Texts, Option("--env-file", help="File of such lines.")] = None,
    label: Annotated[
        Texts, Option("--label", "-l", help=f"K=V on every container. {_TEMPLATES}")
    ] = None,
    volume: Annotated[
        Texts, Option("--volume", "-v", help=f"SOURCE:TARGET[:ro] in every agent. {_TEMPLATES}")
    ] = None,
    workspace_dir: Annotated[
        str | None,
        Option("--workspace-dir", metavar="DIR/{id}", help="Directory that is its workspace."),
    ] = None,
    network: Annotated[str | None, Option("--network", help="Docker network.")] = None,
    cpus: Annotated[float | None, Option("--cpus", help="Cores each may use.")] = None,
    memory: Annotated[str | None, Option("--memory", "-m", help="Memory of each: 512m.")] = None,
    pids_limit: Annotated[
        int | None, Option("--pids-limit", help="Processes of each. [default: 4096]")
    ] = None,
    gpus: Annotated[str | None, Option("--gpus", help="all, a number or device=ID,ID.")] = None,
    shm_size: Annotated[str | None, Option("--shm-size", help="Size of /dev/shm: 1g.")] = None,
    user: Annotated[
        str | None, Option("--user", "-u", help="User of PID 1 and the agent: no stepping down.")
    ] = None,
    is_read_only: Annotated[
        bool,
        Option("--read-only", help="Read-only root; /tmp, /run/ravi and the workspace in memory."),
    ] = False,
    cap_add: Annotated[Texts, Option("--cap-add", help="Capability beside PID 1's own.")] = None,
    security_opt: Annotated[
        Texts, Option("--security-opt", help="As docker's; no-new-privileges is on.")
    ] = None,
    pull: Annotated[str, Option("--pull", help="always, missing or never.")] = "missing",
    platform: Annotated[str | None, Option("--platform", help="OS/ARCH of the image.")] = None,
    entrypoint: Annotated[str | None, Option("--entrypoint", hidden=True)] = None,
    # How it goes on
    concurrency: Annotated[
        int | None,
        Option("--concurrency", min=1, help="Started at once. [default: measured]"),
    ] = None,
    parallel: Annotated[
        int | None, Option("--parallel", min=1, help="Running at once. [default: all]")
    ] = None,
    retries: Annotated[
        int | None, Option("--retries", min=0, help="More starts of an agent that failed.")
    ] = None,
    timeout: Annotated[
        str | None, Option("--timeout", help="Stop an agent that still runs after: 30m.")
    ] = None,
    max_failures: Annotated[
        int | None,
        Option("--max-failures", min=0, help="Stop the run once more agents have failed."),
    ] = None,
    is_fail_fast: Annotated[
        bool, Option("--fail-fast", help="Stop the run once one agent has failed.")
    ] = False,
    remove: Annotated[bool, Option("--rm", help="Remove the containers at the end.")] = False,
    is_detached: Annotated[
        bool, Option("--detach", "-d", help="Return once all agents run, printing the name.")
    ] = False,
    # Identities
    provision: Annotated[
        str,
        Option(
            "--provision",
            help="container: each makes its identity; host: all are made here, and no key of the"
            " account's enters a container.",
        ),
    ] = "container",
    max_identities: Annotated[
        int | None,
        Option("--max-identities", min=0, help="Start nothing if more would have to be created."),
    ] = None,
    is_dry_run: Annotated[
        bool, Option("--dry-run", help="Print what would be done, and do none of it.")
    ] = False,
    is_local: Annotated[
        bool, Option("--local", help="Use a local Ravi: no account, identities not real.")
    ] = False,
    api_url: Annotated[
        str | None, Option("--api-url", envvar="RAVI_API_URL", help="Service root.")
    ] = None,
    # On Kubernetes
    backend: Annotated[
        str, Option("--backend", help="docker, or kubernetes: one Indexed Job with ravi-init.")
    ] = DOCKER,
    namespace: Annotated[
        str | None, Option("--namespace", help="Kubernetes namespace. [default: the context's]")
    ] = None,
    secret: Annotated[
        str | None,
        Option("--secret", help="Secret that has the key as management_key. [default: made]"),
    ] = None,
    init_image: Annotated[
        str | None,
        Option("--init-image", help="Image of the init container. [default: ravi-init]"),
    ] = None,
    service_account: Annotated[
        str | None, Option("--service-account", help="Service account of the pods.")
    ] = None,
    node_selector: Annotated[
        Texts, Option("--node-selector", metavar="K=V", help="Only nodes with this label.")
    ] = None,
    toleration: Annotated[
        Texts, Option("--toleration", metavar="K[=V][:EFFECT]", help="Taint that is no hindrance.")
    ] = None,
    pull_secret: Annotated[
        Texts, Option("--pull-secret", help="Secret to pull the images with.")
    ] = None,
    successes: Annotated[
        int | None, Option("--successes", min=1, help="Agents that are enough for success.")
    ] = None,
    deadline: Annotated[
        str | None, Option("--deadline", help="Stop the whole run after: 2h.")
    ] = None,
    ttl: Annotated[
        str | None, Option("--ttl", help="Remove the Job so long after its end: 1d.")
    ] = None,
    # Where, and what is shown
    host: Annotated[
        str | None, Option("--host", "-H", help="Docker engine: unix://, tcp:// or ssh://.")
    ] = None,
    context: Annotated[
        str | None, Option("--context", "-c", help="Docker context, or kubeconfig's.")
    ] = None,
    output: Annotated[
        str,
        Option(
            "--output", "-o", help="table; json: one object at the end; jsonl: one for each event."
        ),
    ] = "table",
    log_dir: Annotated[
        str | None, Option("--log-dir", help="Write one file an agent into this directory.")
    ] = None,
    is_quiet: Annotated[bool, Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Run many agents, each with a Ravi identity of its own: ravi-launch --count 50 [-- CMD...]."""
    job = JobFlags(
        namespace=namespace,
        secret=secret,
        init_image=init_image,
        service_account=service_account,
        node_selector=node_selector or [],
        toleration=toleration or [],
        pull_secret=pull_secret or [],
        successes=successes,
        deadline=deadline,
        ttl=ttl,
    )
    backend = KUBERNETES if ctx.info_name == RENDER else backend
    is_on_kubernetes = job.check(backend, host)
    ctx.obj.backend, ctx.obj.namespace = backend, namespace
    ctx.obj.host, ctx.obj.context = host, context
    if ctx.invoked_subcommand is not None:
        return 0
    if entrypoint is not None:
        raise UsageError(
            "--entrypoint",
            "the image's own makes the identity; another program would find the key on its input",
            "name the agent's program behind --",
        )
    _check_tasks(count, tasks, resume)
    if provision not in {"container", "host"}:
        raise UsageError(
            f"--provision {provision!r}", "choose container or host", "--provision host"
        )
    if output not in OUTPUTS:
        raise UsageError(f"--output {output!r}", f"choose {', '.join(OUTPUTS)}", "--output json")
    if resume and name:
        raise UsageError("--resume and --name", "both name the run", f"--resume {resume}")
    if timeout is not None and not parse_seconds("--timeout", timeout):
        raise UsageError(f"--timeout {timeout}", "no agent ends in no time", "--timeout 30m")
    if is_fail_fast and max_failures is not None:
        raise UsageError("--fail-fast", "it is --max-failures 0", f"--max-failures {max_failures}")
    flow = {
        "concurrency": concurrency,
        "parallel": parallel,
        "retries": retries,
        "timeout_s": None if timeout is None else parse_seconds("--timeout", timeout),
        "max_failures": 0 if is_fail_fast else max_failures,
        "is_removing": remove or None,
    }
    given_flow = {field: value for field, value in flow.items() if value is not None}
    if is_detached:
        _check_detached(given_flow, is_on_kubernetes)
    run = check_run_name("--resume" if resume else "--name", resume or name or new_run_name())

    environ = dict(os.environ)
    if api_url:
        environ["RAVI_API_URL"] = api_url
    spec = RunSpec(
        image=image,
        count=count,
        rows=None if tasks is None else tuple(read_tasks(tasks)),
        command=ctx.obj.command,
        environment=_environment(env or [], env_file or [], environ),
        labels=parse_labels(label or []),
        volumes=tuple(volume or []),
        workspace_dir=workspace_dir,
        name_prefix=environ.get("RAVI_NAME_PREFIX") or "task-",
        api_url=Settings(environ).api_url,
        is_local=is_local,
        is_provisioning_here=provision == "host",
        container=ContainerOptions.from_options(
            cpus=cpus,
            memory=memory,
            shm_size=shm_size,
            pids_limit=pids_limit,
            gpus=gpus,
            user=user,
            is_read_only=is_read_only,
            cap_add=cap_add or [],
            security_opt=security_opt or [],
            network=network,
            platform=platform,
            pull=pull,
        ),
    )
    request = RunRequest(
        run=run,
        spec=spec,
        flow=given_flow,
        is_new=not (name or resume),
        is_resuming=resume is not None,
        has_tasks=count is not None or tasks is not None,
        environ=environ,
        view=ViewOptions(output=output, log_dir=log_dir, is_quiet=is_quiet),
        job=job.options(),
        is_detached=is_detached,
        is_dry_run=is_dry_run,
        max_identities=max_identities,
    )
    if ctx.info_name == RENDER:
        print(render(request, namespace), end="")
        return 0
    with open_backend(
        backend, Connection(host=host, context=context, namespace=namespace)
    ) as engine:
        return engine.launch(request)


def _check_tasks(count: int | None, tasks: str | None, resume: str | None) -> None:
    """Something says how many agents, and one thing alone."""
    if count is not None and tasks is not None:
        raise UsageError("--count and --tasks", "both say how many agents", f"--tasks {tasks}")
    if count is None and tasks is None and resume is None:
        raise UsageError(
            "no --count", "nothing says how many agents", "ravi-launch --count 50, or --tasks FILE"
        )
    if count is not None:
        check_count(count)


def _check_detached(flow: Mapping[str, Any], is_on_kubernetes: bool) -> None:
    """What somebody has to stay for; a cluster sees to all but the removal."""
    flags = {
        "retries": "--retries",
        "timeout_s": "--timeout",
        "max_failures": "--max-failures",
        "is_removing": "--rm",
    }
    for field, flag in flags.items():
        is_seen_to = is_on_kubernetes and field != "is_removing"
        if flow.get(field) is not None and not is_seen_to:
            raise UsageError(
                f"--detach and {flag}", "nobody stays to see to it", f"leave out {flag}"
            )


def _environment(entries: list[str], files: list[str], host: Mapping[str, str]) -> dict[str, str]:
    environment: dict[str, str] = {}
    for path in files:
        environment |= read_env_file(path, host)
    return environment | parse_environment(entries, host)

"""`ravi-launch ps|logs|wait|stop|rm|reap|doctor`: the flags of the commands beside a launch."""

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ravi_agent.errors import UsageError
from ravi_agent.launcher.commands.kubernetes import KUBERNETES, kubernetes_client
from ravi_agent.launcher.planning.values import parse_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of the run.")]
TaskNames = Annotated[
    list[str] | None, typer.Argument(metavar="[TASK]...", help="Only these tasks of it.")
]
ApiUrl = Annotated[
    str | None, typer.Option("--api-url", envvar="RAVI_API_URL", help="Service root.")
]
IsLocal = Annotated[bool, typer.Option("--local", help="Of the local Ravi.")]
Output = Annotated[str, typer.Option("--output", "-o", help="table or json.")]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    for command in (ps, logs, wait, stop, rm, reap, doctor):
        app.command()(command)


@contextmanager
def _engine(ctx: typer.Context) -> "Iterator[tuple[Any, Any]]":
    """The module that knows the runs of the chosen backend, and its engine."""
    if ctx.obj.backend == KUBERNETES:
        with kubernetes_client():
            from ravi_agent.launcher.kubernetes import runs as kubernetes_runs
            from ravi_agent.launcher.kubernetes.api import KubernetesApi

        api = KubernetesApi(context=ctx.obj.context, namespace=ctx.obj.namespace)
        try:
            yield kubernetes_runs, api
        finally:
            api.close()
        return
    from ravi_agent.launcher.docker import runs
    from ravi_agent.launcher.docker.engine import DockerEngine

    engine = DockerEngine(connections=32, host=ctx.obj.host, context=ctx.obj.context)
    try:
        yield runs, engine
    finally:
        engine.close()


def ps(
    ctx: typer.Context,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Only this run.")] = None,
    output: Output = "table",
) -> None:
    """List the agents' containers."""
    with _engine(ctx) as (runs, engine):
        found = runs.find(engine, run, []) if run else runs.find_all(engine)
        runs.show(found, is_json=output == "json")


def logs(
    ctx: typer.Context,
    run: RunName,
    tasks: TaskNames = None,
    is_following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until all have ended.")
    ] = False,
    tail: Annotated[int | None, typer.Option("--tail", min=0, help="Last lines of each.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only the last so long: 90s, 10m, 2h.")
    ] = None,
) -> None:
    """Print what agents have written."""
    since_s = None if since is None else parse_seconds("--since", since)
    with _engine(ctx) as (runs, engine):
        found = runs.find(engine, run, tasks or [])
        runs.print_logs(engine, found, tail=tail, since_s=since_s, is_following=is_following)


def wait(ctx: typer.Context, run: RunName, tasks: TaskNames = None) -> int:
    """Wait until agents have ended: 0 if every one ended with 0, else 1."""
    with _engine(ctx) as (runs, engine):
        return int(runs.wait(engine, run, tasks or []))


def stop(
    ctx: typer.Context,
    run: RunName,
    tasks: TaskNames = None,
    time_s: Annotated[
        int, typer.Option("--time", "-t", min=0, help="Seconds from SIGTERM to SIGKILL.")
    ] = 10,
) -> None:
    """Stop agents."""
    with _engine(ctx) as (runs, engine):
        runs.stop(engine, run, runs.find(engine, run, tasks or []), time_s=time_s)


def rm(
    ctx: typer.Context,
    run: RunName,
    tasks: TaskNames = None,
    is_forced: Annotated[
        bool, typer.Option("--force", "-f", help="Remove running ones too.")
    ] = False,
) -> None:
    """Remove agents' containers. Their identities stay in Ravi."""
    with _engine(ctx) as (runs, engine):
        runs.remove(engine, run, tasks or [], is_forced=is_forced)


def reap(
    ctx: typer.Context,
    prefix: Annotated[
        str, typer.Option("--prefix", help="Only identities whose name begins so.")
    ] = "task-",
    older_than: Annotated[
        str, typer.Option("--older-than", help="Only what is older: 90m, 12h, 7d.")
    ] = "1d",
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    worktrees: Annotated[
        str | None,
        typer.Option("--worktrees", metavar="REPO", help="Those of its removed work trees."),
    ] = None,
    is_forced: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
    is_local: IsLocal = False,
    api_url: ApiUrl = None,
) -> int:
    """Remove ended containers, and delete identities that no container here has."""
    from ravi_agent.launcher.reap import Reaping, reap_leftovers

    reaping = Reaping.from_options(prefix=prefix, older_than=older_than, is_dry_run=is_dry_run)
    environ = _environ(api_url)
    if worktrees:
        from ravi_agent.launcher.worktrees import reap_worktrees

        return reap_worktrees(worktrees, environ, reaping, is_local=is_local, is_forced=is_forced)
    with _engine(ctx) as (runs, engine):
        return reap_leftovers(
            runs.stock(engine), environ, reaping, is_local=is_local, is_forced=is_forced
        )


def doctor(
    ctx: typer.Context,
    image: Annotated[str, typer.Option("--image", help="Image to look at.")] = "ravi-agent-base",
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="Whether so many agents would fit.")
    ] = 50,
    is_local: IsLocal = False,
    api_url: ApiUrl = None,
    output: Output = "table",
) -> int:
    """Say what stands in the way of a run, and how to mend it: 0 if nothing does, else 1."""
    from ravi_agent.launcher.docker.doctor import Patient, examine

    if ctx.obj.backend == KUBERNETES:
        raise UsageError("doctor", "it looks at Docker engines", "kubectl auth can-i create jobs")

    patient = Patient(
        host=ctx.obj.host, context=ctx.obj.context, image=image, count=count, is_local=is_local
    )
    return examine(patient, _environ(api_url), is_json=output == "json")


def _environ(api_url: str | None) -> dict[str, str]:
    environ = dict(os.environ)
    return environ | {"RAVI_API_URL": api_url} if api_url else environ

"""`ravi-launch ps|logs|wait|stop|rm|reap|doctor`: the flags of the commands beside a launch."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ravi_agent.launcher.backend import diagnose, open_backend
from ravi_agent.launcher.model.request import Connection, DoctorTarget, LogOptions
from ravi_agent.launcher.planning.values import parse_seconds

if TYPE_CHECKING:
    from ravi_agent.launcher.backend import Backend

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


def _backend(ctx: typer.Context) -> "Backend":
    """The chosen engine."""
    connection = Connection(host=ctx.obj.host, context=ctx.obj.context, namespace=ctx.obj.namespace)
    return open_backend(ctx.obj.backend, connection)


def ps(
    ctx: typer.Context,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Only this run.")] = None,
    output: Output = "table",
) -> None:
    """List the agents' containers."""
    from ravi_agent.launcher.show.tables import show_agents

    with _backend(ctx) as backend:
        show_agents(backend.agents(run), is_json=output == "json")


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
    options = LogOptions(is_following=is_following, tail=tail, since_s=since_s)
    with _backend(ctx) as backend:
        backend.logs(backend.agents(run, tasks or []), options)


def wait(ctx: typer.Context, run: RunName, tasks: TaskNames = None) -> int:
    """Wait until agents have ended: 0 if every one ended with 0, else 1."""
    with _backend(ctx) as backend:
        return backend.wait(run, tasks or [])


def stop(
    ctx: typer.Context,
    run: RunName,
    tasks: TaskNames = None,
    time_s: Annotated[
        int, typer.Option("--time", "-t", min=0, help="Seconds from SIGTERM to SIGKILL.")
    ] = 10,
) -> None:
    """Stop agents."""
    with _backend(ctx) as backend:
        backend.stop(run, backend.agents(run, tasks or []), grace_s=time_s)


def rm(
    ctx: typer.Context,
    run: RunName,
    tasks: TaskNames = None,
    is_forced: Annotated[
        bool, typer.Option("--force", "-f", help="Remove running ones too.")
    ] = False,
) -> None:
    """Remove agents' containers. Their identities stay in Ravi."""
    with _backend(ctx) as backend:
        removed = backend.remove(run, tasks or [], is_forced=is_forced)
    print(f"removed {removed}", file=sys.stderr)


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
    from ravi_agent.launcher.reap import parse_options, reap_leftovers

    reaping = parse_options(prefix=prefix, older_than=older_than, is_dry_run=is_dry_run)
    environ = _environ(api_url)
    if worktrees:
        from ravi_agent.launcher.worktrees import reap_worktrees

        return reap_worktrees(worktrees, environ, reaping, is_local=is_local, is_forced=is_forced)
    with _backend(ctx) as backend:
        return reap_leftovers(backend, environ, reaping, is_local=is_local, is_forced=is_forced)


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
    from ravi_agent.launcher.show.tables import show_findings

    connection = Connection(host=ctx.obj.host, context=ctx.obj.context, namespace=ctx.obj.namespace)
    target = DoctorTarget(image=image, count=count, is_local=is_local, environ=_environ(api_url))
    findings = list(diagnose(ctx.obj.backend, connection, target))
    return show_findings(findings, is_json=output == "json")


def _environ(api_url: str | None) -> dict[str, str]:
    environ = dict(os.environ)
    return environ | {"RAVI_API_URL": api_url} if api_url else environ

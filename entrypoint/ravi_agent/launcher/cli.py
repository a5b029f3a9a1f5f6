"""`ravi-launch`: the command line, from what was typed to an exit code."""

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ravi_agent.errors import UsageError
from ravi_agent.launcher.plan import (
    Plan,
    check_run_name,
    count_tasks,
    new_run_name,
    parse_environment,
)
from ravi_agent.pid1.failure import leave_with
from ravi_agent.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ravi_agent.launcher.engines.docker import DockerEngine

PROGRAM = "ravi-launch"
DEFAULT_IMAGE = "ravi-agent-base"
EXIT_AGENTS_FAILED = 1
EXIT_INTERRUPTED = 130

# What Typer raises for a wrong command line, whichever click it brings along.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name=PROGRAM,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Console script: 0 if every agent ended with 0, 1 if not, else a code of the README."""
    argv = sys.argv[1:]
    command: list[str] | None = None
    if "--" in argv:
        at = argv.index("--")
        argv, command = argv[:at], argv[at + 1 :]
    sys.exit(_run(argv, command))


def _run(argv: list[str], command: list[str] | None) -> int:
    try:
        code: int | None = app(argv, standalone_mode=False, obj=command)
    except _CommandLineError as exc:
        return leave_with(UsageError("command line", _one_line(exc), f"{PROGRAM} -h"), PROGRAM)
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        return leave_with(exc, PROGRAM)
    return code or 0


def _one_line(exc: Exception) -> str:
    text = " ".join(str(getattr(exc, "message", exc)).split()).rstrip(".")
    param = getattr(exc, "param", None)
    if param is not None:
        text = f"{param.opts[0]}: {text}"
    if text.startswith("No such command"):
        text += " (a command for the agents goes behind --)"
    return text


@app.callback(invoke_without_command=True)
def launch(
    ctx: typer.Context,
    count: Annotated[int | None, typer.Option("--count", "-n", help="How many agents.")] = None,
    image: Annotated[
        str, typer.Option("--image", help="Image to run, FROM ravi-agent-base.")
    ] = DEFAULT_IMAGE,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the run; the same name adopts the same identities."),
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", help="Go on with a run whose launcher has ended.")
    ] = None,
    is_detached: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once all agents run, printing the name.")
    ] = False,
    provision: Annotated[
        str,
        typer.Option(
            "--provision",
            help="container: each makes its identity; host: all are made here, and no key of the"
            " account's enters a container.",
        ),
    ] = "container",
    is_local: Annotated[
        bool, typer.Option("--local", help="Use a local Ravi: no account, identities not real.")
    ] = False,
    api_url: Annotated[
        str | None, typer.Option("--api-url", envvar="RAVI_API_URL", help="Service root.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", help="K=V for every agent, or K for the host's own value."),
    ] = None,
    network: Annotated[str | None, typer.Option("--network", help="Docker network.")] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, help="Containers started at once.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", min=1, help="Containers running at once.")
    ] = None,
    remove: Annotated[bool, typer.Option("--rm", help="Remove the containers at the end.")] = False,
    output: Annotated[
        str, typer.Option("--output", "-o", help="table, or json: one object on standard output.")
    ] = "table",
    is_quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Run many agents, each with a Ravi identity of its own: ravi-launch --count 50 [-- CMD...]."""
    if ctx.invoked_subcommand is not None:
        return 0
    if count is None:
        raise UsageError("no --count", "nothing says how many agents", f"{PROGRAM} --count 50")
    if provision not in {"container", "host"}:
        raise UsageError(
            f"--provision {provision!r}", "choose container or host", "--provision host"
        )
    if resume and name:
        raise UsageError("--resume and --name", "both name the run", f"--resume {resume}")
    if is_detached and remove:
        raise UsageError("--detach and --rm", "nobody stays to remove them", f"{PROGRAM} rm RUN")
    if output not in {"table", "json"}:
        raise UsageError(f"--output {output!r}", "choose table or json", "--output json")
    asked_name = name or resume
    run_name = check_run_name(asked_name) if asked_name else new_run_name()
    environ = dict(os.environ)
    if api_url:
        environ["RAVI_API_URL"] = api_url
    settings = Settings(environ)
    plan = Plan(
        run=run_name,
        image=image,
        tasks=count_tasks(run_name, count, environ.get("RAVI_NAME_PREFIX") or "task-"),
        command=ctx.obj,
        environment=parse_environment(env or [], environ),
        api_url=settings.api_url,
        network=network,
        concurrency=min(concurrency or default_concurrency(), count),
        parallel=parallel,
        is_fresh=asked_name is None,
    )
    from ravi_agent.launcher.foreground import Wishes, run_in_foreground

    wishes = Wishes(
        is_local=is_local,
        is_provisioning_here=provision == "host",
        is_detached=is_detached,
        is_resuming=resume is not None,
        is_removing=remove,
        is_json=output == "json",
        is_quiet=is_quiet,
    )
    return run_in_foreground(plan, environ, wishes)


RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of the run.")]
TaskNames = Annotated[
    list[str] | None, typer.Argument(metavar="[TASK]...", help="Only these tasks of it.")
]


@contextmanager
def _engine() -> "Iterator[DockerEngine]":
    from ravi_agent.launcher.engines.docker import DockerEngine

    engine = DockerEngine(connections=32)
    try:
        yield engine
    finally:
        engine.close()


@app.command()
def ps(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Only this run.")] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="table or json.")] = "table",
) -> None:
    """List the agents' containers."""
    from ravi_agent.launcher import runs

    with _engine() as engine:
        found = runs.find(engine, run, []) if run else engine.containers()
        runs.show(found, is_json=output == "json")


@app.command()
def logs(
    run: RunName,
    tasks: TaskNames = None,
    is_following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until all have ended.")
    ] = False,
    tail: Annotated[int | None, typer.Option("--tail", min=0, help="Last lines of each.")] = None,
    since_s: Annotated[
        int | None, typer.Option("--since", min=0, help="Only the last so many seconds.")
    ] = None,
) -> None:
    """Print what agents have written."""
    from ravi_agent.launcher import runs

    with _engine() as engine:
        found = runs.find(engine, run, tasks or [])
        runs.print_logs(engine, found, tail=tail, since_s=since_s, is_following=is_following)


@app.command()
def wait(run: RunName, tasks: TaskNames = None) -> int:
    """Wait until agents have ended: 0 if every one ended with 0, else 1."""
    from ravi_agent.launcher import runs

    with _engine() as engine:
        return runs.wait(engine, run, tasks or [])


@app.command()
def stop(
    run: RunName,
    tasks: TaskNames = None,
    time_s: Annotated[
        int, typer.Option("--time", "-t", min=0, help="Seconds from SIGTERM to SIGKILL.")
    ] = 10,
) -> None:
    """Stop agents."""
    from ravi_agent.launcher import runs

    with _engine() as engine:
        runs.stop(engine, run, runs.find(engine, run, tasks or []), time_s=time_s)


@app.command()
def rm(
    run: RunName,
    tasks: TaskNames = None,
    is_forced: Annotated[
        bool, typer.Option("--force", "-f", help="Remove running ones too.")
    ] = False,
) -> None:
    """Remove agents' containers. Their identities stay in Ravi."""
    from ravi_agent.launcher import runs

    with _engine() as engine:
        runs.remove(engine, runs.find(engine, run, tasks or []), is_forced=is_forced)


@app.command()
def reap(
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
    is_local: Annotated[bool, typer.Option("--local", help="Of the local Ravi.")] = False,
    api_url: Annotated[
        str | None, typer.Option("--api-url", envvar="RAVI_API_URL", help="Service root.")
    ] = None,
) -> int:
    """Remove ended containers, and delete identities that no container here has."""
    from ravi_agent.launcher.reap import Reaping, reap_leftovers

    environ = dict(os.environ)
    if api_url:
        environ["RAVI_API_URL"] = api_url
    reaping = Reaping.from_options(prefix=prefix, older_than=older_than, is_dry_run=is_dry_run)
    if worktrees:
        from ravi_agent.launcher.worktrees import reap_worktrees

        return reap_worktrees(worktrees, environ, reaping, is_local=is_local, is_forced=is_forced)
    with _engine() as engine:
        return reap_leftovers(engine, environ, reaping, is_local=is_local, is_forced=is_forced)


def default_concurrency() -> int:
    """Starts at once: an engine is busy with four a core, and slower with more."""
    return max(4, 4 * (os.cpu_count() or 1))

"""`ravi-launch`: the command line, from what was typed to an exit code."""

import os
import sys
import time
from typing import Annotated

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
    if output not in {"table", "json"}:
        raise UsageError(f"--output {output!r}", "choose table or json", "--output json")
    run_name = check_run_name(name) if name else new_run_name()
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
        is_fresh=name is None,
    )
    from ravi_agent.launcher.foreground import run_in_foreground

    return run_in_foreground(
        plan,
        environ,
        is_local=is_local,
        is_json=output == "json",
        is_quiet=is_quiet,
        is_removing=remove,
        started_at=time.monotonic(),
    )


def default_concurrency() -> int:
    """Starts at once: an engine is busy with four a core, and slower with more."""
    return max(4, 4 * (os.cpu_count() or 1))

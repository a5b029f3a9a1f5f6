"""`--collect`: agents' files, copied out before their containers are removed."""

import os
import shlex
import shutil
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.docker.calls import SDK_ERRORS, ask, engine_words
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.unpack import TooMuchError, unpack
from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.request import RunRequest

_AT_ONCE = 8


def check_collection(request: RunRequest) -> None:
    """Have a directory to collect into, if anything is to be collected.

    Raises UsageError where that cannot be written, and for a path that is not absolute.
    """
    if not request.collect or request.is_dry_run:
        return
    directory = request.collect_to
    for path in request.collect:
        if not path.startswith("/"):
            raise UsageError(
                f"--collect {path!r}",
                "not an absolute path",
                f"--collect {shlex.quote(f'/workspace/{path}')}",
            )
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as exc:
        why = str(exc.strerror)
        raise UsageError(f"--collect-to {directory}", why, "--collect-to DIR") from exc
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"--collect-to {directory}", "it cannot be written", "--collect-to DIR")


def collect(
    engine: DockerEngine,
    agents: Sequence[Agent],
    paths: Sequence[str],
    directory: str,
    say: Callable[[str], None],
) -> None:
    """Copy each of `paths` out of each container, into DIR/<task>/; what is missing is said."""

    def one(agent: Agent) -> bool:
        target = os.path.join(directory, agent.task.id)
        # Beside it, then renamed: never half of a new one over an old one.
        fresh = os.path.join(directory, f".{agent.task.id}.new")
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            os.mkdir(fresh, 0o700)
            problems = [_copy(engine, agent, path, fresh) for path in paths]
            shutil.rmtree(target, ignore_errors=True)
            os.rename(fresh, target)
        except OSError as exc:
            problems = [str(exc.strerror)]
        for problem in filter(None, problems):
            say(f"{agent.task.id}: not collected: {problem}")
        return not any(problems)

    there = [agent for agent in agents if agent.container]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        good = sum(pool.map(one, there))
    say(f"collected from {good} of {len(agents)} agents into {directory}")


def _copy(engine: DockerEngine, agent: Agent, path: str, directory: str) -> str:
    """Why a path could not be copied as a whole, "" where it was."""
    api, container = engine.client.api, str(agent.container)
    try:
        found = ask(path, lambda: api.get_archive(container, path), fine=(404, 409))
        if not found:
            return f"{path} is not there"
        skipped = unpack(found[0], directory)
    except TooMuchError:
        return f"{path} holds more than is taken of one agent"
    except (EngineError, tarfile.TarError) as exc:
        return f"{path}: {exc}"
    except SDK_ERRORS as exc:
        return f"{path}: {engine_words(exc)}"
    return f"{path}: {skipped} links or devices left out" if skipped else ""

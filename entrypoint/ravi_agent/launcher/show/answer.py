"""What a launch says, and where: the answer on standard output, the rest on standard error."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.bookkeeping import Books, BooksObserver
from ravi_agent.launcher.model.budget import Budget
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.exit_codes import EXIT_AGENTS_FAILED
from ravi_agent.launcher.model.request import RunRequest
from ravi_agent.launcher.planning.plan import Plan
from ravi_agent.launcher.show.for_terminal import VisibleObserver, plain_text, say
from ravi_agent.launcher.show.json_lines import JsonLines
from ravi_agent.launcher.show.listing import table
from ravi_agent.launcher.show.live import LiveProgress, is_plain
from ravi_agent.launcher.show.log_files import LogFiles
from ravi_agent.launcher.show.prefix import Prefix
from ravi_agent.launcher.show.presenter import Presenter
from ravi_agent.launcher.show.progress import PlainProgress
from ravi_agent.launcher.show.report import (
    COLUMNS,
    failures,
    report,
    rows,
    summary_line,
    to_json,
)
from ravi_agent.launcher.show.streams import own_stream
from ravi_agent.launcher.show.tables import print_table

if TYPE_CHECKING:
    from ravi_agent.launcher.model.observer import Observer


def exit_code_of(agents: Sequence[Agent], *, is_detached: bool) -> int:
    """0 if every agent ended with 0, or runs where the launcher does not wait for the end."""
    return EXIT_AGENTS_FAILED if _unsuccessful(agents, is_detached=is_detached) else 0


def _unsuccessful(agents: Sequence[Agent], *, is_detached: bool) -> Sequence[Agent]:
    good = {State.RUNNING} if is_detached else set()
    return [agent for agent in agents if not (agent.is_success or agent.state in good)]


class Answer:
    """What is said of one run; its fleet tells `reporter` what happens."""

    def __init__(self, plan: Plan, request: RunRequest, *, backend: str) -> None:
        """Raises UsageError where the log directory cannot be written."""
        self._plan = plan
        self._request = request
        self._backend = backend
        view = request.view
        self._out = own_stream(sys.stdout, "standard output")
        self._err = own_stream(sys.stderr, "standard error")
        self._lines = JsonLines(self._out) if view.output == "jsonl" else None
        agents_out = self._out
        if view.output == "json" or request.is_detached:
            agents_out = self._err
        shown = None if self._lines else agents_out
        self._live: LiveProgress | None = None
        observers: list[Observer] = []
        if not view.shows_output:
            shown = None
        is_live = self._err.isatty() and not view.is_quiet and not is_plain(request.environ)
        prefix = Prefix(
            has_name=view.has_prefix,
            has_time=view.has_times,
            has_colour=is_live and not request.environ.get("NO_COLOR"),
        )
        if is_live:
            self._live = LiveProgress(plan.run, len(plan.tasks), self._err, shown, prefix)
            observers.append(VisibleObserver(self._live))
        else:
            shown = shown and plain_text(shown)
            plain = PlainProgress(plain_text(self._err), shown, prefix, is_quiet=view.is_quiet)
            observers.append(plain)
        if self._lines:
            observers.append(self._lines)
        if view.log_dir and not request.is_dry_run:
            observers.append(LogFiles(view.log_dir))
        spec = request.spec
        if not spec.is_local and not spec.is_provisioning_here and not request.is_dry_run:
            books = Books(request.environ, plan.api_url, plan.run)
            observers.append(BooksObserver(books, is_fresh=plan.is_fresh))
        self.reporter = Presenter(observers)

    def step(self, text: str) -> None:
        """Something about to happen, before any agent is started."""
        if not self._request.view.is_quiet:
            say(text, self._err)

    def dry_run(self, budget: Budget, there: Mapping[int, ContainerStatus]) -> None:
        """What would be done, instead of doing it."""
        tasks = [
            {
                "task": task.id,
                "index": task.index,
                "container": "there" if task.index in there else "start",
                "identity": task.identity_name,
                "action": budget.action(task.identity_name),
                "image": task.image,
                "command": None if task.command is None else list(task.command),
            }
            for task in self._plan.tasks
        ]
        if self._request.view.output == "table":
            columns = ("task", "container", "identity", "action", "image")
            print_table(columns, [[str(task[name]) for name in columns] for task in tasks])
            return
        summary = {"requested": len(tasks), "create": budget.created, "adopt": budget.adopted}
        plan = {"run": self._plan.run, "agents": tasks, "summary": summary}
        print(
            json.dumps(plan, indent=2 if self._request.view.output == "json" else None), flush=True
        )

    def end(self, agents: Sequence[Agent], wall_s: float, *, limit_s: float | None = None) -> None:
        """The run is over, or goes on by itself; `wall_s` in seconds since its beginning.

        limit_s: how long a terminal or pipe that takes nothing is waited for; None for ever.
        """
        self.reporter.call(self._end_live)
        self.reporter.call(lambda: self._show_end(agents, wall_s))
        self.reporter.call(lambda: self._show_failures(agents, wall_s))
        self.reporter.close(limit_s)

    def _end_live(self) -> None:
        if self._live:
            self._live.end()

    def _show_end(self, agents: Sequence[Agent], wall_s: float) -> None:
        result = report(self._plan, agents, wall_s, self._backend)
        if self._lines:
            self._lines.end(result)
        elif self._request.view.output == "json":
            self._out.write(f"{to_json(result)}\n")
        elif self._request.is_detached:
            self._out.write(f"{self._plan.run}\n")
        else:
            plain_text(self._out).write(table(COLUMNS, rows(agents)))
        self._out.flush()

    def _show_failures(self, agents: Sequence[Agent], wall_s: float) -> None:
        is_detached = self._request.is_detached
        lines = failures(_unsuccessful(agents, is_detached=is_detached))
        if not is_detached:
            result = report(self._plan, agents, wall_s, self._backend)
            lines.append(summary_line(result))
        if not self._plan.flow.is_removing and any(agent.container for agent in agents):
            what, flag = "containers stay", ""
            if self._backend != "docker":
                what, flag = "the Job stays", f" --backend {self._backend}"
            lines.append(f"{what}: ravi-launch{flag} rm {self._plan.run}")
        if lines:
            say("\n".join(lines), self._err)

"""What a launch says, and where: the answer on standard output, the rest on standard error."""

import json
import sys
from collections.abc import Mapping, Sequence

from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.budget import Budget
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.exit_codes import EXIT_AGENTS_FAILED
from ravi_agent.launcher.model.request import RunRequest
from ravi_agent.launcher.planning.plan import Plan
from ravi_agent.launcher.show.json_lines import JsonLines
from ravi_agent.launcher.show.log_files import LogFiles
from ravi_agent.launcher.show.observers import Observers
from ravi_agent.launcher.show.progress import LiveProgress, PlainProgress
from ravi_agent.launcher.show.report import (
    COLUMNS,
    failures,
    report,
    rows,
    summary_line,
    to_json,
)
from ravi_agent.launcher.show.tables import print_table


def exit_code_of(agents: Sequence[Agent], *, is_detached: bool) -> int:
    """0 if every agent ended with 0, or runs where the launcher does not wait for the end."""
    good = {State.RUNNING} if is_detached else set()
    is_good = all(agent.is_success or agent.state in good for agent in agents)
    return 0 if is_good else EXIT_AGENTS_FAILED


class Answer:
    """A context while the run goes on; `end` says what became of it."""

    def __init__(self, plan: Plan, request: RunRequest, *, backend: str) -> None:
        """Raises UsageError where the log directory cannot be written."""
        self._plan = plan
        self._request = request
        self._backend = backend
        view = request.view
        self._lines = JsonLines() if view.output == "jsonl" else None
        agents_out = sys.stdout
        if view.output == "json" or request.is_detached:
            agents_out = sys.stderr
        shown = None if self._lines else agents_out
        self._progress: LiveProgress | PlainProgress = PlainProgress(shown, is_quiet=view.is_quiet)
        if sys.stderr.isatty() and not view.is_quiet:
            self._progress = LiveProgress(len(plan.tasks), shown)
        others = [self._lines] if self._lines else []
        logs = [LogFiles(view.log_dir)] if view.log_dir and not request.is_dry_run else []
        self.observer = Observers([self._progress, *others, *logs])

    def __enter__(self) -> "Answer":
        self._progress.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.__exit__()

    def step(self, text: str) -> None:
        """Something about to happen, before any agent is started."""
        if not self._request.view.is_quiet:
            print(text, file=sys.stderr, flush=True)

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

    def end(self, agents: Sequence[Agent], wall_s: float) -> None:
        """The run is over, or goes on by itself; `wall_s` in seconds since its beginning."""
        result = report(self._plan, agents, wall_s, self._backend)
        if self._lines:
            self._lines.end(result)
        elif self._request.view.output == "json":
            print(to_json(result), flush=True)
        elif self._request.is_detached:
            print(self._plan.run, flush=True)
        else:
            print_table(COLUMNS, rows(agents))
        if not self._request.is_detached:
            for line in failures(agents):
                print(line, file=sys.stderr)
            print(summary_line(result), file=sys.stderr)
        if not self._plan.flow.is_removing and any(agent.container for agent in agents):
            what, flag = "containers stay", ""
            if self._backend != "docker":
                what, flag = "the Job stays", f" --backend {self._backend}"
            print(f"{what}: ravi-launch{flag} rm {self._plan.run}", file=sys.stderr)

"""What a launch says, and where: the answer on standard output, the rest on standard error."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.budget import Budget
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.planning.plan import Plan
from ravi_agent.launcher.show.json_lines import JsonLines
from ravi_agent.launcher.show.log_files import LogFiles
from ravi_agent.launcher.show.observers import Observers
from ravi_agent.launcher.show.progress import LiveProgress, PlainProgress, print_table
from ravi_agent.launcher.show.report import (
    COLUMNS,
    failures,
    report,
    rows,
    summary_line,
    to_json,
)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Where a run is to be carried out, and how it is shown."""

    host: str | None
    context: str | None
    is_detached: bool
    is_dry_run: bool
    max_identities: int | None
    output: str
    log_dir: str | None
    is_quiet: bool
    backend: str = "docker"


class Answer:
    """A context while the run goes on; `end` says what became of it."""

    def __init__(self, plan: Plan, wishes: Wishes) -> None:
        """Raises UsageError where the log directory cannot be written."""
        self._plan = plan
        self._wishes = wishes
        self._lines = JsonLines() if wishes.output == "jsonl" else None
        agents_out = sys.stdout
        if wishes.output == "json" or wishes.is_detached:
            agents_out = sys.stderr
        shown = None if self._lines else agents_out
        self._progress: LiveProgress | PlainProgress = PlainProgress(
            shown, is_quiet=wishes.is_quiet
        )
        if sys.stderr.isatty() and not wishes.is_quiet:
            self._progress = LiveProgress(len(plan.tasks), shown)
        others = [self._lines] if self._lines else []
        logs = [LogFiles(wishes.log_dir)] if wishes.log_dir and not wishes.is_dry_run else []
        self.observer = Observers([self._progress, *others, *logs])

    def __enter__(self) -> "Answer":
        self._progress.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.__exit__()

    def step(self, text: str) -> None:
        """Something about to happen, before any agent is started."""
        if not self._wishes.is_quiet:
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
        if self._wishes.output == "table":
            columns = ("task", "container", "identity", "action", "image")
            print_table(columns, [[str(task[name]) for name in columns] for task in tasks])
            return
        summary = {"requested": len(tasks), "create": budget.created, "adopt": budget.adopted}
        plan = {"run": self._plan.run, "agents": tasks, "summary": summary}
        print(json.dumps(plan, indent=2 if self._wishes.output == "json" else None), flush=True)

    def end(self, agents: Sequence[Agent], wall_s: float) -> None:
        """The run is over, or goes on by itself; `wall_s` in seconds since its beginning."""
        result = report(self._plan, agents, wall_s, self._wishes.backend)
        if self._lines:
            self._lines.end(result)
        elif self._wishes.output == "json":
            print(to_json(result), flush=True)
        elif self._wishes.is_detached:
            print(self._plan.run, flush=True)
        else:
            print_table(COLUMNS, rows(agents))
        if not self._wishes.is_detached:
            for line in failures(agents):
                print(line, file=sys.stderr)
            print(summary_line(result), file=sys.stderr)
        if not self._plan.flow.is_removing and any(agent.container for agent in agents):
            what, flag = "containers stay", ""
            if self._wishes.backend != "docker":
                what, flag = "the Job stays", f" --backend {self._wishes.backend}"
            print(f"{what}: ravi-launch{flag} rm {self._plan.run}", file=sys.stderr)

"""What a run is, which service it uses, and what its failures do: for `run` and `render`."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import DOCKER, KUBERNETES
from ravi_agent.launcher.commands.flags import Completion, Group, flag
from ravi_agent.launcher.model.request import ViewOptions
from ravi_agent.launcher.planning.plan import check_count
from ravi_agent.launcher.planning.spec import (
    parse_environment,
    parse_labels,
    read_env_file,
)
from ravi_agent.launcher.planning.tasks_file import Row, read_tasks
from ravi_agent.launcher.planning.values import parse_seconds
from ravi_agent.settings import VARIABLES

DEFAULT_IMAGE = "ravi-agent-base"
DEFAULT_PREFIX = VARIABLES["RAVI_NAME_PREFIX"][0]
ENGINES = (DOCKER, KUBERNETES)
_TEMPLATES = "{index} {count} {id} {run} are replaced."


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """The agents of a run and what each of them gets."""

    count: int | None = flag(
        "--count", metavar="N", group=Group.RUN, help="Number of agents to run."
    )
    tasks: str | None = flag(
        "--tasks",
        metavar="FILE",
        group=Group.RUN,
        completion=Completion.FILE,
        help="Run one agent for each row of FILE: JSON Lines, CSV or IDs; - reads standard input.",
    )
    image: str = flag(
        "--image",
        default=DEFAULT_IMAGE,
        group=Group.RUN,
        help="Image to run, built FROM ravi-agent-base.",
        fixed_on=ENGINES,
    )
    name: str | None = flag(
        "--name",
        metavar="RUN",
        group=Group.RUN,
        default_text="a new name",
        help="Name of the run. The same name adopts the same identities.",
    )
    parallel: int | None = flag(
        "--parallel",
        metavar="N",
        minimum=1,
        group=Group.RUN,
        default_text="all",
        help="Number of agents that run at the same time.",
        fixed_on=(KUBERNETES,),
    )
    env: tuple[str, ...] = flag(
        "--env",
        "-e",
        default=(),
        metavar="KEY[=VALUE]",
        group=Group.CONTAINER,
        help=f"Set a variable; KEY alone takes the host's value. {_TEMPLATES}",
        fixed_on=ENGINES,
    )
    env_file: tuple[str, ...] = flag(
        "--env-file",
        default=(),
        metavar="FILE",
        group=Group.CONTAINER,
        completion=Completion.FILE,
        help="Read variables from a file, one KEY[=VALUE] per line.",
        fixed_on=ENGINES,
    )
    label: tuple[str, ...] = flag(
        "--label",
        "-l",
        default=(),
        metavar="KEY[=VALUE]",
        group=Group.CONTAINER,
        help=f"Set a label. {_TEMPLATES}",
        fixed_on=ENGINES,
    )

    def check(self, resume: str | None = None) -> None:
        """Raises UsageError unless exactly one thing says how many agents there are."""
        if self.count is not None and self.tasks is not None:
            raise UsageError(
                "--count and --tasks",
                "both say how many agents",
                f"--tasks {shlex.quote(self.tasks)}",
            )
        if not self.has_tasks and resume is None:
            raise UsageError(
                "no --count",
                "nothing says how many agents",
                "ravi-launch --count 50, or --tasks FILE",
            )
        if self.count is not None:
            check_count(self.count)

    @property
    def has_tasks(self) -> bool:
        return self.count is not None or self.tasks is not None

    def rows(self) -> tuple[Row, ...] | None:
        """The rows of the tasks file. Raises UsageError."""
        return None if self.tasks is None else tuple(read_tasks(self.tasks))

    def environment(self, host: Mapping[str, str]) -> dict[str, str]:
        """The agents' variables; `host` has the values of those named alone. Raises UsageError."""
        environment: dict[str, str] = {}
        for path in self.env_file:
            environment |= read_env_file(path, host)
        return environment | parse_environment(self.env, host)

    def labels(self) -> dict[str, str]:
        """Raises UsageError."""
        return parse_labels(self.label)


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """Which Ravi service."""

    api_url: str | None = flag(
        "--api-url",
        metavar="URL",
        group=Group.IDENTITIES,
        default_text="https://ravi.id",
        variable="RAVI_API_URL",
        help="Root of the Ravi service.",
        fixed_on=ENGINES,
    )

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The host's variables, with what the flag says instead."""
        chosen = {"RAVI_API_URL": self.api_url} if self.api_url else {}
        return {**environ, **chosen}


@dataclass(frozen=True, kw_only=True)
class FailureOptions:
    """What happens to agents that fail or take too long."""

    retries: int | None = flag(
        "--retries",
        metavar="N",
        minimum=0,
        group=Group.FAILURE,
        default_text="0",
        help="Start an agent that failed up to N more times.",
        fixed_on=(KUBERNETES,),
    )
    timeout: str | None = flag(
        "--timeout",
        metavar="DURATION",
        group=Group.FAILURE,
        default_text="none",
        help="Stop an agent that still runs after this long: 90s, 30m, 2h.",
        fixed_on=(KUBERNETES,),
    )
    max_failures: int | None = flag(
        "--max-failures",
        metavar="N",
        minimum=0,
        group=Group.FAILURE,
        default_text="no limit",
        help="Stop the run when more than N agents have failed.",
        fixed_on=(KUBERNETES,),
    )
    is_fail_fast: bool = flag(
        "--fail-fast",
        default=False,
        group=Group.FAILURE,
        help="Stop the run when one agent has failed: --max-failures 0.",
        fixed_on=(KUBERNETES,),
    )

    def check(self) -> None:
        """Raises UsageError."""
        if self.timeout is not None and not parse_seconds("--timeout", self.timeout):
            raise UsageError(
                f"--timeout {self.timeout}", "no agent ends in no time", "--timeout 30m"
            )
        if self.is_fail_fast and self.max_failures is not None:
            raise UsageError(
                "--fail-fast and --max-failures",
                "--fail-fast means --max-failures 0",
                f"--max-failures {self.max_failures}",
            )

    def flow(self) -> dict[str, int | None]:
        """The fields of `Flow`, None where the command line does not say. Raises UsageError."""
        return {
            "retries": self.retries,
            "timeout_s": None if self.timeout is None else parse_seconds("--timeout", self.timeout),
            "max_failures": 0 if self.is_fail_fast else self.max_failures,
        }


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How a run is shown."""

    output: str = flag(
        "--output",
        "-o",
        default="table",
        choices=("table", "json", "jsonl"),
        group=Group.OUTPUT,
        help="Format of the result: json is one object at the end, jsonl one for each event.",
    )
    log_dir: str | None = flag(
        "--log-dir",
        metavar="DIR",
        group=Group.OUTPUT,
        completion=Completion.DIRECTORY,
        help="Write the output of each agent to a file in DIR.",
    )
    collect: tuple[str, ...] = flag(
        "--collect",
        default=(),
        metavar="PATH",
        group=Group.OUTPUT,
        help="At the end, copy PATH out of each container, to DIR/<id>/.",
        only_on=DOCKER,
        why="the files of a pod are gone with it; have the agents upload them, or mount a volume",
    )
    collect_to: str = flag(
        "--collect-to",
        default="collected",
        metavar="DIR",
        group=Group.OUTPUT,
        completion=Completion.DIRECTORY,
        help="Where --collect copies to.",
        only_on=DOCKER,
        why="it belongs to --collect",
    )
    is_quiet: bool = flag(
        "--quiet", "-q", default=False, group=Group.OUTPUT, help="Show no progress."
    )

    is_output_hidden: bool = flag(
        "--no-logs", default=False, group=Group.OUTPUT, help="Do not show the output of agents."
    )
    is_prefix_hidden: bool = flag(
        "--no-log-prefix",
        default=False,
        group=Group.OUTPUT,
        help="Do not print the name of the task before each line of output.",
    )
    has_times: bool = flag(
        "--timestamps",
        default=False,
        group=Group.OUTPUT,
        help="Print the time before each line of output.",
    )

    def view(self) -> ViewOptions:
        return ViewOptions(
            output=self.output,
            log_dir=self.log_dir,
            is_quiet=self.is_quiet,
            shows_output=not self.is_output_hidden,
            has_prefix=not self.is_prefix_hidden,
            has_times=self.has_times,
        )

"""`ravi-launch run`: run many agents, each with a Ravi identity of its own."""

from dataclasses import dataclass, field

from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import DOCKER, KUBERNETES
from ravi_agent.launcher.commands.container_options import (
    ContainerFlags,
    DockerFlags,
    container_options,
)
from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command, Completion, Group, declared, flag
from ravi_agent.launcher.commands.identity_options import IdentityOptions
from ravi_agent.launcher.commands.kubernetes_options import KubernetesOptions
from ravi_agent.launcher.commands.local_options import StartLocalOptions
from ravi_agent.launcher.commands.passed_flags import PassedFlags
from ravi_agent.launcher.commands.run_options import (
    AgentOptions,
    FailureOptions,
    OutputOptions,
    ServiceOptions,
)
from ravi_agent.launcher.model.leases import is_pool_word
from ravi_agent.launcher.model.request import RunRequest
from ravi_agent.launcher.planning.plan import check_run_name, new_run_name
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.launcher.planning.values import parse_seconds
from ravi_agent.settings import Settings, value_of


@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """How the launcher starts a run, and how long it stays with it."""

    resume: str | None = flag(
        "--resume",
        metavar="RUN",
        group=Group.RUN,
        completion=Completion.RUN,
        help="Continue a run whose launcher has ended.",
    )
    is_taking_over: bool = flag(
        "--take-over",
        default=False,
        group=Group.RUN,
        help="With --resume: take the run from a launcher that has died on another host.",
        only_on=DOCKER,
        why="a Job needs no launcher",
    )
    concurrency: int | None = flag(
        "--concurrency",
        metavar="N",
        minimum=1,
        group=Group.RUN,
        default_text="measured",
        help="Number of containers to start at the same time.",
        only_on=DOCKER,
        why="the cluster starts the agents",
    )
    stagger: str | None = flag(
        "--stagger",
        metavar="DURATION",
        group=Group.RUN,
        default_text="none",
        help="Time between two starts, more or less by half of it at random: 2s.",
        only_on=DOCKER,
        why="the cluster starts the agents",
    )
    is_detached: bool = flag(
        "--detach",
        "-d",
        default=False,
        group=Group.RUN,
        help="Print the name of the run and exit once all agents run.",
    )
    is_hangup_ignored: bool = flag(
        "--ignore-hangup",
        default=False,
        group=Group.RUN,
        help="Continue when the terminal is closed, instead of stopping the agents.",
    )
    is_removing: bool = flag(
        "--rm", default=False, group=Group.RUN, help="Remove the containers when the run ends."
    )
    is_dry_run: bool = flag(
        "--dry-run",
        default=False,
        group=Group.RUN,
        help="Print what the run would do, and do nothing.",
        fixed_on=(KUBERNETES,),
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """All options of a run; `render` has some of them and leaves the rest at their defaults."""

    agents: AgentOptions = field(default_factory=AgentOptions)
    start: StartOptions = field(default_factory=StartOptions)
    identities: IdentityOptions = field(default_factory=IdentityOptions)
    local: StartLocalOptions = field(default_factory=StartLocalOptions)
    service: ServiceOptions = field(default_factory=ServiceOptions)
    failure: FailureOptions = field(default_factory=FailureOptions)
    container: ContainerFlags = field(default_factory=ContainerFlags)
    docker: DockerFlags = field(default_factory=DockerFlags)
    passed: PassedFlags = field(default_factory=PassedFlags)
    kubernetes: KubernetesOptions = field(default_factory=KubernetesOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)

    def request(self, call: Call) -> RunRequest:
        """The run to carry out. Raises UsageError for the first option that is wrong."""
        self._check(call)
        start = self.start
        environ = self.local.environ(self.service.environ(call.environ))
        flow = {
            "concurrency": start.concurrency,
            "parallel": self.agents.parallel,
            "stagger_s": (parse_seconds("--stagger", start.stagger) if start.stagger else None),
            "is_removing": start.is_removing or None,
            **self.failure.flow(),
        }
        name = start.resume or self.agents.name
        flag_name = "--resume" if start.resume else "--name"
        return RunRequest(
            run=check_run_name(flag_name, name or new_run_name()),
            spec=self._spec(environ, call.command),
            flow={one: value for one, value in flow.items() if value is not None},
            is_new=name is None,
            is_resuming=start.resume is not None,
            has_tasks=self.agents.has_tasks,
            environ=environ,
            view=self.output.view(),
            job=self.kubernetes.job(),
            is_detached=start.is_detached,
            ignores_hangup=start.is_hangup_ignored,
            is_taking_over=start.is_taking_over,
            is_dry_run=start.is_dry_run,
            max_identities=self.identities.max_identities,
            collect=self.output.collect,
            collect_to=self.output.collect_to,
            confirm_above=self.identities.ask_above(environ),
            is_confirmed=self.identities.is_confirmed,
        )

    def _spec(self, environ: dict[str, str], command: tuple[str, ...] | None) -> RunSpec:
        return RunSpec(
            image=self.agents.image,
            count=self.agents.count,
            rows=self.agents.rows(),
            command=command,
            environment=self.agents.environment(environ),
            labels=self.agents.labels(),
            volumes=self.docker.volume,
            workspace_dir=self.docker.workspace_dir,
            name_prefix=value_of(environ, "RAVI_NAME_PREFIX"),
            api_url=Settings(environ).api_url,
            is_local=self.local.is_local,
            is_provisioning_here=self.identities.is_on_host(self.engine.backend),
            pool=self.identities.pool,
            pool_size=self.identities.pool_size,
            container=container_options(self.container, self.docker, self.passed),
        )

    def _check(self, call: Call) -> None:
        self.agents.check(self.start.resume)
        if self.start.resume:
            self._check_resumed(self.start.resume, call)
        elif self.start.is_taking_over:
            raise UsageError(
                "--take-over", "a run that begins is nobody else's", "--resume RUN --take-over"
            )
        self.identities.check(self.engine.backend)
        self.local.check(self.service)
        if self.identities.pool and self.local.is_local:
            raise UsageError(
                "--pool and --local", "a local Ravi's identities cost nothing", "leave out --pool"
            )
        if self.agents.name and is_pool_word(self.agents.name):
            raise UsageError(
                f"--name {self.agents.name}",
                "identities of pools have names like those of such a run",
                f"--name run-{self.agents.name}",
            )
        self.failure.check()
        if self.start.is_detached:
            self._check_detached(call)

    def _check_resumed(self, run: str, call: Call) -> None:
        """A run keeps what it was started with: the engine has the record of it."""
        if self.agents.name:
            raise UsageError("--resume and --name", "both name the run", f"--resume {run}")
        backend = self.engine.backend
        if backend == DOCKER and self.agents.has_tasks:
            return  # the whole command line again, which is compared with the record
        for one in declared(RunOptions):
            if backend in one.parameter.fixed_on and one.parameter.name in call.given:
                raise UsageError(
                    f"--resume and {one.parameter.name}",
                    "the run keeps what it was started with",
                    f"leave out {one.parameter.name}",
                )
        if call.command is not None:
            raise UsageError(
                f"--resume {run}", "the run has a command already", f"ravi-launch --resume {run}"
            )

    def _check_detached(self, call: Call) -> None:
        """What the launcher has to stay for; a cluster does all but the removal."""
        flags = {"--rm", "--delete-identities", "--collect"}
        if self.engine.backend == DOCKER:
            flags |= {"--retries", "--max-failures", "--fail-fast"}
        for one in sorted(flags & call.given):
            raise UsageError(
                f"--detach and {one}", "the launcher does not stay to do it", f"leave out {one}"
            )


def run(options: RunOptions, call: Call) -> int:
    """0 if every agent succeeded, else 1; detached, 0 if every agent runs or has succeeded."""
    request = options.request(call)
    with options.engine.open() as backend:
        code = backend.launch(request)
    if options.identities.is_deleting and not request.is_dry_run:
        from ravi_agent.launcher.identities import delete_of_run  # it calls the service

        is_local = options.local.is_local
        return delete_of_run(request.run, request.environ, is_local=is_local) or code
    return code


COMMAND = Command(
    name="run",
    summary="Run many agents, each with its own Ravi identity",
    options=RunOptions,
    execute=run,
    has_command=True,
)

"""What a command asks of an engine, in types that no engine has to be loaded for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.spec import RunSpec


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where an engine is. None leaves a choice to its own client's configuration.

    host: a Docker engine's address. context: of Docker, or of the kubeconfig. namespace: of
    Kubernetes. Raises UsageError where two of them name the engine.
    """

    host: str | None = None
    context: str | None = None
    namespace: str | None = None

    def __post_init__(self) -> None:
        if self.host and self.context:
            raise UsageError("--host and --context", "both name the engine", f"--host {self.host}")


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How a run is shown. output: `table`, `json` or `jsonl`. log_dir: a file per agent there.

    shows_output: agents' output too, each line with its task's name (has_prefix) and its time
    (has_times) in front.
    """

    output: str = "table"
    log_dir: str | None = None
    is_quiet: bool = False
    shows_output: bool = True
    has_prefix: bool = True
    has_times: bool = False


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What only a run on Kubernetes has; None leaves a choice to the cluster.

    secret: an existing Secret that has the key as `management_key`; None creates one.
    successes: agents that are enough for the run to succeed. deadline_s: seconds for the whole
    run. ttl_s: seconds the Job stays after its end. tolerations: as a pod has them.
    topology_spread: labels of nodes over which pods spread evenly. patch: a file that is merged
    onto the pod template.
    """

    secret: str | None = None
    init_image: str | None = None
    successes: int | None = None
    deadline_s: int | None = None
    ttl_s: int | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, str]] = ()
    service_account: str | None = None
    pull_secrets: Sequence[str] = ()
    priority_class: str | None = None
    topology_spread: Sequence[str] = ()
    patch: str | None = None


@dataclass(frozen=True, kw_only=True)
class InjectionOptions:
    """What an admission policy adds to pods.

    version: of the API that has MutatingAdmissionPolicy. namespace: the only one whose pods are
    changed, None for all. image: of the init container. secret: has the management key.
    has_env_files: the containers get their variables from the workspace.
    """

    version: str
    namespace: str | None
    image: str
    secret: str
    has_env_files: bool


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """One run to carry out, or to go on with.

    flow: the fields of `Flow` that the command line sets, by name. is_new: nobody chose the name.
    has_tasks: the command line says who the agents are; a resumed run may leave that, and all
    else, to its record. environ: the host's variables, with what flags say instead.
    ignores_hangup: go on when the terminal is closed, instead of stopping the agents.
    collect: paths in each container to copy to collect_to/<task>/ at the end.
    confirm_above: identities that may be created without asking. is_confirmed: any number may.
    is_taking_over: from a launcher of another host, of which nobody here can tell whether it runs.
    """

    run: str
    spec: RunSpec
    flow: Mapping[str, int]
    is_new: bool
    is_resuming: bool
    has_tasks: bool
    environ: Mapping[str, str]
    view: ViewOptions = field(default_factory=ViewOptions)
    job: JobOptions = field(default_factory=JobOptions)
    is_detached: bool = False
    is_dry_run: bool = False
    max_identities: int | None = None
    ignores_hangup: bool = False
    collect: Sequence[str] = ()
    collect_to: str = ""
    confirm_above: int = 0
    is_confirmed: bool = False
    is_taking_over: bool = False


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """What `logs` prints. tail: last lines of each agent. since_s: only the last seconds."""

    is_following: bool = False
    tail: int | None = None
    since_s: int | None = None


@dataclass(frozen=True, kw_only=True)
class DoctorTarget:
    """The run that `doctor` checks for. secret: on Kubernetes, an existing one to use."""

    image: str
    count: int
    is_local: bool
    environ: Mapping[str, str]
    secret: str | None = None

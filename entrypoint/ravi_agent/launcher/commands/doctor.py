"""`ravi-launch doctor`: check whether a run would succeed."""

from dataclasses import dataclass, field

from ravi_agent.launcher.backend import DOCKER, KUBERNETES, diagnose
from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command, Group, flag, list_format
from ravi_agent.launcher.commands.local_options import LocalPortOptions
from ravi_agent.launcher.commands.run_options import DEFAULT_IMAGE, ServiceOptions
from ravi_agent.launcher.model.request import DoctorTarget


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """The run to check for, and how the findings are shown."""

    image: str = flag("--image", default=DEFAULT_IMAGE, group=Group.RUN, help="Image to check.")
    count: int = flag(
        "--count",
        default=50,
        metavar="N",
        minimum=1,
        group=Group.RUN,
        help="Number of agents to check for.",
        only_on=DOCKER,
        why="how many pods fit is up to the nodes",
    )
    secret: str | None = flag(
        "--secret",
        metavar="NAME",
        group=Group.KUBERNETES,
        help="Secret that a run would read the management key from.",
        only_on=KUBERNETES,
    )
    local: LocalPortOptions = field(default_factory=LocalPortOptions)
    service: ServiceOptions = field(default_factory=ServiceOptions)
    output: str = list_format("Format of the findings.")
    engine: EngineOptions = field(default_factory=EngineOptions)


def doctor(options: DoctorOptions, call: Call) -> int:
    """Print one row for each check: 0 if nothing prevents a run, else 1."""
    options.local.check(options.service)
    target = DoctorTarget(
        image=options.image,
        count=options.count,
        is_local=options.local.is_local,
        secret=options.secret,
        environ=options.local.environ(options.service.environ(call.environ)),
    )
    from ravi_agent.launcher.show.tables import show_findings  # it loads rich

    findings = list(diagnose(options.engine.backend, options.engine.connection(), target))
    return show_findings(findings, is_json=options.output == "json")


COMMAND = Command(
    name="doctor",
    summary="Check whether a run would succeed, and how to fix what prevents it",
    options=DoctorOptions,
    execute=doctor,
)

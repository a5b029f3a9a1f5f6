"""Settings of the Job and the pods of a run on Kubernetes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import KUBERNETES
from ravi_agent.launcher.commands.flags import Completion, Group, flag
from ravi_agent.launcher.commands.run_options import ENGINES
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.values import parse_seconds

_TOLERATION = re.compile(r"([^=:]+)(=([^:]*))?(:(NoSchedule|PreferNoSchedule|NoExecute))?")


@dataclass(frozen=True, kw_only=True)
class KubernetesOptions:
    """Settings of the Job and its pods."""

    secret: str | None = flag(
        "--secret",
        metavar="NAME",
        group=Group.KUBERNETES,
        default_text="a new Secret",
        help="Secret that has the management key as management_key.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    init_image: str | None = flag(
        "--init-image",
        metavar="IMAGE",
        group=Group.KUBERNETES,
        default_text="ravi-init",
        help="Image of the init container.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    service_account: str | None = flag(
        "--service-account",
        metavar="NAME",
        group=Group.KUBERNETES,
        help="Service account of the pods.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    node_selector: tuple[str, ...] = flag(
        "--node-selector",
        default=(),
        metavar="KEY=VALUE",
        group=Group.KUBERNETES,
        help="Run only on nodes with this label.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    toleration: tuple[str, ...] = flag(
        "--toleration",
        default=(),
        metavar="KEY[=VALUE][:EFFECT]",
        group=Group.KUBERNETES,
        help="Tolerate this taint of a node.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    pull_secret: tuple[str, ...] = flag(
        "--pull-secret",
        default=(),
        metavar="NAME",
        group=Group.KUBERNETES,
        help="Secret to pull the images with.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    priority_class: str | None = flag(
        "--priority-class",
        metavar="NAME",
        group=Group.KUBERNETES,
        help="Priority class of the pods.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    topology_spread: tuple[str, ...] = flag(
        "--topology-spread",
        default=(),
        metavar="KEY",
        group=Group.KUBERNETES,
        help="Spread the pods evenly over values of this node label.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    patch: str | None = flag(
        "--patch",
        metavar="FILE",
        group=Group.KUBERNETES,
        help="Strategic merge patch for the pod template, in YAML or JSON.",
        completion=Completion.FILE,
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    successes: int | None = flag(
        "--successes",
        metavar="N",
        minimum=1,
        group=Group.KUBERNETES,
        default_text="all",
        help="Number of agents that must succeed for the run to succeed.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    deadline: str | None = flag(
        "--deadline",
        metavar="DURATION",
        group=Group.KUBERNETES,
        help="Stop the whole run after this long: 2h.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )
    ttl: str | None = flag(
        "--ttl",
        metavar="DURATION",
        group=Group.KUBERNETES,
        help="Remove the Job this long after its end: 1d.",
        only_on=KUBERNETES,
        fixed_on=ENGINES,
    )

    def job(self) -> JobOptions:
        """Raises UsageError for the first value that is wrong."""
        return JobOptions(
            secret=self.secret,
            init_image=self.init_image,
            successes=self.successes,
            deadline_s=_seconds("--deadline", self.deadline),
            ttl_s=_seconds("--ttl", self.ttl),
            node_selector=parse_selector(self.node_selector),
            tolerations=parse_tolerations(self.toleration),
            service_account=self.service_account,
            pull_secrets=self.pull_secret,
            priority_class=self.priority_class,
            topology_spread=self.topology_spread,
            patch=self.patch,
        )


def _seconds(flag_name: str, text: str | None) -> int | None:
    return None if text is None else parse_seconds(flag_name, text)


def parse_selector(entries: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` each, as `nodeSelector` has them; raises UsageError."""
    found = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not key or not equals:
            raise UsageError(
                f"--node-selector {entry!r}", "not KEY=VALUE", "--node-selector pool=agents"
            )
        found[key] = value
    return found


def parse_tolerations(entries: Sequence[str]) -> list[dict[str, str]]:
    """`KEY[=VALUE][:EFFECT]` each, as `kubectl taint` writes taints; raises UsageError."""
    found = []
    for entry in entries:
        parts = _TOLERATION.fullmatch(entry)
        if not parts:
            raise UsageError(
                f"--toleration {entry!r}",
                "not KEY[=VALUE][:EFFECT] with an effect that Kubernetes has",
                "--toleration agents:NoSchedule",
            )
        one = {"key": parts[1], "operator": "Equal" if parts[2] else "Exists"}
        if parts[2]:
            one["value"] = parts[3]
        if parts[5]:
            one["effect"] = parts[5]
        found.append(one)
    return found

"""What runs of several sizes cost: `python -m fake_kubernetes.measure 10 100 10000` in `tests/`.

Counted where it can be counted: objects and changes in the fake cluster, calls at its door, and
calls and bytes at the door of a local Ravi for one `ravi-init`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fake_kubernetes.controllers import Controllers, Outcome
from fake_kubernetes.server import FakeKubernetes
from ravi_agent.credential import Credential
from ravi_agent.launcher.kubernetes import starting
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.fleet import KubernetesFleet
from ravi_agent.launcher.kubernetes.planning import make_job_plan
from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.request import JobOptions, RunRequest
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.local.server import LocalRavi


class _Nobody:
    def changed(self, agent: Agent) -> None:
        """Nothing is shown."""

    def output(
        self, agent: Agent, data: bytes, *, is_error: bool, shown: Callable[[], None]
    ) -> None:
        del agent, data, is_error
        shown()

    def note(self, text: str) -> None:
        """Nothing is shown."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """objects, object_bytes: in the API server once all pods have ended, as JSON. writes: calls
    of the launcher that change something. changes, change_bytes: what a watch of pods and Jobs
    is sent. wall_s: of launcher, fake cluster and all, on this machine."""

    agents: int
    objects: int
    object_bytes: int
    pod_bytes: int
    writes: int
    watches: int
    changes: int
    change_bytes: int
    wall_s: float

    def row(self) -> str:
        return (
            f"| {self.agents:,} | {self.objects:,} | {self.object_bytes / 1e6:,.2f} MB"
            f" | {self.writes} | {self.watches} | {self.changes:,}"
            f" | {self.change_bytes / 1e6:,.1f} MB |"
        )


def measure(count: int, *, told: int) -> Cost:
    """One run of `count` agents; the Job's status is written once for each `told` ends."""
    spec = RunSpec(
        image="registry.example/my-agent:1",
        count=count,
        command=("python3", "/app/agent.py"),
        api_url="https://ravi.id",
    )
    plan = make_job_plan(
        RunRequest(
            run="nightly",
            spec=spec,
            flow={},
            is_new=True,
            is_resuming=False,
            has_tasks=True,
            environ={},
        )
    )
    with FakeKubernetes() as fake, tempfile.NamedTemporaryFile("w") as config:
        config.write(fake.kubeconfig())
        config.flush()
        controllers = Controllers(
            fake.cluster, lambda _index, _attempt: Outcome(), batch=told, is_watched=True
        )
        api = KubernetesApi(config_file=config.name)
        began = time.monotonic()
        credential = Credential("k" * 40, "a measurement")
        job = starting.start(api, plan, JobOptions(), credential, _Nobody().note)
        fleet = KubernetesFleet(plan, api, _Nobody(), job)
        fleet.run()
        wall_s = time.monotonic() - began
        assert fleet.is_success
        calls = Counter(verb for verb, _, _ in fake.requests)
        sizes = {key: len(json.dumps(one)) for key, one in fake.cluster.objects.items()}
        changes = [one for one in fake.cluster.changes if one.resource in {"pods", "jobs"}]
        cost = Cost(
            agents=count,
            objects=len(sizes),
            object_bytes=sum(sizes.values()),
            pod_bytes=max(size for (kind, _, _), size in sizes.items() if kind == "pods"),
            writes=calls["create"] + calls["patch"] + calls["delete"],
            watches=calls["watch"],
            changes=len(changes),
            change_bytes=sum(len(one.text) for one in changes),
            wall_s=wall_s,
        )
        controllers.close()
        api.close()
    return cost


def measure_identity() -> tuple[list[str], int]:
    """The calls of one `ravi-init` to Ravi, and the bytes that one identity takes in a list."""
    with (
        LocalRavi(database=":memory:", management_key="k" * 40) as ravi,
        tempfile.TemporaryDirectory() as folder,
    ):
        command = Path(sys.executable).with_name("ravi-init")
        environ = {
            "PATH": os.environ["PATH"],
            "RAVI_API_URL": ravi.url,
            "RAVI_MANAGEMENT_KEY": "k" * 40,
        }
        arguments = ["--workspace", f"{folder}/w", "--name", "task-nightly-0001"]
        subprocess.run([str(command), *arguments], env=environ, check=True, capture_output=True)
        calls = [f"{entry['method']} {entry['path']}" for entry in ravi.requests.entries]
        asking = {"Authorization": f"Bearer {'k' * 40}"}
        listing = urllib.request.Request(f"{ravi.url}/api/identities/", headers=asking)  # noqa: S310
        with urllib.request.urlopen(listing, timeout=10) as answer:  # noqa: S310
            return calls, len(answer.read())


def main() -> None:
    for count in map(int, sys.argv[1:]):
        cost = measure(count, told=max(1, count // 100))
        print(cost.row(), f"pod {cost.pod_bytes} bytes, {cost.wall_s:.1f} s")  # noqa: T201
    print(*measure_identity())  # noqa: T201


if __name__ == "__main__":
    main()

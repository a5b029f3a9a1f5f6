"""A control plane with nodes that KWOK plays, and one run of the shipped launcher on it."""

import contextlib
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.scale.meter import Wire, calls
from bench.world import LAUNCH, Program
from ravi_agent.local.server import LocalRavi

NAMESPACE = "ravi-scale"
RUN = "scale"
POD_PORTION = 110  # what Kubernetes supports on one node
_KEY = "ravi_mgmt_scale"
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_PORT = 17443
# What docs/kubernetes.md says a launcher needs.
_RIGHTS = [
    (["batch"], ["jobs"], ["create", "get", "list", "watch", "patch", "delete"]),
    ([""], ["pods"], ["get", "list", "watch", "delete"]),
    ([""], ["pods/log"], ["get"]),
    ([""], ["secrets"], ["create", "delete"]),
    ([""], ["configmaps"], ["create", "get", "delete"]),
    ([""], ["events"], ["list", "watch"]),
]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One run. cpu_s, memory_mb: of the launcher's process, memory at its largest. received,
    sent: bytes of its connections to the API server, TLS included. calls: by verb and resource.
    changes: of pods, as the API server counts them. pod_bytes: one pod at its end, as JSON.
    store_mb: etcd's file after the run. wall_s: from the launcher's start to its end."""

    agents: int
    nodes: int
    cpu_s: float
    memory_mb: float
    received: int
    sent: int
    calls: dict[str, int]
    changes: int
    pod_bytes: int
    store_mb: float
    wall_s: float


class Cluster:
    """`scripts/cluster` in a state directory and on ports of its own. Raises CalledProcessError."""

    def __init__(self, directory: str) -> None:
        self._state = os.path.join(directory, "state")
        self._environ = {
            **os.environ,
            "RAVI_CLUSTER_STATE": self._state,
            "RAVI_CLUSTER_PORT": str(_PORT),
        }
        self.kubeconfig = os.path.join(self._state, "kubeconfig")
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._bin = cache / "ravi-agent-base"

    def __enter__(self) -> "Cluster":
        try:
            self._script("start", "--kwok", str(_HERE))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._script("stop")

    def _script(self, *words: str) -> None:
        subprocess.run(
            [str(_ROOT / "scripts/cluster"), *words],
            env=self._environ,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """What kubectl prints."""
        program = next(self._bin.glob("kubernetes-*/bin/kubectl"))
        return subprocess.run(
            [str(program), "--kubeconfig", self.kubeconfig, "--namespace", NAMESPACE, *words],
            input=stdin,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def get(self, *words: str) -> Any:
        """What `kubectl get` finds."""
        return json.loads(self.kubectl("get", *words, "--output", "json"))

    def prepare(self, nodes: int) -> None:
        """Nodes, a namespace, and a launcher's account with no more than its rights."""
        ready = {"cpu": "1000", "memory": "1Ti", "pods": str(POD_PORTION)}
        rules = [{"apiGroups": one[0], "resources": one[1], "verbs": one[2]} for one in _RIGHTS]
        account = {"kind": "ServiceAccount", "name": "launcher", "namespace": NAMESPACE}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "launcher"}
        objects: list[dict[str, Any]] = [
            {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": NAMESPACE}},
            {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "launcher"}},
            {
                "kind": "Role",
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "metadata": {"name": "launcher"},
                "rules": rules,
            },
            {
                "kind": "RoleBinding",
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "metadata": {"name": "launcher"},
                "roleRef": role,
                "subjects": [account],
            },
            *(
                {
                    "kind": "Node",
                    "apiVersion": "v1",
                    "metadata": {"name": f"node-{number}"},
                    "status": {"allocatable": ready, "capacity": ready},
                }
                for number in range(nodes)
            ),
        ]
        whole = {"kind": "List", "apiVersion": "v1", "items": objects}
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(whole))
        self.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s")

    def write_kubeconfig(self, path: str, port: int) -> None:
        """For the launcher's account, by that port on loopback."""
        token = self.kubectl("create", "token", "launcher", "--duration", "24h").strip()
        cluster = {
            "server": f"https://127.0.0.1:{port}",
            "certificate-authority": os.path.join(self._state, "apiserver.crt"),
        }
        context = {"cluster": "c", "user": "u", "namespace": NAMESPACE}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": cluster}],
            "contexts": [{"name": "c", "context": context}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
        Path(path).write_text(json.dumps(config), encoding="utf-8")

    def changes(self) -> int:
        """How often pods have changed, by the API server's own count."""
        name = 'apiserver_watch_cache_events_received_total{group="",resource="pods"} '
        lines = self.kubectl("get", "--raw", "/metrics").splitlines()
        return next(int(float(one.removeprefix(name))) for one in lines if one.startswith(name))

    @property
    def store_mb(self) -> float:
        return os.path.getsize(os.path.join(self._state, "etcd/member/snap/db")) / 1e6

    @property
    def audit(self) -> Path:
        return Path(self._state, "log/audit")

    def version(self) -> str:
        found: str = json.loads(self.kubectl("version", "--output", "json"))["serverVersion"][
            "gitVersion"
        ]
        return found


@contextlib.contextmanager
def open_cluster() -> Iterator[Cluster]:
    """A new one, with nothing of an earlier run in its etcd."""
    with tempfile.TemporaryDirectory(prefix="ravi-scale-") as directory, Cluster(directory) as one:
        yield one


def measure(count: int) -> tuple[str, Cost]:
    """One run of `count` agents on a cluster of its own; the cluster's version too.

    Raises RuntimeError where the launcher, or the Job, does not succeed with all of them.
    """
    nodes = math.ceil(count / POD_PORTION)
    with (
        open_cluster() as cluster,
        Wire(_PORT) as wire,
        LocalRavi(database=":memory:", management_key=_KEY) as service,
        tempfile.TemporaryDirectory(prefix="ravi-scale-") as directory,
    ):
        cluster.prepare(nodes)
        config = os.path.join(directory, "kubeconfig")
        cluster.write_kubeconfig(config, wire.port)
        command = [LAUNCH, "--backend", "kubernetes", "--count", str(count), "--name", RUN]
        environ = {
            "KUBECONFIG": config,
            "RAVI_MANAGEMENT_KEY": _KEY,
            "RAVI_API_URL": service.url,
            "RAVI_CONFIRM_ABOVE": "100000",
            "HOME": directory,
        }
        began = time.monotonic()
        used = Program([*command, "--quiet", "--", "true"], environ).finish()
        wall_s = time.monotonic() - began
        job = cluster.get("job", f"ravi-agent-{RUN}")
        if job["status"].get("succeeded") != count:
            raise RuntimeError(f"the Job says {job['status']}")
        selector = "labelSelector=batch.kubernetes.io/job-completion-index%3D0"
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?{selector}"
        pods = json.loads(cluster.kubectl("get", "--raw", path))
        with cluster.audit.open(encoding="utf-8") as audit:
            counted = calls(audit)
        return cluster.version(), Cost(
            agents=count,
            nodes=nodes,
            cpu_s=round(used.cpu_s, 2),
            memory_mb=round(used.memory_mb, 1),
            received=wire.received,
            sent=wire.sent,
            calls=dict(sorted(counted.items())),
            changes=cluster.changes(),
            pod_bytes=len(json.dumps(pods["items"][0], separators=(",", ":"))),
            store_mb=round(cluster.store_mb, 1),
            wall_s=round(wall_s, 1),
        )

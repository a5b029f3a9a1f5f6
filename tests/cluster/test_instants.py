"""The launcher killed, and the API server restarted, at random instants of runs with retries.

Three instants in `make test`, fifty in `make soak`. A run's seed is in the name of its test.
"""

import base64
import json
import random
import signal
import subprocess

import pytest

from cluster.conftest import Cluster, Launcher
from conftest import MANAGEMENT_KEY
from ravi_agent.launcher.kubernetes.pods import ranges

COUNT = 4
# One attempt in three fails. Each says which agent it is and that it has come to its end.
SCRIPT = """
echo "begin $TASK_ID"
sleep 1
test $(($(od -An -N1 -tu1 /dev/urandom) % 3)) = 0 && exit 3
echo "end $TASK_ID"
"""
SEEDS = [
    *(pytest.param(seed, id=f"seed-{seed}") for seed in range(3)),
    *(pytest.param(seed, marks=pytest.mark.soak, id=f"seed-{seed}") for seed in range(3, 50)),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_is_counted_as_its_job_counts_it_whatever_ends_when(
    launcher: Launcher, cluster: Cluster, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - an instant, no secret
    flags = ["--count", str(COUNT), "--name", "r", "--retries", "6", "--output", "json"]
    process = launcher.start(*flags, "--", "sh", "-c", SCRIPT)
    try:
        process.wait(chance.uniform(0, 12))
    except subprocess.TimeoutExpired:
        pass
    what = chance.choice(["kill the launcher", "upgrade", "crash"])
    if what == "kill the launcher":
        process.kill()
    else:
        cluster.restart_api_server(signal.SIGTERM if what == "upgrade" else signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=300)
    no_secret_without_owner(cluster)

    if not cluster.get("jobs")["items"]:  # it ended before anything was made
        assert process.returncode != 0, stderr
        assert cluster.get("secrets")["items"] == []
        return
    if process.returncode == -signal.SIGKILL:
        ended = launcher.run("--resume", "r", "--output", "json", code=None)
        stdout, stderr = ended.stdout, ended.stderr

    job = cluster.get("job/ravi-agent-r")
    succeeded = ranges(job["status"].get("completedIndexes"))
    failed = ranges(job["status"].get("failedIndexes"))
    assert succeeded | failed == set(range(COUNT)), (what, stderr)
    report = json.loads(stdout)
    assert {one["index"] for one in report["agents"] if one["state"] == "exited"} >= succeeded
    assert report["summary"]["succeeded"] == len(succeeded), (what, stderr)
    assert report["summary"]["failed"] == len(failed), (what, stderr)
    for index in succeeded:
        logs = launcher.run("logs", "r", str(index))
        is_said = f"{index}: some of its output is lost" in stderr
        assert f"end {index}" in stderr or is_said, (what, index, stderr)
        assert f"end {index}" in logs.stdout, (what, index, logs, stderr)
    no_secret_without_owner(cluster)
    no_key_anywhere_else(cluster)


def no_secret_without_owner(cluster: Cluster) -> None:
    for secret in cluster.get("secrets")["items"]:
        assert secret["metadata"].get("ownerReferences"), secret["metadata"]["name"]


def no_key_anywhere_else(cluster: Cluster) -> None:
    found = cluster.kubectl("get", "jobs,pods,configmaps,events", "-o", "json")
    assert MANAGEMENT_KEY not in found
    assert base64.b64encode(MANAGEMENT_KEY.encode()).decode() not in found

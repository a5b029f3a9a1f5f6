"""The API server goes away while a launcher starts a run."""

import json
import signal
import subprocess
from pathlib import Path

from cluster.conftest import Cluster, Launcher
from cluster.gate import Gate, Hold


def until_held(hold: Hold, process: subprocess.Popen[str]) -> None:
    while not hold.is_held.wait(1):
        assert process.poll() is None, process.communicate()


def test_a_run_starts_once_although_the_api_server_restarts_and_an_answer_is_lost(
    launcher: Launcher, cluster: Cluster, tmp_path: Path
) -> None:
    """It restarts before the Secret is created; the answer is that to the Job's going on."""
    with Gate(cluster.kubeconfig, tmp_path) as gate:
        launcher.environ["KUBECONFIG"] = str(gate.kubeconfig)
        creation = gate.hold("POST", "secrets", is_passed=False)
        going = gate.hold("PATCH", "jobs", is_passed=True)
        process = launcher.start("--count", "1", "--name", "cut", "--output", "json", "--", "true")
        until_held(creation, process)
        (job,) = cluster.get("jobs")["items"]
        assert job["spec"]["suspend"]
        assert cluster.get("secrets")["items"] == []
        cluster.restart_api_server(signal.SIGKILL)
        creation.cut()
        until_held(going, process)
        going.cut()
        stdout, stderr = process.communicate(timeout=240)

    assert process.returncode == 0, stderr
    assert "run cut does not run yet" in stderr
    assert json.loads(stdout)["summary"]["succeeded"] == 1
    (after,) = cluster.get("jobs")["items"]
    (secret,) = cluster.get("secrets")["items"]
    assert after["metadata"]["uid"] == job["metadata"]["uid"]
    assert secret["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]

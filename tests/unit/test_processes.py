"""When a process began, as the kernel and `psutil` have it."""

import os
import subprocess
import sys

import psutil
import pytest

from ravi_agent.launcher.docker import processes
from ravi_agent.launcher.docker.processes import began_at


@pytest.mark.parametrize("where", ["the kernel", "psutil"])
def test_a_process_began_when_psutil_says_so(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    if where == "psutil":
        monkeypatch.setattr(processes, "_PROC_STAT", "/nowhere")
    began = began_at(os.getpid())

    assert began == pytest.approx(psutil.Process().create_time(), abs=0.5)


@pytest.mark.parametrize("where", ["the kernel", "psutil"])
def test_a_process_that_has_ended_has_no_beginning(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "psutil":
        monkeypatch.setattr(processes, "_PROC_STAT", "/nowhere")
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert began_at(process.pid) is None, "nobody has waited for it"
    assert began_at(process.pid) is None, "it is gone"

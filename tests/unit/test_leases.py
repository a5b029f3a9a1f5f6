"""The file of leases, as its user or another program may have left it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ravi_agent.errors import SettingsError
from ravi_agent.launcher.docker.driver import Process
from ravi_agent.launcher.model.leases import FILE, Lease, changing, read_leases

LEASE = Lease(
    api_url="https://ravi.id",
    name="task-pool-signup-1",
    pool="signup",
    run="nightly",
    task="0000",
    engine="ABCD",
    owner=asdict(Process.here()),
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}

    with changing(environ) as leases:
        leases.append(LEASE)

    assert read_leases(environ) == [LEASE]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}x",
        "null",
        "[1]",
        '[{"name": "task-pool-signup-1"}]',
        json.dumps([asdict(LEASE) | {"run": None}]),
        json.dumps([asdict(LEASE) | {"owner": "me"}]),
        json.dumps([asdict(LEASE) | {"owner": {"pid": 1}}]),
        json.dumps([asdict(LEASE) | {"owner": {**LEASE.owner, "pid": "1"}}]),
        json.dumps([asdict(LEASE) | {"owner": {**LEASE.owner, "place": " "}}]),
        "[" * 100_000,
        "\ud800",
    ],
)
def test_a_file_of_another_form_is_named_and_not_changed(tmp_path: Path, content: Any) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8", errors="surrogatepass")
    before = path.read_bytes()

    with pytest.raises(SettingsError, match="not a list of leases") as caught, changing(environ):
        pass

    assert caught.value.fix == f"mv {path} {path}.bad"
    assert path.read_bytes() == before

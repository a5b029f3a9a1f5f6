"""How many identities a host may create: counted in its ledger, and refused before paying."""

import json
import threading
import time
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.errors import LimitError
from ravi_agent.identity import Identity
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace import ledger
from ravi_agent.workspace.quota import FILE, Quota
from unit.test_release import command, environ, names

__all__ = ["environ"]  # the host of `ravi-init`
URL = "https://ravi.id"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def quota(home: dict[str, str], limit: int | None = 2, workspace: str = "/w", **more: str) -> Quota:
    return Quota({**home, **more}, limit, api_url=URL, workspace=workspace)


def created(home: dict[str, str], name: str, *, age_s: float = 0, **fields: str) -> None:
    """A line as `ravi-init` wrote it then."""
    at = time.strftime(ledger.TIME_FORMAT, time.gmtime(time.time() - age_s))
    entry = ledger.entry_of("create", name, URL, uuid=f"uuid-{name}", workspace="/w")
    for field, value in {"at": at, **fields}.items():
        setattr(entry, field, value)
    ledger.append(home, entry)


def test_one_more_than_the_limit_is_refused_with_what_to_set(home: dict[str, str]) -> None:
    created(home, "a")
    quota(home).reserve("b")

    with pytest.raises(LimitError) as caught:
        quota(home).reserve("c")

    assert caught.value.exit_code == 75
    assert "created 2 in the last hour" in caught.value.why
    assert str(caught.value.fix).endswith("RAVI_MAX_IDENTITIES=4")
    quota(home, None).reserve("c")
    with pytest.raises(LimitError):
        quota(home, 0).reserve("d")


def test_the_time_at_which_it_goes_on_is_right(home: dict[str, str]) -> None:
    created(home, "a", age_s=3000)
    created(home, "b", age_s=10)

    with pytest.raises(LimitError) as caught:
        quota(home).reserve("c")

    free = time.time() - 3000 + 3660
    said = [time.strftime("%H:%M", time.gmtime(free + late)) for late in (-2, -1, 0)]
    assert any(f"wait until {one} UTC" in str(caught.value.fix) for one in said)


@pytest.mark.parametrize(
    "fields",
    [
        {"age_s": 3601},
        {"host": "another"},
        {"api_url": "https://ravi.example"},
        {"path": None},
        {"action": "adopt"},
    ],
    ids=["older", "of another host", "of another service", "of the launcher", "adopted"],
)
def test_what_does_not_count(home: dict[str, str], fields: dict[str, str]) -> None:
    created(home, "a", **fields)  # type: ignore[arg-type]

    quota(home, 1).reserve("b")


def test_a_name_that_was_created_twice_was_paid_for_twice(home: dict[str, str]) -> None:
    for _ in range(2):
        created(home, "a")
        ledger.append(home, ledger.entry_of("delete", "a", URL, uuid="uuid-a"))

    with pytest.raises(LimitError):
        quota(home).reserve("a")


def test_a_run_has_the_limit_whenever_it_began(home: dict[str, str]) -> None:
    for name in ("a", "b"):
        created(home, name, age_s=9000, run="nightly")

    with pytest.raises(LimitError, match="in run nightly"):
        quota(home, RAVI_RUN="nightly").reserve("c")
    quota(home, RAVI_RUN="other").reserve("c")


def test_a_creation_that_was_refused_counts_no_more(home: dict[str, str]) -> None:
    one = quota(home, 1)
    one.reserve("a")
    one.cancel("a")

    quota(home, 1).reserve("b")


def test_a_retry_of_one_workspace_counts_once(home: dict[str, str]) -> None:
    for _ in range(3):
        quota(home).reserve("a")


def test_starts_at_once_never_pass_the_limit_together(home: dict[str, str]) -> None:
    barrier = threading.Barrier(16)
    passed = []

    def reserve(number: int) -> None:
        barrier.wait()
        try:
            quota(home, 5, workspace=f"/w{number}").reserve(f"n{number}")
            passed.append(number)
        except LimitError:
            return

    threads = [threading.Thread(target=reserve, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(passed) == 5


def test_a_broken_line_stops_nothing(home: dict[str, str]) -> None:
    created(home, "a", at="yesterday")
    for file in (ledger.FILE, FILE):
        path = Path(ledger.ledger_path(home, file))
        path.write_text((path.read_text() if path.exists() else "") + "no JSON\n")

    quota(home, 1).reserve("b")


def test_init_creates_as_many_as_it_may_and_adopts_the_rest(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    there = local.store.create(name="task-there", email=None, with_phone=False)
    limited = {**environ, "RAVI_MAX_IDENTITIES": "2"}
    for name in ("1", "2", "there"):
        command(limited, "ravi-init", "--workspace", str(tmp_path / name), "--key", name)
    calls = len(local.requests.entries)

    third = ("--workspace", str(tmp_path / "3"), "--key", "3")
    done = command(limited, "ravi-init", *third, code=75)

    assert "no identity was created: this host has created 2 in the last hour" in done.stderr
    assert "  fix: wait until " in done.stderr
    assert {entry["method"] for entry in list(local.requests.entries)[calls:]} == {"GET"}
    assert names(local) == ["task-1", "task-2", there.name]
    assert not (tmp_path / "3/.ravi").exists()

    command(limited, "ravi-init", *third, "--max-identities", "3")  # as the fix says
    assert "task-3" in names(local)


def test_a_refusal_of_the_service_does_not_use_the_limit_up(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    limited = {**environ, "RAVI_MAX_IDENTITIES": "1"}
    local.faults.append(Fault(method="POST", status=403, count=1))
    command(limited, "ravi-init", "--workspace", str(tmp_path / "1"), "--key", "1", code=77)

    command(limited, "ravi-init", "--workspace", str(tmp_path / "2"), "--key", "2")

    assert names(local) == ["task-2"]


def test_an_answer_that_never_came_stays_counted(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    """It may have been paid for: PID 1 ended in the middle of it."""
    local.faults.append(Fault(method="POST", path="/api/identities/", status=500))
    brief = {**environ, "RAVI_PROVISION_TIMEOUT": "1"}
    command(brief, "ravi-init", "--workspace", str(tmp_path / "1"), "--key", "1", code=69)
    local.faults.clear()
    limited = {**environ, "RAVI_MAX_IDENTITIES": "1"}

    command(limited, "ravi-init", "--workspace", str(tmp_path / "2"), "--key", "2", code=75)


def test_without_a_ledger_a_limit_that_was_asked_for_cannot_be_kept(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    unable = {**environ, "XDG_STATE_HOME": str(tmp_path / "file")}
    arguments = ("--workspace", str(tmp_path / "1"), "--key", "1")

    done = command({**unable, "RAVI_MAX_IDENTITIES": "5"}, "ravi-init", *arguments, code=78)
    assert "the ledger" in done.stderr
    assert names(local) == []

    command(unable, "ravi-init", *arguments)
    assert names(local) == ["task-1"]


def test_a_reservation_names_no_identity_to_delete(home: dict[str, str]) -> None:
    quota(home).reserve("a")

    assert ledger.read(home) == []
    (record,) = map(json.loads, Path(ledger.ledger_path(home, FILE)).read_text().splitlines())
    assert (record["action"], record["uuid"], record["name"]) == ("reserve", "", "a")
    assert MANAGEMENT_KEY not in str(record)
    made = Identity(uuid="u", name="a", email="e@x", phone=None, created_at="")
    ledger.note(home, ledger.CREATE, made, URL, workspace="/w")
    quota(home).reserve("b")
    assert "a" not in [entry.name for entry in ledger.read(home, FILE)]  # it counts as created
    with pytest.raises(LimitError):
        quota(home).reserve("c")

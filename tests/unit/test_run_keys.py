"""What a launcher did with identities: for `audit`, and for the end of their keys."""

import json
import time
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.credential import Credential
from ravi_agent.errors import UsageError
from ravi_agent.identity import Identity
from ravi_agent.launcher.commands import audit
from ravi_agent.launcher.commands.audit import AuditOptions
from ravi_agent.launcher.commands.flags import Call
from ravi_agent.launcher.model.bookkeeping import Books
from ravi_agent.launcher.model.inventory import KeysInside
from ravi_agent.launcher.model.run_keys import end_keys
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi
from ravi_agent.service.api import RaviApi
from ravi_agent.service.keys import is_key_accepted, key_label
from ravi_agent.workspace import ledger


@pytest.fixture
def environ(local: LocalRavi, tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "RAVI_API_URL": local.url,
        "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
    }


def make(environ: dict[str, str], local: LocalRavi, name: str, run: str) -> Identity:
    """An identity with a key, as a launcher makes and records it."""
    with RaviApi(local.url, Credential(MANAGEMENT_KEY, "test")) as api:
        made = api.create_identity(name, with_phone=False)
        identity = made.with_key(*api.mint_key(made.uuid, label=key_label(name)))
    Books(environ, local.url, run).made(identity, is_created=True)
    return identity


def is_good(local: LocalRavi, identity: Identity) -> bool | None:
    return is_key_accepted(local.url, identity, timeout_s=30)


def actions(environ: dict[str, str]) -> list[tuple[str, str, str | None]]:
    return [(one.action, one.name, one.run) for one in ledger.read(environ)]


def test_the_keys_of_a_run_end_with_it_and_no_others(
    environ: dict[str, str], local: LocalRavi, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = [make(environ, local, f"task-a-{number}", "a") for number in range(3)]
    other = make(environ, local, "task-b", "b")

    end_keys(environ, "a")

    assert [is_good(local, one) for one in mine] == [False] * 3
    assert is_good(local, other)
    assert len(local.store.identities()) == 4
    assert "revoked 3 identity keys" in capfd.readouterr().err
    assert sorted(actions(environ)[-3:]) == [("revoke", f"task-a-{n}", "a") for n in range(3)]

    before = len(local.requests.entries)
    end_keys(environ, "a")  # the ledger says that there are none left
    assert len(local.requests.entries) == before


def test_of_some_agents_only_theirs_end(environ: dict[str, str], local: LocalRavi) -> None:
    first, second = (make(environ, local, f"task-a-{number}", "a") for number in range(2))

    end_keys(environ, "a", names={first.name})

    assert (is_good(local, first), is_good(local, second)) == (False, True)


def test_a_forged_line_ends_the_key_of_nobody_else(
    environ: dict[str, str], local: LocalRavi
) -> None:
    victim = make(environ, local, "task-victim", "b")
    liar = make(environ, local, "task-liar", "a")
    liar.key_uuid = victim.key_uuid
    Books(environ, local.url, "a").note(liar, ledger.KEY)

    end_keys(environ, "a")

    assert is_good(local, victim)


def test_keys_that_containers_made_end_but_not_those_of_identities_in_use(
    environ: dict[str, str], local: LocalRavi
) -> None:
    first, second = (make(environ, local, f"task-a-{number}", "elsewhere") for number in range(2))
    Path(environ["HOME"], ".local/state/ravi/ledger.jsonl").unlink()
    inside = KeysInside(
        api_url=local.url,
        identities=[first, second],
        unknown=[],
        since=0.0,
        until=time.time(),
        in_use={second.name},
    )

    end_keys(environ, "a", inside=inside)

    assert (is_good(local, first), is_good(local, second)) == (False, True)
    assert actions(environ) == [("revoke", first.name, "a")]


def test_a_key_that_the_ledger_has_for_another_run_stays(
    environ: dict[str, str], local: LocalRavi
) -> None:
    identity = make(environ, local, "task-a-0", "elsewhere")
    inside = KeysInside(
        api_url=local.url, identities=[identity], unknown=[], since=0.0, until=time.time()
    )

    end_keys(environ, "a", inside=inside)

    assert is_good(local, identity)


@pytest.mark.parametrize("why", ["no credential", "another service", "it refuses", "it is away"])
def test_what_cannot_be_revoked_is_one_line_and_no_failure(
    environ: dict[str, str], local: LocalRavi, capfd: pytest.CaptureFixture[str], why: str
) -> None:
    identity = make(environ, local, "task-a", "a")
    if why == "no credential":
        del environ["RAVI_MANAGEMENT_KEY"]
    if why == "another service":
        environ["RAVI_API_URL"] = "https://ravi.id"
    if why == "it refuses":
        local.faults.append(Fault(status=403))
    if why == "it is away":
        environ["RAVI_API_URL"] = "http://127.0.0.1:9"
        path = Path(environ["HOME"], ".local/state/ravi/ledger.jsonl")
        path.write_text(path.read_text().replace(local.url, environ["RAVI_API_URL"]))

    end_keys(environ, "a")

    said = capfd.readouterr().err
    assert "warning: " in said
    assert " stay: " in said
    assert MANAGEMENT_KEY not in said
    assert is_good(local, identity) or why == "it refuses"


def show(environ: dict[str, str], **options: object) -> int:
    call = Call(environ=environ, command=None, given=frozenset())
    return audit.audit(AuditOptions(**options), call)  # type: ignore[arg-type]


def test_audit_prints_what_was_done_and_no_secret(
    environ: dict[str, str], local: LocalRavi, capfd: pytest.CaptureFixture[str]
) -> None:
    first = make(environ, local, "task-a", "a")
    make(environ, local, "task-b", "b")
    end_keys(environ, "a")
    capfd.readouterr()

    show(environ)
    table = capfd.readouterr().out
    show(environ, output="json", filter=("run=a",))
    lines = json.loads(capfd.readouterr().out)

    assert [line.split()[1:3] for line in table.splitlines()[1:]] == [
        ["create", "task-a"],
        ["key", "task-a"],
        ["create", "task-b"],
        ["key", "task-b"],
        ["revoke", "task-a"],
    ]
    assert [(one["action"], one["uuid"]) for one in lines] == [
        ("create", first.uuid),
        ("key", first.uuid),
        ("revoke", first.uuid),
    ]
    assert first.key
    assert first.key not in table + json.dumps(lines)
    assert MANAGEMENT_KEY not in table + json.dumps(lines)


def test_filters_of_one_key_widen_and_of_two_narrow(
    environ: dict[str, str], local: LocalRavi, capfd: pytest.CaptureFixture[str]
) -> None:
    for run in "abc":
        make(environ, local, f"task-{run}", run)

    show(environ, output="json", filter=("run=a", "run=b", "action=create"), since="1h")

    assert [one["name"] for one in json.loads(capfd.readouterr().out)] == ["task-a", "task-b"]
    show(environ, output="json", since="0s", filter=("run=none",))
    assert json.loads(capfd.readouterr().out) == []


@pytest.mark.parametrize("wrong", ["run", "key=x", "=x"])
def test_a_filter_that_makes_no_sense_is_refused(environ: dict[str, str], wrong: str) -> None:
    with pytest.raises(UsageError, match="a key is one of action, name, run, uuid"):
        show(environ, filter=(wrong,))

"""What a run creates is agreed to, noted on this host, listed and deleted again."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.credential import Credential
from ravi_agent.errors import UsageError
from ravi_agent.identity import Identity
from ravi_agent.launcher.commands.filters import Filters
from ravi_agent.launcher.commands.identity_options import IdentityOptions
from ravi_agent.launcher.identities import delete_of_run, made_here
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.bookkeeping import Books, BooksObserver
from ravi_agent.launcher.model.budget import Budget
from ravi_agent.launcher.model.request import RunRequest
from ravi_agent.launcher.planning.plan import make_plan
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.launcher.show.confirm import confirm_cost
from ravi_agent.launcher.show.durations import short
from ravi_agent.local.server import LocalRavi
from ravi_agent.service.api import RaviApi
from ravi_agent.workspace import ledger

SPEC = RunSpec(image="i", count=5, api_url="https://ravi.example")
PLAN = make_plan("nightly", SPEC, is_fresh=True)


def request(**fields: object) -> RunRequest:
    return RunRequest(
        run="nightly",
        spec=SPEC,
        flow={},
        is_new=True,
        is_resuming=False,
        has_tasks=True,
        environ={},
        **fields,  # type: ignore[arg-type]
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


SOMEBODY = Identity(uuid="u", name="a", email="a@x", phone=None, created_at="")
NEW = Budget(plan=PLAN, identities={})
UNKNOWN = Budget(plan=PLAN, identities=None, why_unknown="no answer")
HALF = Budget(plan=PLAN, identities={one.identity_name: SOMEBODY for one in PLAN.tasks[:3]})


@pytest.mark.parametrize(
    ("budget", "fields"),
    [
        (NEW, {"confirm_above": 5}),
        (NEW, {"is_confirmed": True}),
        (NEW, {"max_identities": 5}),
        (HALF, {"confirm_above": 2}),
    ],
)
def test_few_identities_and_agreed_ones_are_created_without_asking(
    budget: Budget, fields: dict[str, object]
) -> None:
    confirm_cost(budget, request(**fields))


@pytest.mark.parametrize(
    ("budget", "what"),
    [
        (NEW, "5 identities would be created"),
        (UNKNOWN, "up to 5 identities would be created"),
        (HALF, "2 identities would be created"),
    ],
)
def test_without_a_terminal_many_are_refused_with_what_to_add(
    budget: Budget, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with pytest.raises(UsageError) as caught:
        confirm_cost(budget, request(confirm_above=1))

    assert caught.value.what == what
    assert caught.value.fix == f"add --yes, or --max-identities {budget.created}"


@pytest.mark.parametrize(
    ("answer", "is_agreed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)]
)
def test_on_a_terminal_somebody_is_asked(
    answer: str,
    is_agreed: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))

    if is_agreed:
        confirm_cost(NEW, request())
    else:
        with pytest.raises(UsageError):
            confirm_cost(NEW, request())

    assert capsys.readouterr().err == "5 identities will be created. Continue? [y/N] "


@pytest.mark.parametrize(
    ("given", "variable", "above"), [(None, "", 100), (None, "7", 7), (3, "7", 3), (0, "", 0)]
)
def test_how_many_go_without_saying_is_a_setting(
    given: int | None, variable: str, above: int
) -> None:
    options = IdentityOptions(confirm_above=given)

    assert options.ask_above({"RAVI_CONFIRM_ABOVE": variable}) == above


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError):
        IdentityOptions().ask_above({"RAVI_CONFIRM_ABOVE": "many"})


@pytest.fixture
def environ(local: LocalRavi, tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "RAVI_API_URL": local.url,
        "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
    }


@pytest.fixture
def api(local: LocalRavi) -> Iterator[RaviApi]:
    with RaviApi(local.url, Credential(MANAGEMENT_KEY, "test")) as api:
        yield api


def test_what_a_run_has_created_is_deleted_and_what_it_has_adopted_stays(
    local: LocalRavi,
    api: RaviApi,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    books = Books(environ, local.url, "nightly")
    others = Books(environ, local.url, "other")
    created, adopted, other, renamed = (
        api.create_identity(name, with_phone=False) for name in ("a", "b", "c", "d")
    )
    books.made(created, is_created=True)
    books.made(adopted, is_created=False)
    others.made(other, is_created=True)
    books.made(renamed, is_created=True)
    api.ask("PATCH", f"identities/{renamed.uuid}/", {"name": "somebody"})

    code = delete_of_run("nightly", environ, is_local=False)

    err = capsys.readouterr().err
    assert code == 1
    assert {one.name for one in api.list_identities("")} == {"b", "c", "somebody"}
    assert f"identity {renamed.uuid} stays: it is now 'somebody'" in err
    assert "run nightly: deleted 1 of 2 identities; 1 that were only adopted stay" in err
    assert {one.name for one in made_here(environ)} == {"b", "c", "d"}


def test_an_identity_that_a_run_created_and_the_next_one_adopted_is_ours(
    local: LocalRavi, api: RaviApi, environ: dict[str, str]
) -> None:
    identity = api.create_identity("a", with_phone=False)
    Books(environ, local.url, "nightly").made(identity, is_created=True)
    Books(environ, local.url, "nightly").made(identity, is_created=False)

    assert delete_of_run("nightly", environ, is_local=False) == 0
    assert api.list_identities("") == []
    assert made_here(environ) == []


def test_another_hosts_lines_of_a_shared_home_are_not_listed(
    local: LocalRavi, environ: dict[str, str], tmp_path: Path
) -> None:
    identity = Identity(uuid="u", name="a", email="a@x", phone=None, created_at="")
    Books(environ, local.url, "nightly").made(identity, is_created=True)
    path = tmp_path / ".local/state/ravi/ledger.jsonl"
    path.write_text(path.read_text().replace(os.uname().nodename, "elsewhere"))

    assert made_here(environ) == []


def test_a_ledger_that_cannot_be_written_is_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    books = Books({"HOME": "/proc/nowhere"}, "https://ravi.example", "nightly")
    identity = Identity(uuid="u", name="a", email="a@x", phone=None, created_at="")

    books.made(identity, is_created=True)
    books.made(identity, is_created=True)

    assert capsys.readouterr().err.count("the ledger cannot be written") == 1


@pytest.mark.parametrize(
    ("created_at", "is_fresh", "action"),
    [
        ("2001-01-01T00:00:00Z", False, ledger.ADOPT),
        ("2999-01-01T00:00:00Z", False, ledger.CREATE),
        ("2001-01-01T00:00:00Z", True, ledger.CREATE),
        ("", False, ledger.ADOPT),
    ],
)
def test_what_containers_make_is_noted_once_they_are_ready(
    tmp_path: Path, created_at: str, is_fresh: bool, action: str
) -> None:
    environ = {"HOME": str(tmp_path)}
    observer = BooksObserver(Books(environ, "https://x", "nightly"), is_fresh=is_fresh)
    agent = Agent(task=PLAN.tasks[0], state=State.STARTING)

    observer.changed(agent)
    agent.identity = Identity(uuid="u", name="a", email="a@x", phone=None, created_at=created_at)
    observer.changed(agent)
    observer.changed(agent)

    assert [(one.action, one.run) for one in ledger.read(environ)] == [(action, "nightly")]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0.4, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61, "1m1s"),
        (312, "5m12s"),
        (700, "11m"),
        (3600, "1h"),
        (5400, "1h30m"),
        (90_000, "1d1h"),
        (86400 * 40, "40d"),
    ],
)
def test_a_duration_reads_as_kubectl_has_it(seconds: float, text: str) -> None:
    assert short(seconds) == text


@pytest.mark.parametrize(
    ("entries", "is_shown"),
    [
        ([], True),
        (["run=nightly"], True),
        (["run=night"], False),
        (["name=ight"], True),
        (["run=a", "run=nightly"], True),
        (["run=nightly", "name=x"], False),
    ],
)
def test_filters_mean_what_they_mean_in_docker(entries: list[str], is_shown: bool) -> None:
    values = {"run": "nightly", "name": "task-nightly-0000"}

    assert Filters(entries, tuple(values)).match(values) is is_shown


@pytest.mark.parametrize("entry", ["run", "=x", "colour=red"])
def test_a_filter_that_nobody_knows_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="one of run, name"):
        Filters([entry], ("run", "name"))


def test_the_latest_use_of_an_identity_is_known(environ: dict[str, str], local: LocalRavi) -> None:
    identity = Identity(uuid="u", name="a", email="a@x", phone=None, created_at="")
    Books(environ, local.url, "nightly").made(identity, is_created=True)

    (made,) = made_here(environ)

    assert (made.run, made.is_created, made.path) == ("nightly", True, None)
    assert made.made_at == made.used_at > 1_700_000_000

"""Lists in pages: read to their end, and never beyond the service whose key it is."""

import time
from typing import Any

import pytest

from conftest import MANAGEMENT_KEY
from generations import Generation
from ravi_agent.credential import Credential
from ravi_agent.errors import AnswerError, RefusedError
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.pages import Listing
from ravi_agent.service.provision import Provisioner

URL = "https://ravi.example/api/identities/"


def provision(url: str, log: Log, name: str) -> str:
    with RaviApi(url, Credential(MANAGEMENT_KEY, "test")) as api:
        provisioner = Provisioner(
            api, deadline=time.monotonic() + 60, phone_policy="never", log=log, settle_s=0.5
        )
        return provisioner.provision(name).uuid


def page(*records: object, following: object = None, count: object = None) -> dict[str, Any]:
    return {"count": count, "next": following, "previous": None, "results": list(records)}


@pytest.mark.parametrize("position", [1, 2, 3], ids=["first page", "second page", "last page"])
def test_a_name_on_any_page_is_adopted_and_never_created_again(
    local: LocalRavi, log: Log, position: int
) -> None:
    made = [
        local.store.create(name=f"task-{number}", email=None, with_phone=False)
        for number in range(1, 4)
    ]
    with Generation(local, page_size=1) as generation:
        assert provision(generation.url, log, f"task-{position}") == made[position - 1].uuid

        lists = [call for call in generation.asked if call.startswith("GET ")]
    assert lists == [
        "GET /api/identities/",
        "GET /api/identities/?page=2",
        "GET /api/identities/?page=3",
    ]
    assert len(local.store.identities()) == 3


def test_two_of_a_name_on_different_pages_are_refused(local: LocalRavi, log: Log) -> None:
    for name in ("task-1", "task-2", "task-1"):
        local.store.create(name=name, email=None, with_phone=False)

    with (
        Generation(local, page_size=1) as generation,
        pytest.raises(RefusedError, match="2 identities are called task-1"),
    ):
        provision(generation.url, log, "task-1")


def test_the_thousandth_name_is_adopted_with_as_many_calls_as_there_are_pages(
    local: LocalRavi, log: Log
) -> None:
    made = [
        local.store.create(name=f"task-{number:04}", email=None, with_phone=False)
        for number in range(1, 1001)
    ]
    with Generation(local, page_size=100) as generation:
        assert provision(generation.url, log, "task-1000") == made[-1].uuid

        assert generation.asked == [
            "GET /api/identities/",
            *(f"GET /api/identities/?page={number}" for number in range(2, 11)),
            "POST /api/auth/keys/identity/",
        ]
    assert len(local.store.identities()) == 1000


def test_a_page_that_fails_is_asked_for_again_and_the_others_are_not(
    local: LocalRavi, log: Log
) -> None:
    for number in range(1, 4):
        local.store.create(name=f"task-{number}", email=None, with_phone=False)
    # The proxy asks the service for the whole list whenever it is asked for a page of it.
    local.faults.append(Fault(method="GET", skip=1, count=1, status=503))

    with Generation(local, page_size=1) as generation:
        provision(generation.url, log, "task-3")

        assert generation.asked[:-1] == [
            "GET /api/identities/",
            "GET /api/identities/?page=2",
            "GET /api/identities/?page=2",
            "GET /api/identities/?page=3",
        ]


def test_a_page_elsewhere_is_not_asked_for(local: LocalRavi, log: Log) -> None:
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as elsewhere:
        following = f"{elsewhere.url}/api/identities/?page=2"
        local.faults.append(Fault(method="GET", status=200, body=page(following=following)))

        with pytest.raises(AnswerError, match="next page would be at") as caught:
            provision(local.url, log, "task-1")

        assert list(elsewhere.requests.entries) == []
    assert caught.value.exit_code == 76
    assert local.store.identities() == []


@pytest.mark.parametrize(
    "following",
    [
        f"{URL}?page=2",
        "/api/identities/?page=2",
        "?page=2",
        "https://RAVI.example:443/api/identities/?page=2",
        "http://ravi.example/api/identities/?page=2",
    ],
    ids=["whole", "path", "query", "other spelling", "behind a TLS proxy"],
)
def test_a_page_of_this_list_is_asked_for_by_its_query(following: str) -> None:
    listing = Listing(URL, {"identity": "u"})

    assert listing.query == "identity=u"
    assert listing.add(page({"uuid": "a"}, following=following)) == [{"uuid": "a"}]
    assert listing.query == "identity=u&page=2"
    assert listing.add(page({"uuid": "b"})) == [{"uuid": "b"}]
    assert listing.query is None


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/api/identities/?page=2",
        "//evil.example/api/identities/?page=2",
        "https://ravi.example:8443/api/identities/?page=2",
        "http://ravi.example:8080/api/identities/?page=2",
        "https://ravi.example.evil.example/api/identities/?page=2",
        "https://ravi.example@evil.example/api/identities/?page=2",
        "https://user@ravi.example/api/identities/?page=2",
        "https://ravi.example/api/email/?page=2",
        "https://ravi.example/api/identities/../keys/?page=2",
        "https://ravi.example/api/identities/",
        "ftp://ravi.example/api/identities/?page=2",
        "https://[::1/api/identities/?page=2",
        "https://ravi.example:port/api/identities/?page=2",
        7,
        ["?page=2"],
    ],
)
def test_a_page_of_anything_else_is_an_answer_that_makes_no_sense(following: object) -> None:
    with pytest.raises(AnswerError):
        Listing(URL).add(page({"uuid": "a"}, following=following))


def test_plain_http_is_not_followed_to_another_scheme() -> None:
    with pytest.raises(AnswerError):
        Listing("http://ravi.example/api/identities/").add(
            page({"uuid": "a"}, following="https://ravi.example/api/identities/?page=2")
        )


def test_pages_that_go_round_in_a_circle_end() -> None:
    listing = Listing(URL)
    listing.add(page({"uuid": "a"}, following="?page=2"))
    listing.add(page({"uuid": "b"}, following="?page=3"))

    with pytest.raises(AnswerError, match="circle"):
        listing.add(page({"uuid": "c"}, following="?page=2"))


def test_one_page_under_many_numbers_ends() -> None:
    listing = Listing(URL)
    listing.add(page({"uuid": "a"}, following="?page=2"))

    with pytest.raises(AnswerError, match="same page"):
        listing.add(page({"uuid": "a"}, following="?page=3"))


def test_empty_pages_without_end_are_not_read_without_end() -> None:
    listing = Listing(URL)

    def read() -> None:
        for number in range(2, 1_000_000):
            listing.add(page(following=f"?page={number}"))

    with pytest.raises(AnswerError, match="has not ended after"):
        read()


@pytest.mark.parametrize(
    "answer", [None, "", 7, {}, {"results": None}, {"results": {}}, {"identities": []}]
)
def test_what_is_no_list_is_an_answer_that_makes_no_sense(answer: object) -> None:
    with pytest.raises(AnswerError, match="neither a JSON array nor a page"):
        Listing(URL).add(answer)


class _Shrinking(RaviApi):
    """A list whose first record is deleted by somebody after its first page was read."""

    def __init__(self) -> None:
        super().__init__("https://ravi.example", Credential(MANAGEMENT_KEY, "test"))
        self.answers = [
            page({"name": "a"}, following="?page=2", count=3),
            page({"name": "c"}, count=2),
            page({"name": "b"}, following="?page=2", count=2),
            page({"name": "c"}, count=2),
        ]

    def call(self, *_: object, **__: object) -> tuple[object, int]:
        return self.answers.pop(0), 1


def test_a_name_that_moved_to_an_earlier_page_meanwhile_is_found() -> None:
    with _Shrinking() as api:
        found = api.read_list("identities/", keep=lambda record: record["name"] == "b")

    assert found == [{"name": "b"}]


def test_a_name_that_moved_to_a_later_page_meanwhile_is_one_identity(
    local: LocalRavi, log: Log
) -> None:
    made = local.store.create(name="task-1", email=None, with_phone=False)
    record = {"uuid": made.uuid, "name": made.name, "inbox": made.email}
    answer = [record, {"name": "new"}, record]
    local.faults.append(Fault(method="GET", status=200, body=answer))

    assert provision(local.url, log, "task-1") == made.uuid

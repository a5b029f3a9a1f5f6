"""What the service says of an identity, and what of it may be shown."""

import pytest

from ravi_agent.errors import AnswerError
from ravi_agent.identity import Identity, is_plain

KEY = "ravi_id_PLANTED_0123456789"
# Of a value that may not show up in a message.
ODD = "ravi_id_PLANTED_in_the_wrong_field"

FROM_API: dict[str, object] = {
    "uuid": "0a1b",
    "name": "task-1",
    "inbox": "task-1@ravi.example",
    "phone": "+15550000001",
    "created_dt": "2026-01-02T03:04:05Z",
    "updated_dt": "2026-01-02T03:04:05Z",
}
PUBLIC: dict[str, object] = {
    "uuid": "0a1b",
    "name": "task-1",
    "email": "task-1@ravi.example",
    "phone": "+15550000001",
    "created_at": "2026-01-02T03:04:05Z",
}


def test_the_inbox_of_the_service_is_the_email_here() -> None:
    assert Identity.from_api(FROM_API).public() == PUBLIC


def test_the_public_form_is_read_back_as_the_same_identity() -> None:
    identity = Identity.from_public(PUBLIC, KEY)

    assert identity.public() == PUBLIC
    assert identity == Identity.from_api(FROM_API).with_key(KEY)
    assert identity.key == KEY


@pytest.mark.parametrize("phone", ["", None], ids=["empty", "null"])
def test_an_empty_phone_is_none(phone: str | None) -> None:
    assert Identity.from_api({**FROM_API, "phone": phone}).phone is None
    assert Identity.from_public({**PUBLIC, "phone": phone}).phone is None


@pytest.mark.parametrize("field", ["phone", "created_dt"])
def test_a_field_that_nobody_needs_may_be_missing(field: str) -> None:
    record = {name: value for name, value in FROM_API.items() if name != field}

    assert Identity.from_api(record).uuid == "0a1b"


@pytest.mark.parametrize(
    "date", [1767225600, 1767225600.5, ["2026"], {"$date": 1}, "a\nb", "x" * 600]
)
def test_a_date_of_any_form_costs_nobody_the_identity(date: object) -> None:
    identity = Identity.from_api({**FROM_API, "created_dt": date})

    assert (identity.uuid, identity.created_at) == ("0a1b", "")


@pytest.mark.parametrize("field", ["uuid", "name", "inbox"])
@pytest.mark.parametrize(
    "value", ["", None, 7, True, [ODD], {"a": ODD}], ids=["empty", "null", "7", "true", "[]", "{}"]
)
def test_a_needed_field_that_is_no_text_is_named_and_its_value_is_not_shown(
    field: str, value: object
) -> None:
    with pytest.raises(AnswerError, match=f"'{field}'") as caught:
        Identity.from_api({**FROM_API, field: value})

    assert ODD not in caught.value.lines("test")


@pytest.mark.parametrize("field", ["uuid", "name", "email", "phone", "created_at"])
@pytest.mark.parametrize(
    "value",
    [f"{ODD}'", f"{ODD}\n", f"{ODD}\0", f"{ODD}\x1b[2J", f"{ODD}\ud800", ODD * 20],
    ids=["single quote", "line feed", "null byte", "escape", "lone surrogate", "too long"],
)
def test_a_value_that_would_not_fit_in_the_env_file_is_refused_and_not_shown(
    field: str, value: str
) -> None:
    with pytest.raises(AnswerError, match=f"'{field}'") as caught:
        Identity.from_public({**PUBLIC, field: value})

    assert caught.value.exit_code == 76
    assert ODD not in caught.value.lines("test")


# What a shell, a URL or an option parser would read as more than a word.
ODD_CHARACTERS = '$`;&|<>()[]{}*?!~#%^"\\/,: \t\u00e4\u202e\u0660'


@pytest.mark.parametrize("field", ["uuid", "inbox", "phone"])
@pytest.mark.parametrize("character", ODD_CHARACTERS)
def test_what_a_shell_would_run_is_no_address_number_or_uuid(field: str, character: str) -> None:
    right = str(FROM_API[field])
    for value in (f"{right}{character}", f"{character}{right}", f"{right[:2]}{character}{right}"):
        with pytest.raises(AnswerError, match=f"'{field}'"):
            Identity.from_api({**FROM_API, field: value})


@pytest.mark.parametrize(
    "email",
    [
        "a@b.example",
        "task-1@ravi.id",
        "shop+tag@mail.ravi.app",
        "first.last_x=y@xn--rvi-qla.example",
        "_agent@ravi.id",
        "A.B@Ravi.ID",
        "0@localhost",
        "x" * 64 + "@" + "y" * 63 + ".example",
    ],
)
def test_addresses_as_services_give_them_are_taken(email: str) -> None:
    assert Identity.from_api({**FROM_API, "inbox": email}).email == email


@pytest.mark.parametrize(
    "email",
    [
        "a",
        "@b.example",
        "a@",
        "a@b..example",
        "a@.example",
        "a@b.example.",
        "a@-b.example",
        "a@b-.example",
        "-rf@b.example",
        "+a@b.example",
        ".a@b.example",
        "a@b@c.example",
        "a@b_c.example",
        "a@[127.0.0.1]",
        "x" * 65 + "@b.example",
        "a@" + "y" * 64 + ".example",
        "a@" + "y" * 63 + ".y" * 100,
        "$(id)@b.example",
        "a@$(id)",
        "a@b.example;id",
    ],
)
def test_what_is_no_plain_address_is_refused(email: str) -> None:
    with pytest.raises(AnswerError, match="'inbox'"):
        Identity.from_api({**FROM_API, "inbox": email})


@pytest.mark.parametrize("phone", ["+15551234567", "+4915112345678", "+1555", "15551234567"])
def test_numbers_as_services_give_them_are_taken(phone: str) -> None:
    assert Identity.from_api({**FROM_API, "phone": phone}).phone == phone


@pytest.mark.parametrize(
    "phone", ["+", "++1555", "+1555+", "-1555", "+1 555", "+1234567890123456", "+1555x", "+\u0661"]
)
def test_what_is_no_number_is_refused(phone: str) -> None:
    with pytest.raises(AnswerError, match="'phone'"):
        Identity.from_api({**FROM_API, "phone": phone})


@pytest.mark.parametrize(
    "uuid",
    [
        "0a1b2c3d-0000-4000-8000-000000000000",
        "0A1B2C3D-0000-7000-8000-000000000000",
        "0a1b2c3d000040008000000000000000",
        "u0",
    ],
)
def test_uuids_of_any_version_are_taken(uuid: str) -> None:
    assert Identity.from_api({**FROM_API, "uuid": uuid}).uuid == uuid


@pytest.mark.parametrize("uuid", ["-0a1b", "0a1b_2c", "../identities", "0" * 65, "a.b", "a+b"])
def test_what_is_no_uuid_is_refused(uuid: str) -> None:
    with pytest.raises(AnswerError, match="'uuid'"):
        Identity.from_api({**FROM_API, "uuid": uuid})


def test_a_name_may_be_any_line_of_print() -> None:
    name = 'Ünïcode $(name) "with" spaces; and | more'

    assert Identity.from_api({**FROM_API, "name": name}).name == name


def test_the_longest_value_fits() -> None:
    assert Identity.from_public({**PUBLIC, "name": "n" * 512}).name == "n" * 512


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", True),
        ('a "b" $(c) `d` \\ é 漢', True),
        ("it's", False),
        ("a\nb", False),
        ("a\tb", False),
        ("\u2028", False),
    ],
    ids=["empty", "shell syntax", "single quote", "line feed", "tab", "line separator"],
)
def test_plain_is_one_line_without_a_single_quote(value: str, expected: bool) -> None:
    assert is_plain(value) is expected


def test_no_form_for_people_shows_the_key() -> None:
    identity = Identity.from_public(PUBLIC, KEY)

    assert KEY not in f"{identity!r} {identity} {[identity]} {identity.public()}"
    assert "<hidden>" in repr(identity)
    assert "key=None" in repr(identity.with_key(None))


def test_identities_with_different_keys_differ() -> None:
    identity = Identity.from_public(PUBLIC, KEY)

    assert identity != identity.with_key("another")
    assert identity != identity.with_key(None)
    assert identity == identity.with_key(KEY)
    assert identity != PUBLIC
    assert len({identity, identity.with_key(KEY)}) == 1


def test_with_key_changes_nothing_else() -> None:
    identity = Identity.from_public(PUBLIC)

    assert identity.with_key(KEY).public() == identity.public()
    assert identity.key is None

"""Where the account's credential is looked for, and what is said of one that cannot be used."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent import contract
from ravi_agent.credential import (
    Credential,
    check_token,
    container_credential,
    host_account,
    host_credential,
    no_container_credential,
)
from ravi_agent.credential_paths import credential_paths
from ravi_agent.errors import SettingsError
from ravi_agent.settings import Settings

ACCESS_TOKEN = "ravi_jwt_PLANTED_9876543210"
REFRESH_TOKEN = "ravi_refresh_PLANTED_5555"


@pytest.fixture(autouse=True)
def mounted_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a secret would be mounted: a path of this test's, with nothing at it."""
    path = tmp_path / "run" / "ravi_management_key"
    monkeypatch.setattr(contract, "MANAGEMENT_KEY_PATH", str(path))
    return path


def test_no_source_of_a_key_is_no_credential(tmp_path: Path) -> None:
    assert container_credential({"HOME": str(tmp_path)}) is None
    assert no_container_credential().exit_code == 78


@pytest.mark.parametrize("variable", ["RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN"])
def test_a_key_comes_from_its_variable(variable: str) -> None:
    credential = container_credential({variable: f"  {MANAGEMENT_KEY}\n"})

    assert credential
    assert (credential.token, credential.source) == (MANAGEMENT_KEY, variable)


@pytest.mark.parametrize("variable", ["RAVI_MANAGEMENT_KEY_FILE", "RAVI_ACCESS_TOKEN_FILE"])
def test_a_key_comes_from_the_file_its_variable_names(variable: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{MANAGEMENT_KEY}\r\n")

    credential = container_credential({variable: str(file)})

    assert credential
    assert (credential.token, credential.source) == (MANAGEMENT_KEY, variable)


def test_a_mounted_secret_is_the_key_where_nothing_else_is_given(mounted_key: Path) -> None:
    mounted_key.parent.mkdir()
    mounted_key.write_text(MANAGEMENT_KEY)

    found = container_credential({})
    given = container_credential({"RAVI_ACCESS_TOKEN": ACCESS_TOKEN})

    assert found
    assert (found.token, found.source) == (MANAGEMENT_KEY, str(mounted_key))
    assert given
    assert given.token == ACCESS_TOKEN


@pytest.fixture
def auth_file(tmp_path: Path) -> Path:
    """Where an older official CLI keeps its tokens; the home is `tmp_path`."""
    path = tmp_path / ".ravi" / "auth.json"
    path.parent.mkdir()
    return path


def test_the_tokens_of_an_older_cli_come_last(auth_file: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    auth_file.write_text(
        json.dumps(
            {
                "access_token": ACCESS_TOKEN,
                "refresh_token": REFRESH_TOKEN,
                "expires_at": "2026-01-02T03:04:05Z",
            }
        )
    )

    found = container_credential(home)
    given = container_credential({**home, "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY})

    assert found
    assert (found.token, found.refresh_token) == (ACCESS_TOKEN, REFRESH_TOKEN)
    assert found.source == str(auth_file)
    assert found.expires_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    assert ACCESS_TOKEN not in repr(found)
    assert REFRESH_TOKEN not in repr(found)
    assert given
    assert given.token == MANAGEMENT_KEY


def test_an_access_token_alone_will_do(auth_file: Path, tmp_path: Path) -> None:
    auth_file.write_text(json.dumps({"access_token": ACCESS_TOKEN, "expires_at": ""}))

    found = container_credential({"HOME": str(tmp_path)})

    assert found
    assert (found.refresh_token, found.expires_at) == (None, None)


@pytest.mark.parametrize(
    "record", [{}, {"access_token": ""}, {"access_token": None}, {"management_key": "x"}], ids=repr
)
def test_a_file_without_an_access_token_gives_none(
    auth_file: Path, tmp_path: Path, record: dict[str, object]
) -> None:
    auth_file.write_text(json.dumps(record))

    assert container_credential({"HOME": str(tmp_path)}) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(ACCESS_TOKEN, id="no JSON"),
        pytest.param(json.dumps([ACCESS_TOKEN]), id="a list"),
        pytest.param("[" * 100_000, id="deeply nested"),
        pytest.param(json.dumps({"access_token": f"{ACCESS_TOKEN}\nx"}), id="two lines"),
        pytest.param(
            json.dumps({"access_token": ACCESS_TOKEN, "refresh_token": f"{REFRESH_TOKEN} x"}),
            id="no refresh token",
        ),
        pytest.param(
            json.dumps({"access_token": ACCESS_TOKEN, "expires_at": "tomorrow"}), id="no date"
        ),
        pytest.param(
            json.dumps({"access_token": ACCESS_TOKEN, "expires_at": 1767323045}), id="a number"
        ),
    ],
)
def test_an_auth_file_that_makes_no_sense_is_refused_showing_nothing_of_it(
    auth_file: Path, tmp_path: Path, text: str
) -> None:
    auth_file.write_text(text)

    with pytest.raises(SettingsError) as caught:
        container_credential({"HOME": str(tmp_path)})

    assert caught.value.exit_code == 78
    assert str(auth_file) in caught.value.lines("test")
    assert "PLANTED" not in caught.value.lines("test")


SOURCES = [
    "RAVI_MANAGEMENT_KEY",
    "RAVI_MANAGEMENT_KEY_FILE",
    "RAVI_ACCESS_TOKEN",
    "RAVI_ACCESS_TOKEN_FILE",
]


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param((one, two), id=f"{one} and {two}")
        for at, one in enumerate(SOURCES)
        for two in SOURCES[at + 1 :]
    ],
)
def test_two_sources_are_refused_naming_both(pair: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(MANAGEMENT_KEY)
    environ = {name: str(file) if name.endswith("_FILE") else ACCESS_TOKEN for name in pair}

    with pytest.raises(SettingsError) as caught:
        container_credential(environ)

    text = caught.value.lines("test")
    assert caught.value.exit_code == 78
    assert all(name in text for name in pair)
    assert MANAGEMENT_KEY not in text
    assert ACCESS_TOKEN not in text


def _missing(path: Path) -> None:
    assert not path.exists()


def _directory(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text(MANAGEMENT_KEY)


@pytest.mark.parametrize("make", [_missing, _directory, _loop, _below_a_file])
@pytest.mark.parametrize("variable", ["RAVI_MANAGEMENT_KEY_FILE", "RAVI_ACCESS_TOKEN_FILE"])
def test_a_key_file_that_cannot_be_read_is_refused_naming_it(
    make: Callable[[Path], None], variable: str, tmp_path: Path
) -> None:
    file = tmp_path / "secrets" / "key"
    file.parent.mkdir()
    make(file)

    with pytest.raises(SettingsError) as caught:
        container_credential({variable: str(file)})

    text = caught.value.lines("test")
    assert caught.value.exit_code == 78
    assert variable in text
    assert str(file) in text


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \r\n\t", id="white space"),
        pytest.param(f"{MANAGEMENT_KEY}\n{ACCESS_TOKEN}\n".encode(), id="two lines"),
        pytest.param(f"key={MANAGEMENT_KEY} # mine".encode(), id="a sentence"),
        pytest.param(f"{MANAGEMENT_KEY}\0".encode(), id="a null byte"),
        pytest.param(f"\ufeff{MANAGEMENT_KEY}".encode(), id="a byte-order mark"),
        pytest.param(MANAGEMENT_KEY.encode("utf-16"), id="UTF-16"),
        pytest.param(MANAGEMENT_KEY.encode() * 2000, id="a book"),
    ],
)
def test_a_file_that_holds_no_key_is_refused_showing_nothing_of_it(
    content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        container_credential({"RAVI_MANAGEMENT_KEY_FILE": str(file)})

    text = caught.value.lines("test")
    assert caught.value.exit_code == 78
    assert str(file) in text
    assert MANAGEMENT_KEY not in text
    assert ACCESS_TOKEN not in text


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        f"{MANAGEMENT_KEY}\n{MANAGEMENT_KEY}",
        f"{MANAGEMENT_KEY}é",
        f"Bearer {MANAGEMENT_KEY}",
    ],
    ids=["empty", "blank", "two lines", "not ASCII", "a header"],
)
def test_what_is_no_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(SettingsError, match="RAVI_MANAGEMENT_KEY") as caught:
        check_token(token, "RAVI_MANAGEMENT_KEY")

    assert MANAGEMENT_KEY not in caught.value.lines("test")


def test_no_repr_shows_a_key() -> None:
    environ = {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY}
    credential = container_credential(environ)
    settings = Settings(environ)

    assert credential
    assert repr(credential) == "Credential(<hidden> from RAVI_MANAGEMENT_KEY)"
    assert MANAGEMENT_KEY not in f"{credential} {[credential]} {settings!r} {vars(settings)!r}"


def test_a_credential_keeps_its_token_for_those_who_ask() -> None:
    assert Credential(MANAGEMENT_KEY, "test").token == MANAGEMENT_KEY


# --- on a host ---------------------------------------------------------------------------------


def write_config(folder: Path, key: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"management_key": key}))


def test_every_place_has_its_turn_in_the_documented_order(
    mounted_key: Path, tmp_path: Path
) -> None:
    home, folder = tmp_path / ".ravi", tmp_path / "w" / ".ravi"
    write_config(home, "k6")
    write_config(folder, "k5")
    (home / "auth.json").write_text(json.dumps({"access_token": "k4"}))
    mounted_key.parent.mkdir()
    mounted_key.write_text("k3")
    file = tmp_path / "key"
    file.write_text("k2")
    environ = {"HOME": str(tmp_path), "RAVI_MANAGEMENT_KEY_FILE": str(file)}

    found = []
    for next_one in (file, mounted_key, home / "auth.json", folder / "config.json", None):
        credential = host_credential(environ, str(folder))
        assert credential
        found.append(credential.token)
        if next_one == file:
            del environ["RAVI_MANAGEMENT_KEY_FILE"]
        elif next_one:
            next_one.unlink()

    assert found == ["k2", "k3", "k4", "k5", "k6"]


def test_every_file_that_could_hold_a_credential_is_named(
    mounted_key: Path, tmp_path: Path
) -> None:
    """What `--check` tries to read as the agent: a place that is not in use is one too."""
    environ = {
        "HOME": str(tmp_path),
        "RAVI_MANAGEMENT_KEY_FILE": "/keys/a",
        "RAVI_ACCESS_TOKEN_FILE": "/keys/b",
    }

    assert credential_paths(environ) == [
        "/keys/a",
        "/keys/b",
        str(mounted_key),
        str(tmp_path / ".ravi/auth.json"),
    ]


def test_local_means_the_local_ravi_and_its_key_whatever_the_variables_say() -> None:
    environ = {"RAVI_API_URL": "https://ravi.app", "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY}

    url, credential = host_account(environ, is_local=True)

    assert url == "http://127.0.0.1:8787"
    assert credential.token == "ravi_mgmt_local"


def test_a_host_without_a_key_is_told_of_the_local_ravi(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no management key") as caught:
        host_account({"HOME": str(tmp_path)}, is_local=False)

    assert "--local" in str(caught.value.fix)


@pytest.mark.parametrize("name", ["auth.json", "config.json"])
def test_a_pipe_in_place_of_a_file_of_the_cli_is_not_waited_for(tmp_path: Path, name: str) -> None:
    folder = tmp_path / ".ravi"
    folder.mkdir()
    os.mkfifo(folder / name)

    with pytest.raises(SettingsError, match="regular file"):
        host_credential({"HOME": str(tmp_path)})

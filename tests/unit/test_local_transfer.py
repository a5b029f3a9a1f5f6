"""A database of the local Ravi that is written out, read in again, or there from the start."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent import extras
from ravi_agent.errors import RaviError, SettingsError, UsageError
from ravi_agent.local.cli import serve
from ravi_agent.local.mailbox import Mail, Upload
from ravi_agent.local.seed import plant, read_seed
from ravi_agent.local.server import LocalRavi

ACCOUNT = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}
SECRET = "hunter2-correct-horse"


def fill(database: Path) -> dict[str, str]:
    """A database with something of everything; returns an identity's key and its UUID."""
    with LocalRavi(database=str(database), management_key=MANAGEMENT_KEY) as local:
        anna = local.store.create(name="ännä", email="anna", with_phone=True)
        gone = local.store.create(name="gone", email=None, with_phone=True)
        local.store.delete(gone.uuid)
        key = local.store.mint_key(anna.uuid, "test")
        upload = Upload(filename="a.bin", content_type="x/y", content=bytes(range(256)))
        mail = Mail(
            from_email="a@shop.example",
            to_email=anna.email,
            subject="確認コード",
            text_content="line\none\u2028two",
            html_content="<b>",
            message_id="<1@shop.example>",
            files=(upload,),
        )
        local.store.mailbox.add_mail(anna, mail)
        local.store.phones.add_sms(anna, peer="+15557770000", body="x")
        local.store.phones.call(anna, "+15557770000")
        with httpx.Client(
            base_url=local.url, headers=ACCOUNT, params={"identity": anna.uuid}
        ) as http:
            http.post("/api/secrets/", json={"key": "K", "value": SECRET}).raise_for_status()
            http.post(
                "/api/webhook-subscriptions/", json={"url": "http://127.0.0.1:9/"}
            ).raise_for_status()
    return {"key": key, "uuid": anna.uuid}


def dump(database: Path, folder: Path) -> bytes:
    path = folder / f"{database.name}.jsonl"
    assert serve(["export", str(path), "--database", str(database)]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_bytes()


@pytest.fixture
def full(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    database = tmp_path / "full.db"
    return database, fill(database)


def test_what_is_exported_and_imported_is_the_same_database(
    full: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    database, known = full
    exported = dump(database, tmp_path)
    copy = tmp_path / "copy.db"
    (tmp_path / "copy.db.key").write_bytes((tmp_path / "full.db.key").read_bytes())

    assert serve(["import", str(tmp_path / "full.db.jsonl"), "--database", str(copy)]) == 0

    assert dump(copy, tmp_path) == exported
    own = {"Authorization": f"Bearer {known['key']}"}
    with LocalRavi(database=str(copy), management_key=MANAGEMENT_KEY) as local:
        (mail,) = httpx.get(f"{local.url}/api/email-messages/", headers=own).json()
        (file,) = mail["attachments"]
        assert httpx.get(file["download_url"]).content == bytes(range(256))
        (secret,) = httpx.get(f"{local.url}/api/secrets/", headers=own).json()
        assert secret["value"] == SECRET
        # A number is never given twice, here neither.
        assert local.store.create(name="next", email=None, with_phone=True).phone == "+15550000003"


def test_an_export_holds_no_key_and_no_secret(
    full: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    database, known = full
    text = dump(database, tmp_path).decode()

    assert known["uuid"] in text
    assert text.isascii(), "no program takes a separator of Unicode's for the end of a line"
    for secret in (known["key"], SECRET, MANAGEMENT_KEY):
        assert secret not in text
    tables = {json.loads(line).get("table") for line in text.splitlines() if line}
    assert {"identities", "keys", "mails", "files", "attachments", "sms", "calls"} <= tables
    assert {"segments", "events", "secrets", "webhooks", "sqlite_sequence"} <= tables


def test_a_server_may_run_while_it_is_exported_and_not_while_something_is_imported(
    full: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    database, _ = full
    with LocalRavi(database=str(database), management_key=MANAGEMENT_KEY) as local:
        local.store.create(name="meanwhile", email=None, with_phone=False)
        assert b"meanwhile" in dump(database, tmp_path)
        path = str(tmp_path / "full.db.jsonl")
        with pytest.raises(SettingsError, match="another ravi-local is using it"):
            serve(["import", path, "--database", str(database)])


def spoil(lines: list[bytes], how: str) -> bytes:
    changed = {
        "nothing": [],
        "no export": [b'{"a": 1}\n', *lines[1:]],
        "another version": [lines[0].replace(b'"schema": ', b'"schema": 9'), *lines[1:]],
        "half a line": [*lines[:-1], lines[-1][:-9]],
        "another table": [*lines, b'{"table": "sqlite_master", "row": {"name": "x"}}\n'],
        "another column": [*lines, b'{"table": "keys", "row": {"id) VALUES (1);--": 1}}\n'],
        "no object": [*lines, b"[]\n"],
        "no text": [*lines, b"\xff\n"],
        "twice": [*lines, *lines[1:]],
        "an owner that is not there": [
            line for line in lines if b'"identities", "row"' not in line
        ],
        "no base64": [line.replace(b'"base64": "', b'"base64": "!') for line in lines],
    }
    return b"".join(changed[how])


@pytest.mark.parametrize(
    "how",
    [
        *("nothing", "no export", "another version", "half a line", "another table"),
        *("another column", "no object", "no text", "twice", "an owner that is not there"),
        "no base64",
    ],
)
def test_what_is_no_whole_export_is_refused_and_leaves_nothing(
    full: tuple[Path, dict[str, str]], tmp_path: Path, how: str
) -> None:
    lines = dump(full[0], tmp_path).splitlines(keepends=True)
    bad, copy = tmp_path / "bad.jsonl", tmp_path / "copy.db"
    bad.write_bytes(spoil(lines, how))
    (tmp_path / "copy.db.key").write_bytes((tmp_path / "full.db.key").read_bytes())

    with pytest.raises(UsageError, match=r"import .*bad.jsonl"):
        serve(["import", str(bad), "--database", str(copy)])

    kept = [json.loads(line)["table"] for line in dump(copy, tmp_path).splitlines()[1:]]
    assert kept == []
    (tmp_path / "bad.jsonl").write_bytes(b"".join(lines))
    assert serve(["import", str(bad), "--database", str(copy)]) == 0


def test_what_another_key_has_sealed_is_not_taken_in(
    full: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    dump(full[0], tmp_path)
    path, copy = str(tmp_path / "full.db.jsonl"), tmp_path / "copy.db"

    with pytest.raises(SettingsError, match="not the key of this database") as caught:
        serve(["import", path, "--database", str(copy)])

    assert f"put back {copy}.key" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["export", "/not/there/x"], "export /not/there/x"),
        (["import", "/not/there/x"], "import /not/there/x"),
        (["serve", "x"], "serve x: it takes no file"),
        (["reset", "x"], "reset x: it takes no file"),
        (["export", "--database", "/not/there.db"], "--database /not/there.db"),
        (["--seed", "/not/there/x"], "--seed /not/there/x"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(
    argv: list[str], what: str, full: tuple[Path, dict[str, str]]
) -> None:
    database = [] if "--database" in argv else ["--database", str(full[0])]
    ports = ["--port", "0", "--smtp-port", "0"]

    with pytest.raises(RaviError) as caught:
        serve([*argv, *database, *ports])

    assert what in str(caught.value)
    # The next one finds the database unlocked.
    assert serve(["export", "/dev/null", "--database", str(full[0])]) == 0


def test_a_full_database_takes_nothing_in(
    full: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    dump(full[0], tmp_path)

    with pytest.raises(SettingsError, match="it is not empty"):
        serve(["import", str(tmp_path / "full.db.jsonl"), "--database", str(full[0])])


def test_an_export_is_piped_into_an_import(
    full: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    program = "from ravi_agent.local.cli import main; main()"
    command = [sys.executable, "-I", "-c", program]
    (tmp_path / "copy.db.key").write_bytes((tmp_path / "full.db.key").read_bytes())
    exported = subprocess.run(
        [*command, "export", "--database", "full.db"], cwd=tmp_path, capture_output=True, check=True
    )
    subprocess.run(
        [*command, "import", "-", "--database", "copy.db"],
        cwd=tmp_path,
        input=exported.stdout,
        capture_output=True,
        check=True,
    )

    assert dump(tmp_path / "copy.db", tmp_path) == exported.stdout
    assert b"full.db.key opens what is sealed" in exported.stderr


# --- from the start ----------------------------------------------------------------------------

SEED: dict[str, Any] = {
    "identities": [
        {
            "name": "Anna Berg",
            "email": "anna",
            "phone": True,
            "key": "ravi_id_anna",
            "mail": [
                {"from": "a@shop.example", "subject": "Hi", "text": "Your code is 271828."},
                {"from": "b@shop.example", "html": "<b>x</b>"},
            ],
            "sms": [{"from": "+15557770000", "body": "31415"}],
        },
        {"name": "bert"},
    ]
}


def seed_file(folder: Path, content: object) -> str:
    path = folder / "seed.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def test_a_seed_makes_the_same_identities_each_time_and_once(tmp_path: Path) -> None:
    seeded = read_seed(seed_file(tmp_path, SEED))
    seen = []
    for name in ("a.db", "b.db"):
        with LocalRavi(database=str(tmp_path / name), management_key=MANAGEMENT_KEY) as local:
            assert (plant(local.store, seeded), plant(local.store, seeded)) == (2, 0)
            own = {"Authorization": "Bearer ravi_id_anna"}
            mails = httpx.get(f"{local.url}/api/email-messages/", headers=own).json()
            assert [mail["subject"] for mail in mails] == ["", "Hi"]
            (sms,) = httpx.get(f"{local.url}/api/sms-inbox/", headers=own).json()
            assert sms["from_number"] == "+15557770000"
            records = local.store.identities()
            seen.append([(one.uuid, one.name, one.email, one.phone) for one in records])

    assert seen[0] == seen[1]
    assert [one[1:] for one in seen[0]] == [
        ("Anna Berg", "anna@ravi-local.test", "+15550000001"),
        ("bert", "bert@ravi-local.test", None),
    ]


def test_the_seed_of_the_documentation_can_be_planted(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "local.md").read_text(encoding="utf-8")
    found = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert found
    (tmp_path / "seed.json").write_text(found[1], encoding="utf-8")

    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as local:
        assert plant(local.store, read_seed(str(tmp_path / "seed.json"))) == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([], "list indices"),
        ({}, "no 'identities'"),
        ({"identities": {}}, "not a list"),
        ({"identities": ["anna"]}, "identity: not an object"),
        ({"identities": [{}]}, "identity: no 'name'"),
        ({"identities": [{"name": 7}]}, "'name' is not a str"),
        ({"identities": [{"name": "a", "fone": True}]}, "'fone' is none of"),
        ({"identities": [{"name": "a", "mail": [{}]}]}, "mail: no 'from'"),
        ({"identities": [{"name": "a", "sms": [{"from": "+1"}]}]}, "has SMS and no phone"),
        ({"identities": [{"name": "a", "key": "secret"}]}, "a key begins with ravi_id_"),
    ],
)
def test_a_seed_that_makes_no_sense_is_refused(tmp_path: Path, content: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_seed(seed_file(tmp_path, content))


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"name": "b", "key": "ravi_id_anna"}, "another identity has its key"),
        ({"name": "b", "email": "b@elsewhere.example"}, "email: give a local part"),
    ],
)
def test_a_seed_that_cannot_be_planted_says_why(
    tmp_path: Path, second: dict[str, object], why: str
) -> None:
    content = {"identities": [SEED["identities"][0], second]}
    line = ["--seed", seed_file(tmp_path, content), "--database", str(tmp_path / "x.db")]

    with pytest.raises(UsageError, match=why):
        serve([*line, "--port", "0", "--smtp-port", "0"])


def test_a_server_without_its_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "uvicorn" else object())

    with pytest.raises(SettingsError, match="'uvicorn' is not installed") as caught:
        serve(["--database", str(tmp_path / "x.db")])

    assert str(caught.value.fix) == "pip install 'ravi-agent-base[local]'"

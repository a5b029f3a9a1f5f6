"""What the local Ravi withstands: foreign pages, much and slow input, many clients, crashes."""

import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import httpx
import psutil
import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.local import connection, guard
from ravi_agent.local.app import REFRESH_TOKEN
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi

IDENTITIES = "/api/identities/"
AUTHORIZED = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}
SMS = {"to_number": "+15550000001", "from_number": "+15557770000", "body": "x"}
MIB = 1024 * 1024


@pytest.fixture
def anna(local: LocalRavi) -> Record:
    return local.store.create(name="anna", email=None, with_phone=True)


# --- who gets in -------------------------------------------------------------------------------


def test_no_refresh_token_opens_an_account_that_has_a_key_of_its_own() -> None:
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as local:
        for token in (REFRESH_TOKEN, "", MANAGEMENT_KEY):
            answer = httpx.post(f"{local.url}/api/auth/token/refresh/", json={"refresh": token})
            assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8787"},
        {"Host": "127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
    ids=str,
)
def test_a_page_of_another_site_can_send_nothing(
    local: LocalRavi, anna: Record, headers: dict[str, str]
) -> None:
    for method, path in (("POST", "/local/sms/"), ("GET", IDENTITIES), ("POST", IDENTITIES)):
        answer = httpx.request(
            method, local.url + path, headers={**AUTHORIZED, **headers}, json=SMS
        )
        assert answer.status_code == 403, path
    assert local.store.phones.all_sms(anna) == []
    assert len(local.store.identities()) == 1


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None],
    ids=str,
)
def test_a_form_or_plain_text_is_no_request(
    local: LocalRavi, anna: Record, kind: str | None
) -> None:
    """What a browser sends to another site without asking it."""
    headers = {"Content-Type": kind} if kind else {}

    answer = httpx.post(f"{local.url}/local/sms/", content=json.dumps(SMS), headers=headers)

    assert answer.status_code == 415
    assert local.store.phones.all_sms(anna) == []


@pytest.mark.parametrize(
    "host",
    [
        *("localhost:8787", "ravi-local:8787", "[::1]:8787", "10.1.2.3", "host.docker.internal"),
        *("ravi.ns.svc", "RAVI.LOCALHOST:1"),
    ],
)
def test_the_names_of_private_networks_are_answered(local: LocalRavi, host: str) -> None:
    answer = httpx.get(local.url + IDENTITIES, headers={**AUTHORIZED, "Host": host})
    assert answer.status_code == 200


def test_a_name_can_be_allowed() -> None:
    with LocalRavi(
        database=":memory:", management_key=MANAGEMENT_KEY, allowed_hosts=["ravi.example"]
    ) as local:
        for host, status in (("Ravi.example:80", 200), ("other.example", 403)):
            headers = {**AUTHORIZED, "Host": host}
            assert httpx.get(local.url + IDENTITIES, headers=headers).status_code == status


def test_a_page_of_its_own_may_call_it(local: LocalRavi) -> None:
    headers = {**AUTHORIZED, "Origin": local.url}
    assert httpx.get(local.url + IDENTITIES, headers=headers).status_code == 200


# --- too much ----------------------------------------------------------------------------------


def exchange(local: LocalRavi, request: bytes, *, then: int = 0) -> bytes:
    """Send a request by hand, then zeros until `then` bytes or the end; returns the answer."""
    with socket.create_connection((local.host, local.port), timeout=30) as peer:
        peer.sendall(request)
        chunk = bytes(MIB)
        try:
            for _ in range(then // MIB):
                peer.sendall(chunk)
        except OSError:
            pass  # it has hung up, as it should
        answer = b""
        try:
            while received := peer.recv(65536):
                answer += received
        except ConnectionResetError:
            pass
        return answer


def request_head(local: LocalRavi, path: str, *lines: str) -> bytes:
    host = f"Host: {local.host}:{local.port}"
    return "\r\n".join([f"POST {path} HTTP/1.1", host, *lines, "", ""]).encode()


@pytest.mark.parametrize("with_key", [False, True], ids=["without a key", "with a key"])
@pytest.mark.parametrize(
    "length", ["Content-Length: 419430400", "Transfer-Encoding: chunked"], ids=["stated", "chunked"]
)
def test_a_body_of_400_mb_is_refused_and_not_received(
    local: LocalRavi, with_key: bool, length: str
) -> None:
    before = psutil.Process().memory_info().rss
    lines = ["Content-Type: application/json", length, "Connection: keep-alive"]
    if with_key:
        lines.append(f"Authorization: Bearer {MANAGEMENT_KEY}")
    request = request_head(local, IDENTITIES, *lines)
    if "chunked" in length:
        request += f"{400 * MIB:x}\r\n".encode()

    answer = exchange(local, request, then=400 * MIB)

    # A peer that has not stopped sending may lose the answer to the reset that ends it.
    assert answer[:12] in {b"", b"HTTP/1.1 401", b"HTTP/1.1 413"}
    assert psutil.Process().memory_info().rss - before < 64 * MIB
    assert httpx.get(local.url + IDENTITIES, headers=AUTHORIZED).json() == []


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(local: LocalRavi) -> None:
    lines = ["Content-Type: application/json", f"Authorization: Bearer {MANAGEMENT_KEY}"]
    for length, status in ((guard.BODY_LIMIT + 1, b"413"), ("9" * 400, b"413"), (-1, b"400")):
        request = request_head(local, IDENTITIES, *lines, f"Content-Length: {length}")
        assert exchange(local, request)[9:12] in {status, b"400"}, length


@pytest.mark.parametrize("shape", ["one long header", "many headers", "a long path"])
def test_headers_of_megabytes_do_not_hold_up_the_others(local: LocalRavi, shape: str) -> None:
    size = 1_800_000
    request = {
        "one long header": request_head(local, IDENTITIES, f"X-Long: {'x' * size}"),
        "many headers": request_head(local, IDENTITIES, *["X-Many: x"] * (size // 11)),
        "a long path": request_head(local, f"/{'x' * size}"),
    }[shape]

    answer = exchange(local, request)

    assert answer[:12] in {b"", b"HTTP/1.1 400"}
    assert httpx.get(local.url + IDENTITIES, headers=AUTHORIZED, timeout=5).status_code == 200


# --- too slow ----------------------------------------------------------------------------------


def test_a_body_that_does_not_end_is_given_up(
    local: LocalRavi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODY_S", 0.3)
    lines = [
        "Content-Type: application/json",
        f"Authorization: Bearer {MANAGEMENT_KEY}",
        "Content-Length: 100",
    ]

    answer = exchange(local, request_head(local, IDENTITIES, *lines) + b'{"name": ')

    assert answer[9:12] == b"408"
    assert b"connection: close" in answer.lower()
    assert local.store.identities() == []


def test_headers_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEADERS_S", 0.3)
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as local:
        assert exchange(local, b"GET / HTTP/1.1\r\nHost: ") == b""
        assert exchange(local, b"") == b""
        with httpx.Client(base_url=local.url, headers=AUTHORIZED) as client:
            assert client.get(IDENTITIES).status_code == 200


# --- mail --------------------------------------------------------------------------------------


@contextmanager
def smtp(local: LocalRavi) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(local.host, local.smtp_port, timeout=60) as session:
        yield session


def test_a_mail_of_25_mb_arrives_whole_with_what_is_attached(
    local: LocalRavi, anna: Record
) -> None:
    mail = EmailMessage()
    mail["From"] = "Shop <no-reply@shop.example>"
    mail["To"] = anna.email
    mail["Subject"] = "large"
    mail.set_content("see the files")
    contents = {"a.bin": os.urandom(16 * MIB), "ü b.txt": b"text\n" * (MIB // 5)}
    for name, content in contents.items():
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    raw = mail.as_bytes(policy=SMTP)
    raw += b"after the last part\r\n" * ((25_000_000 - len(raw)) // 21)

    with smtp(local) as session:
        assert session.sendmail("no-reply@shop.example", [anna.email], raw) == {}

    params = {"identity": anna.uuid}
    (found,) = httpx.get(
        f"{local.url}/api/email-messages/", headers=AUTHORIZED, params=params
    ).json()
    assert found["text_content"] == "see the files"
    downloaded = {
        file["filename"]: httpx.get(file["download_url"]).content for file in found["attachments"]
    }
    assert downloaded == contents


def test_a_mail_larger_than_any_provider_takes_is_refused(local: LocalRavi, anna: Record) -> None:
    with smtp(local) as session, pytest.raises(smtplib.SMTPResponseException) as caught:
        session.sendmail(
            "a@shop.example", [anna.email], b"Subject: x\r\n\r\n" + b"x\n" * 19_000_000
        )

    assert caught.value.smtp_code == 552
    assert local.store.mailbox.mails(anna) == []


CHARSETS = {
    "iso-8859-1": "café",
    "windows-1252": "€ “x”",
    "iso-2022-jp": "確認コード",
    "shift_jis": "確認コード",
    "gb18030": "验证码",
    "big5": "驗證碼",
    "euc-kr": "인증번호",
    "koi8-r": "код",
    "windows-1251": "код",
    "windows-1256": "رمز",
    "tis-620": "รหัส",
    "utf-8": "コード ✔",
    "utf-16": "x ✔",
}


@pytest.mark.parametrize(("charset", "text"), CHARSETS.items(), ids=CHARSETS)
def test_mail_in_any_charset_is_read(
    local: LocalRavi, anna: Record, charset: str, text: str
) -> None:
    import base64
    from email.header import Header

    body = base64.encodebytes(text.encode(charset)).decode()
    raw = (
        f"From: {Header(text, charset).encode()} <a@shop.example>\n"
        f"Subject: {Header(text, charset).encode()}\n"
        f"Content-Type: text/plain; charset={charset}\n"
        f"Content-Transfer-Encoding: base64\n\n{body}"
    )

    with smtp(local) as session:
        session.sendmail("a@shop.example", [anna.email], raw.encode("ascii"))

    (found,) = local.store.mailbox.mails(anna)
    assert (found["text_content"], found["subject"]) == (text, text)
    assert (found["from_display_name"], found["from_email"]) == (text, "a@shop.example")


def test_a_line_longer_than_the_rfc_has_it_is_taken(local: LocalRavi, anna: Record) -> None:
    with smtp(local) as session:
        session.sendmail("a@shop.example", [anna.email], b"Subject: x\r\n\r\n" + b"x" * 5_000)

    (found,) = local.store.mailbox.mails(anna)
    assert found["text_content"] == "x" * 5_000


def test_a_file_is_given_out_by_its_signed_address_alone(local: LocalRavi, anna: Record) -> None:
    mail = EmailMessage()
    mail.set_content("x")
    mail.add_attachment(b"<script>", maintype="text", subtype="html", filename="a.html")
    with smtp(local) as session:
        session.sendmail("a@shop.example", [anna.email], mail.as_bytes(policy=SMTP))
    params = {"identity": anna.uuid}
    found = httpx.get(f"{local.url}/api/email-messages/", headers=AUTHORIZED, params=params)
    url = httpx.URL(found.json()[0]["attachments"][0]["download_url"])

    answer = httpx.get(url)
    assert answer.content.strip() == b"<script>"
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["content-security-policy"] == "sandbox"
    later = str(int(url.params["expires"]) + 1)
    for changed in ({"expires": later}, {"signature": "0" * 64}, {"signature": "é"}):
        assert httpx.get(url.copy_merge_params(changed)).status_code == 403
    assert httpx.put(str(url).replace("downloads", "uploads"), content=b"x").status_code == 403
    assert httpx.get(url.copy_with(query=None)).status_code == 400


def test_the_log_of_the_database_is_written_ahead(tmp_path: Path) -> None:
    with LocalRavi(database=str(tmp_path / "db"), management_key=MANAGEMENT_KEY) as local:
        mode = local.store.db.one("PRAGMA journal_mode")
        assert mode
        assert mode[0] == "wal"


# Headers are folded, because lines of more than 64 KiB are refused before they are read.
BOMBS = {
    "one long header": b"Subject: " + b"x x x x x x x x\r\n " * 106_000 + b"\r\n\r\nx",
    "a long list of addresses": b"From: a@b\r\nCc: " + b"(a(a(a(a\r\n " * 12_000 + b"\r\n\r\nx",
    "long references": b"References: " + b"<<<<<<<<\r\n " * 12_000 + b"\r\n\r\nx",
    "many encoded words": b"Subject: " + b"=?utf-8?q?a?=\r\n " * 12_000 + b"\r\n\r\nx",
    "many parameters": b"Content-Type: text/plain" + b';\r\n a*0="b' * 12_000 + b"\r\n\r\nx",
    "deeply nested": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth)
        for depth in range(3_000)
    ),
    "many parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\n\r\nx\r\n" * 50_000,
}


_REFUSED_BOMBS = {"one long header", "deeply nested", "many parts"}


@pytest.mark.parametrize("name", BOMBS)
def test_a_mail_made_to_be_slow_is_read_or_refused_while_others_are_served(
    local: LocalRavi, anna: Record, name: str
) -> None:
    raw = BOMBS[name]
    before = time.process_time()
    with smtp(local) as session, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(_send, session, anna, raw)
        assert httpx.get(local.url + IDENTITIES, headers=AUTHORIZED, timeout=20).status_code == 200
        outcome = sending.result(20)
    assert outcome == (554 if name in _REFUSED_BOMBS else 250)
    for mail in local.store.mailbox.mails(anna):
        assert len(str(mail["subject"])) + len(str(mail["cc"])) <= 16 * 1024
    # CPU time of this process, so that a busy machine changes nothing; most took minutes.
    assert time.process_time() - before < 10


def _send(session: smtplib.SMTP, to: Record, raw: bytes) -> int:
    try:
        session.sendmail("a@shop.example", [to.email], raw)
    except smtplib.SMTPResponseException as exc:
        return exc.smtp_code
    return 250


# --- many, and what is left after a crash ------------------------------------------------------


def serve_in_a_process(folder: Path, *flags: str) -> tuple[subprocess.Popen[str], str]:
    program = "from ravi_agent.local.cli import main; main()"
    arguments = ["--port", "0", "--smtp-port", "0", "--management-key", MANAGEMENT_KEY, *flags]
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", program, *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    found = re.search(r"listening on (\S+),", process.stderr.readline())
    assert found
    return process, found[1]


def test_a_kill_in_the_middle_of_a_thousand_writes_loses_none_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    process, url = serve_in_a_process(tmp_path)
    acknowledged: list[str] = []
    enough = threading.Event()

    def write(worker: int) -> None:
        with httpx.Client(base_url=url, headers=AUTHORIZED) as client:
            for number in range(250):
                try:
                    answer = client.post(IDENTITIES, json={"name": f"{worker}-{number}"})
                except httpx.TransportError:
                    return
                acknowledged.append(answer.json()["uuid"])
                if len(acknowledged) >= 300:
                    enough.set()

    with process, ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, worker) for worker in range(4)]
        assert enough.wait(60)
        process.kill()
        for writer in writers:
            writer.result()
    assert 300 <= len(acknowledged) < 1000

    again, url = serve_in_a_process(tmp_path)
    with again:
        kept = {entry["uuid"] for entry in httpx.get(url + IDENTITIES, headers=AUTHORIZED).json()}
        again.terminate()
    assert set(acknowledged) <= kept


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "TERM"])
def test_it_ends_without_a_traceback_though_somebody_listens(
    tmp_path: Path, number: signal.Signals
) -> None:
    process, url = serve_in_a_process(tmp_path)
    with (
        process,
        httpx.Client(base_url=url, headers=AUTHORIZED) as client,
        client.stream("GET", "/api/events/stream/") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        process.send_signal(number)
        _, rest = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "Traceback" not in rest
    assert "error" not in rest.lower()


def serve_clients(tmp_path: Path, count: int, calls: int) -> None:
    process, url = serve_in_a_process(tmp_path)
    statuses: list[int] = []
    with process:
        memory = psutil.Process(process.pid)
        before = memory.memory_info().rss

        def work(number: int) -> None:
            with httpx.Client(base_url=url, headers=AUTHORIZED, timeout=120) as client:
                made = client.post(IDENTITIES, json={"name": f"n{number}", "provision_phone": True})
                statuses.append(made.status_code)
                whose = {"identity": made.json()["uuid"]}
                for _ in range(calls):
                    sent = client.post(
                        "/api/email-messages/compose/",
                        params=whose,
                        json={"to_email": made.json()["inbox"], "subject": "s", "content": "c"},
                    )
                    read = client.get("/api/email-messages/", params={**whose, "page": 1})
                    statuses.extend((sent.status_code, read.status_code))

        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(work, number) for number in range(count)]:
                done.result()
        grown = memory.memory_info().rss - before
        process.terminate()
        _, errors = process.communicate(timeout=30)

    assert set(statuses) == {200, 201}
    assert len(statuses) == count * (1 + 2 * calls)
    assert "Traceback" not in errors
    assert grown < 100 * MIB


def test_forty_clients_at_once_are_all_served(tmp_path: Path) -> None:
    serve_clients(tmp_path, 40, 3)


@pytest.mark.soak
def test_two_hundred_clients_at_once_are_all_served(tmp_path: Path) -> None:
    serve_clients(tmp_path, 200, 20)

"""Anything may come in; out comes a result or one clear error, and never a planted secret."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conftest import MANAGEMENT_KEY
from ravi_agent.credential import Credential, container_credential
from ravi_agent.errors import RaviError
from ravi_agent.handover import Handover, parse_ready_line
from ravi_agent.identity import Identity
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.pages import Listing
from ravi_agent.service.provision import Provisioner
from ravi_agent.service.status import check_status
from ravi_agent.settings import VARIABLES, Settings
from ravi_agent.workspace.claim import Claim
from ravi_agent.workspace.reader import load

IDENTITY_KEY = "ravi_id_PLANTED_0123456789"

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)
# Near enough to the real thing to get behind the first check.
record = st.fixed_dictionaries(
    {},
    optional={
        name: st.text(max_size=60) | anything
        for name in ("uuid", "name", "inbox", "email", "phone", "created_dt", "key", "api_url")
    },
)
body = st.text(max_size=200) | anything | record | st.lists(record, max_size=3)
status = st.sampled_from(
    [200, 201, 204, 301, 307, 400, 401, 402, 403, 404, 409, 418, 429, 500, 502]
)
quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_clear(exc: RaviError) -> None:
    text = exc.lines("ravi-entrypoint")
    assert MANAGEMENT_KEY not in text
    assert IDENTITY_KEY not in text
    assert text.startswith("ravi-entrypoint: error: ")
    assert 64 <= exc.exit_code <= 78


@pytest.fixture(scope="module")
def service() -> Iterator[LocalRavi]:
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as server:
        yield server


@quick
@given(environ=st.dictionaries(st.sampled_from(sorted(VARIABLES)), st.text(max_size=60)))
@example(environ={"RAVI_SIGNAL_MAP": "0:0"})
@example(environ={"RAVI_SIGNAL_MAP": "RTMIN+99:1"})
@example(environ={"RAVI_EXIT_REMAP": "²:0"})
@example(environ={"RAVI_API_URL": "http://:"})
@example(environ={"RAVI_GRACE": "nan"})
def test_settings_are_understood_or_refused(environ: dict[str, str]) -> None:
    environ |= {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY, "HOME": "/nonexistent"}
    try:
        Settings(environ)
        assert MANAGEMENT_KEY not in repr(container_credential(environ))
    except RaviError as exc:
        assert_clear(exc)


@quick
@given(content=st.binary(max_size=300) | body.map(lambda value: json.dumps(value).encode()))
@example(content=b"[" * 100_000)
@example(content=b'{"uuid": "\\ud800"}')
@example(content=b"1" * 5000)
def test_a_file_in_the_workspace_is_an_identity_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("workspace")
    with Claim(str(path)) as claim:
        assert claim.is_free()
        identity = Identity(
            uuid="u", name="n", email="e@x", phone=None, created_at="", key=IDENTITY_KEY
        )
        claim.save(identity, api_url="https://ravi.id")
    (path / ".ravi/identity.json").write_bytes(content)
    try:
        load(str(path), name=None, api_url="https://ravi.id")
    except RaviError as exc:
        assert_clear(exc)


@quick
@given(line=st.binary(max_size=300) | anything.map(lambda value: json.dumps(value).encode()))
@example(line=json.dumps({"management_key": f"{MANAGEMENT_KEY}\n{MANAGEMENT_KEY}"}).encode())
@example(line=json.dumps({"identity": {"key": [IDENTITY_KEY]}}).encode())
@example(line=b"1" * 5000)
def test_a_handed_over_line_is_understood_or_refused(line: bytes) -> None:
    parse_ready_line(b"ravi-entrypoint: ready: " + line)
    try:
        handover = Handover.from_line(line)
    except RaviError as exc:
        assert_clear(exc)
    else:
        assert MANAGEMENT_KEY not in repr(handover)


def provision(service: LocalRavi) -> Identity:
    with RaviApi(service.url, Credential(MANAGEMENT_KEY, "test")) as api:
        provisioner = Provisioner(
            api,
            deadline=time.monotonic() + 0.05,
            phone_policy="auto",
            log=Log("test", level="debug"),
            settle_s=0.01,
        )
        return provisioner.provision("task-fuzz")


@quick
@given(code=status, content=body, path=st.sampled_from(["/api/", "/api/identities/", "/api/auth/"]))
@example(code=201, content={"uuid": MANAGEMENT_KEY, "detail": MANAGEMENT_KEY}, path="/api/")
@example(code=200, content="1" * 5000, path="/api/")
@example(code=307, content="", path="/api/")
def test_an_answer_makes_an_identity_or_one_error(
    service: LocalRavi, capfd: pytest.CaptureFixture[str], code: int, content: Any, path: str
) -> None:
    service.faults[:] = [Fault(path=path, status=code, body=content, method="POST")]
    before = len(service.store.identities())
    try:
        assert MANAGEMENT_KEY not in repr(provision(service))
    except RaviError as exc:
        if MANAGEMENT_KEY not in str(content):  # a service that knows the key may say it
            assert_clear(exc)
    captured = capfd.readouterr()
    if MANAGEMENT_KEY not in str(content):
        assert MANAGEMENT_KEY not in captured.out + captured.err
    assert len(service.store.identities()) <= before + 1


page = st.fixed_dictionaries(
    {"results": st.lists(record, max_size=3) | anything},
    optional={
        "next": anything | st.from_regex(r"(https?:)?//?[a-z@:0-9\[\]./?=&%-]{0,40}"),
        "count": anything,
    },
)


@quick
@given(answers=st.lists(page | body, min_size=1, max_size=4))
@example(answers=[{"results": [], "next": "http://[::1"}])
@example(answers=[{"results": [], "next": "//\ud800?page=2"}])
@example(answers=[{"results": [], "next": "?page=\ud800"}])
@example(answers=[{"results": [], "next": "http://ravi.id:99999/api/identities/?page=2"}])
def test_a_list_is_read_or_refused(answers: list[Any]) -> None:
    listing = Listing("https://ravi.id/api/identities/", {"identity": "u"})
    try:
        for answer in answers:
            if listing.query is None:
                break
            assert isinstance(listing.add(answer), list)
            assert (listing.query or "").isascii()
    except RaviError as exc:
        assert_clear(exc)


@quick
@given(
    code=st.integers(min_value=100, max_value=999),
    content=st.binary(max_size=100) | (anything | record).map(lambda one: json.dumps(one).encode()),
    header=st.text(max_size=40) | st.integers().map(str),
)
@example(code=429, content=b'{"retry_after_seconds": ' + b"9" * 4000 + b"}", header="")
@example(code=503, content=b"[" * 100_000, header="9" * 5000)
@example(code=400, content=b'{"error": {"details": {"code": {}, "a": [[]]}}}', header="")
@example(code=400, content=b'{"error": {"message": "\\ud800"}}', header="")
def test_a_status_is_a_success_or_one_error(code: int, content: bytes, header: str) -> None:
    headers = {"retry-after": header, "location": header}
    try:
        check_status(code, headers, content, "GET x", [MANAGEMENT_KEY])
        assert 200 <= code < 300
    except RaviError as exc:
        assert_clear(exc)


@settings(parent=quick, max_examples=12)
@given(code=status, content=body)
def test_the_whole_program_never_shows_a_traceback_or_a_key(
    service: LocalRavi, tmp_path_factory: pytest.TempPathFactory, code: int, content: Any
) -> None:
    service.faults[:] = [Fault(status=code, body=content)]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ravi-init"))],
        env={
            "PATH": os.environ["PATH"],
            "RAVI_API_URL": service.url,
            "RAVI_WORKSPACE": str(tmp_path_factory.mktemp("workspace")),
            "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
            "RAVI_LOG_LEVEL": "debug",
            "RAVI_PROVISION_TIMEOUT": "0.3",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    output = done.stdout + done.stderr
    assert MANAGEMENT_KEY not in output
    assert "Traceback" not in output
    assert 'File "' not in output
    assert done.returncode in {0, 64, 69, 73, 75, 76, 77, 78}, output
    assert (done.returncode == 0) == ("error: " not in output)

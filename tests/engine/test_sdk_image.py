"""`pip install ravi-sdk` in an image FROM ravi-agent-base, and what its README begins with."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from clients import SDK_VERSION
from conftest import MANAGEMENT_KEY
from engine.conftest import PREFIX, Run
from engine.tls_front import TlsFront
from ravi_agent.local.server import LocalRavi

HERE = Path(__file__).parent / "sdk"
HOST = "api.ravi.app"  # built into the SDK
AS_ITS_README_SAYS = """
import os
from ravi import Ravi

me = Ravi(api_key=os.environ["RAVI_API_KEY"]).me
print(os.getuid(), me.uuid, me.email_address, me.phone_number)
"""
# docs/clients.md: how it is pointed at another host.
ELSEWHERE = """
import os
import httpx
from ravi import Ravi

key = os.environ["RAVI_API_KEY"]
elsewhere = httpx.Client(
    base_url=os.environ["RAVI_API_URL"] + "/api", headers={"Authorization": f"Bearer {key}"}
)
me = Ravi(api_key=key, http_client=elsewhere).me
print(os.getuid(), me.uuid, me.email_address, me.phone_number)
"""


@pytest.fixture
def service(gateway: str) -> Iterator[LocalRavi]:
    with LocalRavi(
        database=":memory:", management_key=MANAGEMENT_KEY, host=gateway, allowed_hosts={HOST}
    ) as server:
        yield server


@pytest.fixture(scope="module")
def image(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    version = client.containers.run(
        "ravi-agent-base",
        ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        entrypoint="python3",
        remove=True,
    )
    context = tmp_path_factory.mktemp("sdk") / "context"
    shutil.copytree(HERE, context)
    download = f"""{sys.executable} -m pip download --quiet --disable-pip-version-check
        --only-binary :all: --python-version {version.decode()} --dest {context / "wheels"}
        ravi-sdk=={SDK_VERSION}"""
    subprocess.run(download.split(), check=True, timeout=200)
    tag = PREFIX + uuid.uuid4().hex[:12]
    client.images.build(path=str(context), tag=tag, rm=True, forcerm=True)
    yield tag
    client.images.remove(tag, force=True)


def test_the_sdk_is_the_agent_s_identity_as_its_readme_says(
    image: str, run: Run, service: LocalRavi, gateway: str, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    with TlsFront(HOST, (gateway, service.port), gateway, authority) as front:
        ran = run(
            *("env", f"HTTPS_PROXY={front.url}", "SSL_CERT_FILE=/ca.pem"),
            *("python", "-c", AS_ITS_README_SAYS),
            image=image,
            volumes={str(authority): {"bind": "/ca.pem", "mode": "ro"}},
        )

    assert ran.code == 0, ran.stderr
    (own,) = service.store.identities()
    assert ran.stdout.split() == ["1000", own.uuid, own.email, own.phone]


def test_the_sdk_is_pointed_at_another_host_as_documented(
    image: str, run: Run, service: LocalRavi
) -> None:
    ran = run("python", "-c", ELSEWHERE, image=image)

    assert ran.code == 0, ran.stderr
    (own,) = service.store.identities()
    assert ran.stdout.split() == ["1000", own.uuid, own.email, own.phone]


def test_the_account_s_key_is_not_what_it_finds(image: str, run: Run) -> None:
    """Neither by default, nor where the identity's own key is left out."""
    for setting in ("1", "0"):
        ran = run("env", image=image, environment={"RAVI_EXPORT_API_KEY": setting})
        assert MANAGEMENT_KEY not in ran.stdout
        assert ("RAVI_API_KEY=ravi_id_" in ran.stdout) == (setting == "1")

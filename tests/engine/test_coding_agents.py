"""Claude Code and Codex as they are published, each on an identity of its own, sign up at a shop.

Only their model is a stand-in. The network has no way out, and what they try to reach is noted.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.models.networks import Network

from conftest import MANAGEMENT_KEY
from engine.conftest import PREFIX, Ran, Run
from engine.stand_in_models import KEY, LAST_WORDS, AnthropicApi, ModelServer, OpenAiApi, Scenario
from ravi_agent.local.server import LocalRavi

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "images/demo-shop/shop.py"
README = (ROOT / "README.md").read_text(encoding="utf-8")
CA = "/etc/ssl/certs/ca-certificates.crt"
PROMPT = "Sign up at the shop with your own email address and phone number."

pytestmark = pytest.mark.timeout(300)


@dataclass
class Closed:
    """A network without a way out; `gateway` is the host on it."""

    network: Network
    gateway: str


@pytest.fixture
def closed(client: docker.DockerClient) -> Iterator[Closed]:
    network = client.networks.create(PREFIX + os.urandom(4).hex(), internal=True)
    network.reload()
    yield Closed(network, network.attrs["IPAM"]["Config"][0]["Gateway"])
    network.remove()


@pytest.fixture
def service(closed: Closed) -> Iterator[LocalRavi]:
    host = closed.gateway
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY, host=host) as server:
        yield server


@dataclass
class Shop:
    """The shop of `make demo-signup`, on the host."""

    url: str
    environ: dict[str, str]

    def report(self) -> str:
        command = [sys.executable, str(SHOP), "report", "1"]
        done = subprocess.run(
            command, env=self.environ, capture_output=True, check=False, text=True, timeout=30
        )
        return done.stdout


@pytest.fixture
def shop(closed: Closed, service: LocalRavi) -> Iterator[Shop]:
    environ = {
        **os.environ,
        "SHOP_PORT": "0",
        "SHOP_SMTP": f"{service.host}:{service.smtp_port}",
        "SHOP_SMS_URL": f"{service.url}/local/sms/",
    }
    with subprocess.Popen(
        [sys.executable, str(SHOP)], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        environ["SHOP_PORT"] = process.stdout.readline().split()[-1]
        yield Shop(f"http://{closed.gateway}:{environ['SHOP_PORT']}", environ)
        process.terminate()


@pytest.fixture
def claude_code(client: docker.DockerClient, tmp_path: Path) -> Iterator[str]:
    """The image of the README, built as it says there: `make test` has its layers already."""
    (dockerfile,) = re.findall(r"^```dockerfile\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (build,) = re.findall(r"^docker build .*$", README, re.MULTILINE)
    path, image = tmp_path / "Dockerfile", PREFIX + os.urandom(4).hex()
    path.write_text(dockerfile)
    words = [image if word == "my-agent" else word for word in build.split()]
    words[words.index("--file") + 1] = str(path)
    if os.path.exists(CA):
        words[2:2] = ["--secret", f"id=ca,src={CA}"]
    words[0] = client_with_buildkit()
    done = subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    yield image
    client.images.remove(image, force=True)


def client_with_buildkit() -> str:
    """The client that scripts/images builds with."""
    script = (ROOT / "scripts/images").read_text()
    (function,) = re.findall(r"^find_client\(\) \{\n.*?^\}$", script, re.MULTILINE | re.DOTALL)
    command = ["sh", "-c", f"fail() {{ exit 69; }}\n{function}\nfind_client"]
    return subprocess.run(
        command, capture_output=True, check=True, text=True, timeout=30
    ).stdout.strip()


def sign_up(shop: Shop) -> Scenario:
    """Fill in the form, wait for the code that is mailed, enter it; and the same by SMS.

    Gives up where a command has not printed what the next one needs.
    """
    curl = "curl --silent --show-error --fail-with-body"

    def next_command(outputs: list[str]) -> str | None:
        whole = "\n".join(outputs)
        email = re.search(r'": "(\S+@\S+)"', whole)
        phone = re.search(r'": "(\+\d+)"', whole)
        code = re.search(r"^\d{6}$", outputs[-1] if outputs else "", re.MULTILINE)
        match len(outputs), email, phone, code:
            case 0, _, _, _:
                return "ravi identity show"
            case 1, re.Match(), re.Match(), _:
                fields = f"--data email={email[1]} --data-urlencode phone={phone[1]}"
                return f"{curl} {fields} {shop.url}/signup"
            case 2, _, _, _:
                return "ravi inbox wait --code --email --from shop.example --timeout 1m"
            case 3, re.Match(), _, re.Match():
                return f"{curl} --data email={email[1]} --data code={code[0]} {shop.url}/email"
            case 4, _, _, _:
                return "ravi inbox wait --code --sms --timeout 1m"
            case 5, re.Match(), _, re.Match():
                return f"{curl} --data email={email[1]} --data code={code[0]} {shop.url}/phone"
            case _:
                return None

    return next_command


def after(first: str, rest: Scenario) -> Scenario:
    """One command more, before the others and whatever becomes of it."""
    return lambda outputs: rest(outputs[1:]) if outputs else first


def check(ran: Ran, model: ModelServer, shop: Shop, service: LocalRavi) -> None:
    """What must hold of an agent that is through."""
    said = ran.stdout + ran.stderr
    assert ran.code == 0, said
    assert model.refused == []
    assert LAST_WORDS in ran.stdout, said
    assert "1 of 1 signed up at the shop, with 2 different codes" in shop.report(), model.outputs
    (identity,) = service.store.identities()
    assert f"Welcome, {identity.email}" in model.outputs[-1]
    # It was told of its skill, and nothing of the account.
    assert "ravi-inbox" in str(model.prompts[0])
    assert MANAGEMENT_KEY not in str(model.prompts)
    assert model.strays == []


def model_environment(model: ModelServer) -> dict[str, str]:
    # What wants to leave asks this proxy, which notes it.
    return {"HTTPS_PROXY": model.url, "NO_PROXY": model.url.split("/")[-1].split(":")[0]}


def test_claude_code_signs_up(
    closed: Closed, run: Run, service: LocalRavi, shop: Shop, claude_code: str
) -> None:
    forbidden = "python3 -c \"open('/workspace/forbidden', 'w')\""
    with AnthropicApi(closed.gateway, after(forbidden, sign_up(shop))) as model:
        ran = run(
            *("claude", "--print", PROMPT, "--allowedTools", "Bash(curl:*)", "Bash(ravi:*)"),
            image=claude_code,
            environment={
                **model_environment(model),
                "ANTHROPIC_API_KEY": KEY,
                "ANTHROPIC_BASE_URL": model.url,
            },
            network=closed.network.name,
        )

    check(ran, model, shop, service)
    assert model.outputs[0] == "This command requires approval"


def test_the_command_of_the_readmes_image_asks_the_model(
    closed: Closed, run: Run, service: LocalRavi, claude_code: str
) -> None:
    def scenario(outputs: list[str]) -> str | None:
        return None if outputs else "ravi get email"

    with AnthropicApi(closed.gateway, scenario) as model:
        ran = run(
            image=claude_code,
            environment={"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url},
            network=closed.network.name,
        )

    (identity,) = service.store.identities()
    assert ran.code == 0, ran.stderr
    assert identity.email in model.outputs[0]
    assert "Which email address do you have?" in str(model.prompts[0])


@pytest.mark.parametrize("model_name", ["gpt-5.5", "gpt-6.1-sol"])
def test_codex_signs_up(
    closed: Closed, run: Run, service: LocalRavi, shop: Shop, model_name: str
) -> None:
    with OpenAiApi(closed.gateway, after("env", sign_up(shop))) as model:
        ran = run(
            *("codex", "exec", "--skip-git-repo-check", *codex_options(model, model_name), PROMPT),
            image="ravi-codex",
            environment={**model_environment(model), "OPENAI_API_KEY": KEY},
            network=closed.network.name,
        )

    check(ran, model, shop, service)
    (identity,) = service.store.identities()
    assert f"RAVI_EMAIL={identity.email}\n" in model.outputs[0]
    assert "RAVI_MANAGEMENT" not in model.outputs[0]


def codex_options(model: ModelServer, name: str) -> list[str]:
    """Codex' own way to name another API than OpenAI's."""
    provider = {
        "model": name,
        "model_provider": "stand-in",
        "model_providers.stand-in.name": "stand-in",
        "model_providers.stand-in.base_url": f"{model.url}/v1",
        "model_providers.stand-in.env_key": "OPENAI_API_KEY",
    }
    return [f'--config={key}="{value}"' for key, value in provider.items()]


def test_a_key_that_the_model_refuses_fails_the_agent(
    closed: Closed, run: Run, service: LocalRavi
) -> None:
    def scenario(outputs: list[str]) -> str | None:
        raise AssertionError(outputs)

    with (
        AnthropicApi(closed.gateway, scenario) as claude,
        OpenAiApi(closed.gateway, scenario) as gpt,
    ):
        first = run(
            *("claude", "--print", PROMPT),
            image="ravi-claude-code",
            environment={"ANTHROPIC_API_KEY": "sk-wrong", "ANTHROPIC_BASE_URL": claude.url},
            network=closed.network.name,
        )
        second = run(
            *("codex", "exec", "--skip-git-repo-check", *codex_options(gpt, "gpt-5.5"), PROMPT),
            image="ravi-codex",
            environment={"OPENAI_API_KEY": "sk-wrong"},
            network=closed.network.name,
        )

    assert (first.code, second.code) == (1, 1), first.stdout + second.stderr
    assert set(claude.refused) == {"invalid x-api-key"}
    assert set(gpt.refused) == {"Incorrect API key provided."}

"""Claude Code itself with `--worktree` and the recipe's hook; its model is a stand-in."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from engine.stand_in_models import KEY, LAST_WORDS, AnthropicApi
from harnesses.conftest import BIN, RECIPES, Host

PACKAGES = Path(sys.prefix) / "harnesses/claude-code/node_modules/@anthropic-ai"
SEEN = 'printf \'%s|\' "$PWD" "$RAVI_EMAIL" "$(ravi get email)" "$(env)"'


class Claude:
    """Claude Code in a repository that has the recipe."""

    def __init__(self, host: Host, model: AnthropicApi) -> None:
        self.host = host
        self.model = model
        (self.program,) = PACKAGES.glob("claude-code-*/claude")
        (host.repository / ".claude").mkdir()
        shutil.copy(RECIPES / "claude-code/settings.json", host.repository / ".claude")
        (host.repository / ".gitignore").write_text(".claude/worktrees/\n")
        host.commit()
        settings = (RECIPES / "claude-squad/ravi.env").read_text()
        settings += f"export RAVI_API_URL={host.local.url}\n"
        (host.home / ".config/ravi.env").write_text(settings)
        host.environ = {
            "HOME": str(host.home),
            "PATH": f"{BIN}:/usr/bin:/bin",
            "GIT_CONFIG_NOSYSTEM": "1",
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": model.url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def run(self, *arguments: str, code: int = 0) -> list[str]:
        """One session; what its command has seen."""
        self.model.outputs = []
        said = self.host.run(
            self.program,
            *("--print", "--allowedTools", "Bash", *arguments, "Who are you?"),
            code=code,
        ).stdout
        assert LAST_WORDS in said
        return self.model.outputs[0].split("|", 3) if self.model.outputs else []


@pytest.fixture
def claude(host: Host) -> Iterator[Claude]:
    assert PACKAGES.exists(), "no Claude Code here: scripts/harnesses"
    with AnthropicApi("127.0.0.1", lambda outputs: None if outputs else SEEN) as model:
        yield Claude(host, model)
        assert model.refused == []


@pytest.mark.timeout(300)
def test_each_work_tree_of_claude_code_has_an_identity_that_its_commands_know(
    claude: Claude,
) -> None:
    seen: dict[str, str] = {}
    for name in ("one", "two", "one"):
        path, email, answer, environ = claude.run("--worktree", name)
        assert path == str(claude.host.repository / ".claude/worktrees" / name)
        assert json.loads(answer)["email"] == email
        assert MANAGEMENT_KEY not in environ
        assert "RAVI_MANAGEMENT_KEY" not in environ
        assert seen.setdefault(name, email) == email

    assert sorted(claude.host.emails().values()) == sorted(seen.values())
    assert len(set(seen.values())) == 2
    assert claude.host.git("status", "--porcelain") == ""


def test_without_an_identity_no_prompt_reaches_the_model(claude: Claude) -> None:
    claude.host.key.write_text("wrong")

    said = claude.host.run(
        *(claude.program, "--print", "--worktree", "one", "Who are you?"), code=None
    )

    assert "UserPromptSubmit operation blocked by hook" in said.stdout
    assert "no provisioned workspace" in said.stdout
    assert claude.model.prompts == []
    assert claude.host.emails() == {}

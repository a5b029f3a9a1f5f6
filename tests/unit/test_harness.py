"""`ravi-init --harness`: settings that keep what they have, and get it back."""

import json
import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ravi_agent.container.harness import HARNESSES, settings_path
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace import json_merge
from unit.test_release import BIN, environ

__all__ = ["environ"]  # the host of `ravi-init`
RECIPES = Path(__file__).parents[2] / "images/harnesses"
SHIPPED = {
    "claude-code": "claude-code/settings.json",
    "lalph": "lalph/settings.cliAgentPresets",
    "vibe-kanban": "vibe-kanban/profiles.json",
}
# What each tool starts with where it finds no file, at the version that the recipe was made for.
DEFAULTS: dict[str, Any] = {
    "claude-squad": {
        "auto_yes": False,
        "daemon_poll_interval": 1000,
        "branch_prefix": f"{pwd.getpwuid(os.getuid()).pw_name.lower()}/",
    },
    "claude-code": {},
    "lalph": [{"id": "default", "cliAgent": "claude", "extraArgs": [], "sourceMetadata": {}}],
    "vibe-kanban": {
        "executors": {
            "CLAUDE_CODE": {"DEFAULT": {"CLAUDE_CODE": {"dangerously_skip_permissions": True}}}
        }
    },
}
# Somebody's settings, with something beside and above everything that a recipe adds.
OWN: dict[str, Any] = {
    "claude-squad": {
        "default_program": "mine",
        "branch_prefix": "me/",
        "profiles": [
            {"name": "mine", "program": "claude --model x"},
            {"name": "b", "program": "b"},
        ],
        "later": [1],
    },
    "claude-code": {
        "model": "opus",
        "hooks": {
            "SessionStart": [{"hooks": [{"type": "command", "command": "date"}]}],
            "Stop": [],
        },
    },
    "lalph": [
        {"id": "fast", "cliAgent": "codex", "commandPrefix": ["nice"]},
        {"id": "default", "cliAgent": "codex", "commandPrefix": ["nice"], "extraArgs": ["-x"]},
    ],
    "vibe-kanban": {
        "executors": {
            "CLAUDE_CODE": {
                "DEFAULT": {"CLAUDE_CODE": {"plan": True, "base_command_override": "c"}}
            },
            "CODEX": {},
        }
    },
}


class Tool:
    """`ravi-init --harness` for one tool, in a repository of its own."""

    def __init__(self, name: str, environ: dict[str, str], path: Path) -> None:
        self.name = name
        self.environ = environ
        self.repository = path / "repository"
        self.repository.mkdir()
        self.file = self.repository / HARNESSES[name].path
        if not HARNESSES[name].path.startswith("."):
            self.file = Path(settings_path(HARNESSES[name], environ))

    def run(self, *flags: str, code: int = 0) -> str:
        arguments = ("--harness", self.name, *flags)
        done = run_in(self.repository, self.environ, *arguments)
        assert done.returncode == code, done.stderr
        return str(done.stdout + done.stderr)

    def settings(self) -> Any:
        return json.loads(self.file.read_text())

    def write(self, value: Any) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(value if isinstance(value, str) else json.dumps(value))


def run_in(cwd: Path, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "ravi-init", *arguments],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(params=HARNESSES)
def tool(request: pytest.FixtureRequest, environ: dict[str, str], tmp_path: Path) -> Tool:
    return Tool(request.param, environ, tmp_path)


def holds(whole: Any, part: Any) -> bool:
    """Whether everything of `part` is in `whole`, in its place."""
    if isinstance(part, dict):
        return all(key in whole and holds(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return all(any(holds(one, item) for one in whole) for item in part)
    return bool(whole == part)


def test_a_new_file_has_the_tool_s_own_defaults_and_is_the_recipe_that_is_shipped(
    tool: Tool, local: LocalRavi
) -> None:
    tool.run()

    assert holds(tool.settings(), DEFAULTS[tool.name])
    assert holds(tool.settings(), HARNESSES[tool.name].ours)
    if tool.name in SHIPPED:
        assert tool.settings() == json.loads((RECIPES / SHIPPED[tool.name]).read_text())
    assert not local.requests.entries


# What a file has beside the part that a recipe changes, which each tool then has not.
PARTS: dict[str, list[Any]] = {
    "claude-squad": [{}, {"profiles": None}, {"default_program": "codex", "auto_yes": True}],
    "claude-code": [{}, {"model": "opus"}],
    "lalph": [[], [{"id": "fast", "cliAgent": "codex", "commandPrefix": []}]],
    # Among them what the tool writes when a user chooses a model, and a variant that a user added.
    "vibe-kanban": [
        {},
        {"executors": {}},
        {"executors": {"CLAUDE_CODE": {"recently_used_models": {"DEFAULT": ["opus"]}}}},
        {"executors": {"CLAUDE_CODE": {"MINE": {"CLAUDE_CODE": {"plan": True}}}}},
        {"executors": {"CODEX": {"DEFAULT": {"CODEX": {}}}}},
    ],
}


def test_a_file_without_the_part_that_is_changed_gets_the_tool_s_own_too(tool: Tool) -> None:
    for settings in PARTS[tool.name]:
        tool.write(settings)

        tool.run()
        assert holds(tool.settings(), HARNESSES[tool.name].ours)
        replaced = {"auto_yes"} if isinstance(settings, dict) and "auto_yes" in settings else set()
        lacking = json_merge.merge(json.loads(json.dumps(tool.settings())), DEFAULTS[tool.name])
        assert {change["at"][-1] for change in lacking} <= replaced

        tool.run("--undo")
        assert tool.settings() == settings


def test_a_profile_that_somebody_has_made_is_not_added_to(
    environ: dict[str, str], tmp_path: Path
) -> None:
    tool = Tool("vibe-kanban", environ, tmp_path)
    tool.write(OWN["vibe-kanban"])

    tool.run()

    assert "dangerously_skip_permissions" not in tool.file.read_text()


@pytest.mark.parametrize(
    ("value", "is_followed"), [("data", False), ("", False), ("/tmp/data", True)]
)
def test_vibe_kanban_s_data_are_where_the_user_says(
    environ: dict[str, str], value: str, is_followed: bool
) -> None:
    """Its library ignores a path that is not absolute, as the specification says."""
    path = settings_path(HARNESSES["vibe-kanban"], {**environ, "XDG_DATA_HOME": value})

    folder = value if is_followed else f"{environ['HOME']}/.local/share"
    assert path == f"{folder}/vibe-kanban/profiles.json"


def test_what_is_there_stays_and_comes_back_whole(tool: Tool) -> None:
    tool.write(OWN[tool.name])
    tool.file.chmod(0o640)

    for _ in range(2):  # again changes nothing
        tool.run()
        assert holds(tool.settings(), HARNESSES[tool.name].ours)
    kept = json_merge.merge(json.loads(json.dumps(tool.settings())), OWN[tool.name])
    replaced = {"default_program", "commandPrefix", "base_command_override"}
    assert {change["at"][-1] for change in kept} <= replaced
    assert stat.S_IMODE(tool.file.stat().st_mode) == 0o640

    tool.run("--undo")
    assert tool.settings() == OWN[tool.name]
    assert "nothing to take back" in tool.run("--undo")


def test_what_somebody_has_changed_since_is_not_taken_back(tool: Tool) -> None:
    tool.run()
    settings = tool.settings()
    if tool.name == "claude-squad":
        settings |= {"default_program": "codex", "branch_prefix": "x/"}
    elif tool.name == "claude-code":
        settings["hooks"]["Stop"] = [1]
    elif tool.name == "lalph":
        settings[0]["commandPrefix"] = ["docker"]
    else:
        settings["executors"]["CODEX"] = {}
    tool.write(settings)

    tool.run("--undo")

    kept: dict[str, Any] = {
        "claude-squad": {"default_program": "codex", "branch_prefix": "x/"},
        "claude-code": {"hooks": {"Stop": [1]}},
        "lalph": [{"commandPrefix": ["docker"]}],
        "vibe-kanban": {"executors": {"CODEX": {}}},
    }
    assert holds(tool.settings(), kept[tool.name])
    assert "ravi" not in tool.file.read_text()


def test_printing_changes_nothing(tool: Tool) -> None:
    tool.write(OWN[tool.name])

    said = tool.run("--print")

    assert holds(json.loads(said), HARNESSES[tool.name].ours)
    assert tool.settings() == OWN[tool.name]


def test_a_file_that_people_have_written_comes_back_as_they_wrote_it(tool: Tool) -> None:
    text = json.dumps(OWN[tool.name], indent=4).replace("fast", "é ✔").replace("opus", "é ✔")
    tool.write(f"{text}\n")

    tool.run()
    assert "\\u" not in tool.file.read_text()
    tool.run("--undo")

    assert tool.file.read_text() == f"{text}\n"


ODD: dict[str, list[Any]] = {
    "claude-squad": [{"profiles": "all"}, {"default_program": "c", "profiles": {"c": 1}}],
    "claude-code": [{"hooks": []}, {"hooks": {"SessionStart": {"command": "date"}}}],
    "lalph": [[{"id": "default", "commandPrefix": "nice"}]],
    "vibe-kanban": [{"executors": ["CLAUDE_CODE"]}, {"executors": {"CLAUDE_CODE": True}}],
}


def test_nothing_of_another_shape_is_replaced(tool: Tool) -> None:
    for settings in ODD[tool.name]:
        text = json.dumps(settings)
        tool.write(text)

        assert "it is not the JSON that the tool writes" in tool.run(code=78)
        assert tool.file.read_text() == text


def test_profiles_that_have_no_name_are_no_profiles(tool: Tool) -> None:
    if tool.name == "claude-squad":
        tool.write({"default_program": "claude", "profiles": ["x", None, {"program": "c"}]})

    tool.run()
    assert holds(tool.settings(), HARNESSES[tool.name].ours)


@pytest.mark.parametrize("text", ["{", '"text"', "[" * 100_000], ids=["broken", "text", "deep"])
def test_a_file_that_is_not_understood_stays_as_it_is(tool: Tool, text: str) -> None:
    tool.write(text)

    assert "  fix: repair or remove" in tool.run(code=78)
    assert tool.file.read_text() == text


@pytest.mark.parametrize(
    "words", [["--harness", "other"], ["--undo"], ["--harness", "lalph", "--key", "k"]]
)
def test_a_command_line_of_something_else_is_refused(
    environ: dict[str, str], tmp_path: Path, words: list[str]
) -> None:
    done = run_in(tmp_path, environ, *words)

    assert done.returncode == 64
    assert "\n  fix: " in done.stderr

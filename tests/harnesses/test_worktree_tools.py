"""Tools that make work trees and run a script in each: the files that are shipped, in their order.

The tools themselves are desktop programs that no registry serves. What is read here is the whole
file; a script runs in a new work tree, in the tool's own shell, with the tool's own variables and
without the environment of any terminal, as under a desktop.
"""

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from harnesses.conftest import BIN, RECIPES, Host


class Tool(NamedTuple):
    """How a tool runs its scripts. `end`: None where it runs none at the end of a work tree."""

    file: str
    shell: str
    read: Callable[[str], tuple[list[str], list[str] | None]]
    variable: str | None = None


def _codex(text: str) -> tuple[list[str], list[str]]:
    config = tomllib.loads(text)
    assert config["version"] == 1
    return [config["setup"]["script"]], [config["cleanup"]["script"]]


def _cursor(text: str) -> tuple[list[str], None]:
    config = json.loads(text)
    assert config.keys() <= {"setup-worktree", "setup-worktree-unix", "setup-worktree-windows"}
    return config["setup-worktree-unix"], None


def _superset(text: str) -> tuple[list[str], list[str]]:
    config = json.loads(text)
    return config["setup"], config["teardown"]


def _scripts(end: str) -> Callable[[str], tuple[list[str], list[str]]]:
    def read(text: str) -> tuple[list[str], list[str]]:
        scripts = yaml.safe_load(text)["scripts"]
        return [scripts["setup"]], [scripts[end]]

    return read


def _emdash(text: str) -> tuple[list[str], list[str]]:
    # The canaries of 1.1.41 run `prepare` before an agent starts; 1.1.40 knows `setup` only.
    assert json.loads(text)["scripts"]["prepare"] == json.loads(text)["scripts"]["setup"]
    return _scripts("teardown")(text)


TOOLS = {
    "codex-app": Tool("codex-app/environment.toml", "bash", _codex, "CODEX_WORKTREE_PATH"),
    "cursor": Tool("cursor/worktrees.json", "sh", _cursor),
    "conductor": Tool("conductor/conductor.json", "zsh", _scripts("archive")),
    "emdash": Tool("emdash/emdash.json", "sh", _emdash),
    "superset": Tool("superset/config.json", "zsh", _superset),
    "orca": Tool("orca/orca.yaml", "bash", _scripts("archive")),
}


class Desktop:
    """A tool on a host, with a desktop's environment: no key, and the system's own PATH."""

    def __init__(self, host: Host, tool: Tool) -> None:
        self.host = host
        self.tool = tool
        self.setup, self.end = tool.read((RECIPES / tool.file).read_text())
        settings = (RECIPES / "claude-squad/ravi.env").read_text()
        settings += f"export RAVI_API_URL={host.local.url} PATH={BIN}:/usr/bin:/bin\n"
        (host.home / ".config/ravi.env").write_text(settings)

    def run(self, scripts: list[str], tree: Path) -> int:
        """One after another, each in a shell of its own; the first that fails ends it."""
        environ = {"HOME": str(self.host.home), "PATH": "/usr/bin:/bin"}
        if self.tool.variable:
            environ[self.tool.variable] = str(tree)
        for script in scripts:
            done = subprocess.run(
                [self.tool.shell, "-c", script],
                cwd=tree,
                env=environ,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
                timeout=100,
            )
            if done.returncode:
                return done.returncode
        return 0


@pytest.fixture(params=TOOLS)
def desktop(host: Host, request: pytest.FixtureRequest) -> Desktop:
    return Desktop(host, TOOLS[request.param])


def test_a_whole_cycle_leaves_the_identities_it_should(desktop: Desktop) -> None:
    host = desktop.host
    trees = [host.path / f"trees/{name}" for name in ("one", "two")]
    for tree in trees:
        host.add_worktree("-b", tree.name, tree)
        assert desktop.run(desktop.setup, tree) == 0
        assert desktop.run(desktop.setup, tree) == 0  # again makes nothing
    names = {host.name_of(tree) for tree in trees}
    assert host.emails().keys() == names
    host.git("add", "--all", cwd=trees[0])
    assert host.git("status", "--porcelain", cwd=trees[0]) == ""

    if desktop.end:
        assert desktop.run(desktop.end, trees[0]) == 0
        assert host.emails().keys() == {host.name_of(trees[1])}
    host.git("worktree", "remove", "--force", trees[0])
    host.git("branch", "-D", "one")
    host.run(
        *("ravi-launch", "reap", "--force", "--older-than", "0s", "--worktrees"), host.repository
    )
    assert host.emails().keys() == {host.name_of(trees[1])}


def test_a_script_without_the_account_s_key_fails_and_makes_nothing(desktop: Desktop) -> None:
    desktop.host.key.write_text("wrong")
    tree = desktop.host.path / "tree"
    desktop.host.add_worktree("-b", "one", tree)

    assert desktop.run(desktop.setup, tree) == 77

    assert desktop.host.emails() == {}
    assert not (tree / ".ravi").exists()


def test_a_sandbox_s_entrypoint_is_given_to_it_and_no_key_of_the_account() -> None:
    kit = yaml.safe_load((RECIPES / "sbx/spec.yaml").read_text())

    assert (kit["schemaVersion"], kit["kind"]) == ("2", "sandbox")
    assert kit["sandbox"]["entrypoint"][:2] == ["ravi-entrypoint", "--"]
    assert "credentials" not in kit
    assert "RAVI_MANAGEMENT_KEY" not in json.dumps(kit)


def test_a_sandbox_template_is_the_pod_that_runs_on_a_cluster() -> None:
    template = yaml.safe_load((RECIPES / "agent-sandbox/sandboxtemplate.yaml").read_text())
    pod = yaml.safe_load((RECIPES.parent / "kubernetes/agent-base.yaml").read_text())
    del pod["spec"]["restartPolicy"]  # a sandbox's Pod is to come back

    # SandboxTemplateSpec and SandboxBlueprint at 2fd412d: the API server refuses another field.
    assert list(template["spec"]) == ["podTemplate"]
    sandbox = template["spec"]["podTemplate"]["spec"]
    assert sandbox["containers"][0].pop("args") == ["sleep", "infinity"]
    named = sandbox["initContainers"][0]["env"]
    where = {"NAMESPACE": "metadata.namespace", "SANDBOX": "metadata.name"}
    assert named[:3] == [
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": where[name]}}} for name in where),
        # A namespace has no dot, so no two sandboxes of a cluster have one name.
        {"name": "TASK_ID", "value": "$(NAMESPACE).$(SANDBOX)"},
    ]
    del named[:3]
    assert sandbox == pod["spec"]

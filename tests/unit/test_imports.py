"""Who imports what: the layers of the design, and what a start has to wait for.

Read from the source, where lazy imports count too, and measured in interpreters of their own.
"""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import ravi_agent
from conftest import MANAGEMENT_KEY
from ravi_agent import contract
from ravi_agent.identity import Identity
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace.claim import Claim

ROOT = Path(ravi_agent.__file__).parent
# What each layer may import from outside; everything else is the standard library.
LAYERS = ("root", "service", "workspace", "container", "command", "launcher", "local")
OUTSIDE = {
    "root": set[str](),
    "service": {"certifi"},
    "workspace": {"ruamel"},
    "container": set[str](),
    "command": set[str](),
    "launcher": {
        *("click", "rich", "docker", "requests", "kubernetes", "psutil", "urllib3", "yaml"),
        "ruamel",
    },
    "local": {"aiosmtpd", "cryptography", "httpx", "starlette", "uvicorn"},
}
# Which of the package's own layers each may import.
BELOW = {
    "root": {"root"},
    "service": {"root", "service"},
    "workspace": {"root", "workspace"},
    "container": {"root", "service", "workspace", "container"},
    "command": {"root", "service", "workspace", "container", "command"},
    "launcher": {"root", "service", "workspace", "container", "launcher"},
    "local": {"root", "service", "container", "command", "local"},
}


@cache
def modules() -> dict[str, Path]:
    """Every module of the package and its file."""
    found = {}
    for file in sorted(ROOT.rglob("*.py")):
        parts = ["ravi_agent", *file.relative_to(ROOT).with_suffix("").parts]
        found[".".join(part for part in parts if part != "__init__")] = file
    return found


def layer(module: str) -> str:
    part = module.split(".")[1] if "." in module else ""
    return part if part in LAYERS else "root"


def imported(file: Path) -> set[str]:
    """Every module that a file imports, at once or later, but for those only a checker reads."""
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(file.read_bytes())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            assert node.module
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in modules() else node.module)
        waiting += ast.iter_child_nodes(node)
    return names


def imported_at_once(file: Path) -> set[str]:
    """The modules that the statements at a file's top level name."""
    names: set[str] = set()
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    return names


def loaded_by(code: str, *options: str) -> set[str]:
    """What is in `sys.modules` after `code` in a clean interpreter that has `site-packages`."""
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    return set(run(*(options or ("-I",)), "-c", program).stdout.split())


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [sys.executable, *arguments],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


# --- from the source ---------------------------------------------------------------------------


def test_every_module_is_found() -> None:
    assert {"ravi_agent", "ravi_agent.container.boot", "ravi_agent.launcher.docker.engine"} <= set(
        modules()
    )
    assert {layer(module) for module in modules()} == set(LAYERS)


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_its_layer_may(module: str) -> None:
    names = imported(modules()[module])

    ours = {name for name in names if name.partition(".")[0] == "ravi_agent"}
    assert {name for name in ours if layer(name) not in BELOW[layer(module)]} == set()
    outside = tops(names - ours) - set(sys.stdlib_module_names)
    assert outside <= OUTSIDE[layer(module)]


@pytest.mark.parametrize(
    ("name", "importers"),
    [
        ("httpx", {"ravi_agent.local.webhooks"}),
        ("certifi", {"ravi_agent.service.tls"}),
        (
            "click",
            {
                "ravi_agent.launcher.cli",
                "ravi_agent.launcher.commands.completions",
                "ravi_agent.launcher.commands.parser",
            },
        ),
        ("rich", {"ravi_agent.launcher.show.tables"}),
        (
            "ruamel",
            {"ravi_agent.workspace.front_matter", "ravi_agent.launcher.planning.tasks_file"},
        ),
        ("uvicorn", {"ravi_agent.local.connection", "ravi_agent.local.server"}),
        ("cryptography", {"ravi_agent.local.sealed"}),
        ("sqlite3", {"ravi_agent.local.database"}),
    ],
)
def test_one_module_alone_imports_it(name: str, importers: set[str]) -> None:
    assert {module for module, file in modules().items() if name in tops(imported(file))} == (
        importers
    )


def test_only_an_engine_of_its_own_would_import_kubernetes() -> None:
    importers = {
        module for module, file in modules().items() if "kubernetes" in tops(imported(file))
    }

    folder = "ravi_agent.launcher.kubernetes"
    assert importers == {f"{folder}.api", f"{folder}.kubeconfig"}


# --- in an interpreter of its own --------------------------------------------------------------

ROOTS = [module for module in modules() if layer(module) == "root"]


@pytest.mark.parametrize("module", ROOTS)
def test_a_module_of_the_root_loads_the_standard_library_alone(module: str) -> None:
    baseline = loaded_by("")
    loaded = loaded_by(f"import {module}")

    added = loaded - baseline
    assert tops(added) - set(sys.stdlib_module_names) == {"ravi_agent"}
    assert {layer(name) for name in added if name.startswith("ravi_agent.")} <= {"root"}


@pytest.mark.parametrize(
    "module",
    # `exec_…` are programs: importing one runs it.
    [module for module in modules() if not module.startswith("ravi_agent.container.exec_")],
)
def test_a_module_can_be_imported_first(module: str) -> None:
    assert module in loaded_by(f"import {module}")


def test_supervise_loads_nothing_that_python_has_not_loaded_for_itself() -> None:
    baseline = loaded_by("import errno, os, signal", "-IS")
    path = f"sys.path.append({str(ROOT.parent)!r})"
    added = loaded_by(f"{path}\nimport ravi_agent.container.supervise", "-IS") - baseline

    assert {"ravi_agent", "ravi_agent.contract", "ravi_agent.log", "ravi_agent.container"} <= added
    assert tops(added) == {"ravi_agent"}
    # Nothing of it knows an identity, a setting or a key.
    root = {name for name in added if layer(name) == "root"}
    assert root == {"ravi_agent", "ravi_agent.contract", "ravi_agent.log"}
    assert not added & {
        f"ravi_agent.container.{name}"
        for name in ("arguments", "boot", "ensure", "failure", "init", "release", "user", "whoami")
    }


def test_what_supervise_loads_names_next_to_nothing_of_the_standard_library() -> None:
    path = f"sys.path.append({str(ROOT.parent)!r})"
    loaded = loaded_by(f"{path}\nimport ravi_agent.container.supervise", "-IS")

    named: set[str] = set()
    for module in loaded & set(modules()):
        named |= imported_at_once(modules()[module])
    assert tops(named) - {"ravi_agent"} == {"_thread", "errno", "os", "sys"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A provisioned workspace."""
    path = tmp_path / "workspace"
    identity = Identity(uuid="u", name="n", email="e@x", phone=None, created_at="", key="k")
    with Claim(str(path)) as claim:
        assert claim.is_free()
        claim.save(identity, api_url=contract.DEFAULT_API_URL)
    return path


def start_times(*arguments: str, **variables: str) -> Iterator[str]:
    """The modules that a start loads until supervise takes over, in their order."""
    program = (
        f"import sys; sys.path.append({str(ROOT.parent)!r});"
        "from ravi_agent.container.boot import main; main()"
    )
    ended = run("-IS", "-X", "importtime", "-c", program, *arguments, **variables)
    for line in ended.stderr.splitlines():
        if found := re.match(r"import time: +\d+ \| +\d+ \| +(\S+)$", line):
            yield found[1]


@pytest.mark.parametrize(
    "variables",
    [{}, {"RAVI_HANDOVER": "stdin"}, {"RAVI_MANAGEMENT_KEY": "k", "RAVI_IDENTITY_NAME": "n"}],
    ids=["plain", "handed over", "with a key"],
)
def test_a_provisioned_start_does_not_wait_for_the_network_half(
    workspace: Path, variables: dict[str, str]
) -> None:
    loaded = set(
        start_times("true", RAVI_WORKSPACE=str(workspace), RAVI_AGENT_USER="0", **variables)
    )

    assert {
        "ravi_agent.container.boot",
        "ravi_agent.workspace.reader",
        "_json",
    } <= loaded  # it was watched
    assert not loaded & {
        "argparse",
        "asyncio",
        "ctypes",
        "dataclasses",
        "email",
        "enum",  # signal's burden, and json's
        "fcntl",
        "http",
        "inspect",
        "json",
        "logging",
        "pathlib",
        "random",
        "re",
        "ravi_agent.workspace.claim",
        "ravi_agent.workspace.front_matter",
        "ravi_agent.service.provision",
        "ravi_agent.service.api",
        "select",
        "shutil",
        "socket",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "traceback",
        "typing",
        "urllib.parse",
    }


def test_a_cold_start_loads_the_standard_library_alone(local: LocalRavi, tmp_path: Path) -> None:
    """What calls the service: no client of HTTP but Python's own, and nothing to read a CA with."""
    loaded = set(
        start_times(
            "true",
            RAVI_API_URL=local.url,
            RAVI_WORKSPACE=str(tmp_path),
            RAVI_AGENT_USER="0",
            RAVI_MANAGEMENT_KEY=MANAGEMENT_KEY,
            RAVI_IDENTITY_NAME="n",
        )
    )

    assert {"http.client", "ravi_agent.service.api", "ravi_agent.service.provision"} <= loaded
    assert tops(loaded) - set(sys.stdlib_module_names) == {"ravi_agent"}
    # What needs some millions of instructions, and only some calls need.
    assert not loaded & {
        "dataclasses",
        "encodings.idna",
        "hashlib",
        "importlib.resources",
        "logging",
        "ravi_agent.service.event_socket",
        "ravi_agent.service.tls",
        "typing",
        "urllib.request",
    }


def test_a_start_that_loads_more_would_be_seen(tmp_path: Path) -> None:
    """The negative control: the same watch on a start that has to take a hand-over."""
    identity = {"uuid": "u", "name": "n", "email": "e@x", "phone": None, "created_at": ""}
    line = tmp_path / "line"
    line.write_text(json.dumps({"identity": identity}) + "\n")
    program = (
        f"import os, sys; sys.path.append({str(ROOT.parent)!r});"
        f"os.dup2(os.open({str(line)!r}, os.O_RDONLY), 0);"
        "from ravi_agent.container.boot import main; main()"
    )

    ended = run(
        *("-IS", "-X", "importtime", "-c", program, "true"),
        RAVI_WORKSPACE=str(tmp_path / "workspace"),
        RAVI_HANDOVER="stdin",
        RAVI_AGENT_USER="0",
    )

    assert re.search(r"\| +fcntl$", ended.stderr, re.MULTILINE)
    assert re.search(r"\| +select$", ended.stderr, re.MULTILINE)
    # Reading and writing JSON needs no module that is mostly regular expressions; on a host the
    # ledger does, once the workspace is filled.
    filled, ledger, _ = ended.stderr.partition("ravi_agent.workspace.contents")
    assert ledger
    assert re.search(r"\| +ravi_agent.handover$", filled, re.MULTILINE)
    assert not re.search(r"\| +(json|re|enum|typing|dataclasses)$", filled, re.MULTILINE)
    # Who asks for no credential files and no skill does not wait for what writes them.
    assert "ravi_agent.workspace.credential_files" not in ended.stderr
    assert "ravi_agent.workspace.skill_files" not in ended.stderr


def test_the_command_line_of_the_launcher_does_not_wait_for_docker() -> None:
    loaded = loaded_by("import ravi_agent.launcher.cli, ravi_agent.launcher.commands.parser")

    assert "click" in loaded
    assert not tops(loaded) & {"docker", "requests", "kubernetes", "http", "starlette", "uvicorn"}


# What each engine loads, and nothing of the other. The official client for Kubernetes loads
# `requests` by itself (kubernetes/config/kube_config.py, for OAuth).
ENGINES = {"docker": {"docker"}, "kubernetes": {"kubernetes"}}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_loads_its_own_client_and_nothing_of_the_other(engine: str) -> None:
    loaded = loaded_by(f"import ravi_agent.launcher.cli, ravi_agent.launcher.{engine}.backend")

    (other,) = ENGINES.keys() - {engine}
    assert ENGINES[engine] <= tops(loaded)
    assert not tops(loaded) & ENGINES[other]
    assert not [name for name in loaded if name.startswith(f"ravi_agent.launcher.{other}")]
    assert not tops(loaded) & {"httpx", "starlette", "uvicorn", "sqlite3"}


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_outside_an_engine_s_own_folder_imports_it(engine: str) -> None:
    own = f"ravi_agent.launcher.{engine}"
    importers = {
        module
        for module, file in modules().items()
        if not module.startswith(own) and any(name.startswith(own) for name in imported(file))
    }

    # They print a run without a cluster, and check what is typed for the fields of a pod.
    assert {one.rpartition(".")[0] for one in importers} <= {"ravi_agent.launcher.commands"}


def test_the_local_ravi_says_what_is_wrong_without_its_web_server() -> None:
    loaded = loaded_by("import ravi_agent.local.cli")

    assert not tops(loaded) & {"starlette", "uvicorn", "sqlite3", "httpx"}


def test_the_command_says_what_is_wrong_without_waiting_for_the_network_half() -> None:
    loaded = loaded_by("import ravi_agent.command.cli")

    assert "ravi_agent.command.calls" in loaded
    assert not tops(loaded) & {"asyncio", "email", "http", "socket", "ssl", "click"}

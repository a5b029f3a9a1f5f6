"""Modules packed by the image's compile.py are those of their files, and no file is looked for."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ravi_agent

COMPILE = Path(__file__).parents[2] / "images/base/compile.py"
# As images/base/bin/ravi-entrypoint reads the file, in the image's own directory.
USE = """
import marshal, sys
library = sys.argv[1]
sys.path.append(library)
with open(f"{library}/start.{sys.implementation.cache_tag}", "rb") as file:
    data = file.read()
code, table = marshal.loads(data)
packed = type(sys)("ravi_agent.packed")
exec(code, vars(packed))
sys.modules[packed.__name__] = packed
sys.meta_path.insert(0, packed.PackedModules(data, table))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As setup leaves /opt/ravi/lib."""
    folder = tmp_path_factory.mktemp("library")
    leave_out = shutil.ignore_patterns("__pycache__", "launcher", "local")
    shutil.copytree(Path(ravi_agent.__file__).parent, folder / "ravi_agent", ignore=leave_out)
    subprocess.run(
        [sys.executable, "-IS", "-X", "no_debug_ranges", COMPILE, folder], check=True, timeout=60
    )
    return folder


def in_python(library: Path, code: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-IS", "-c", f"{USE}\n{code}", library],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_each_module_is_there_with_its_name_its_file_and_its_place(library: Path) -> None:
    code = """
from importlib import import_module
for name in table:
    module = import_module(name)
    spec = module.__spec__
    assert type(spec.loader).__name__ == "PackedModules", name
    is_package = module.__file__.endswith("/__init__.py")
    assert module.__package__ == (name if is_package else name.rpartition(".")[0]), name
    print(name, module.__file__)
"""
    files = dict(line.split(" ") for line in in_python(library, code).splitlines())

    assert len(files) > 40
    for name, file in files.items():
        plain = str(library.joinpath(*name.split(".")))
        assert file in {f"{plain}.py", f"{plain}/__init__.py"}


def test_what_is_not_packed_comes_from_its_file(library: Path) -> None:
    code = "import ravi_agent.container.release as one; print(type(one.__spec__.loader).__name__)"

    assert in_python(library, code) == "SourceFileLoader"


def test_forgotten_the_rest_comes_from_files(library: Path) -> None:
    code = """
import ravi_agent.contract
from ravi_agent.packed import forget_packed
forget_packed()
import ravi_agent.errors
for name in ("contract", "errors"):
    print(type(sys.modules[f"ravi_agent.{name}"].__spec__.loader).__name__)
"""

    assert in_python(library, code).split() == ["PackedModules", "SourceFileLoader"]


def test_packed_again_the_file_is_the_same(library: Path) -> None:
    (file,) = library.glob("start.*")
    before = file.read_bytes()

    assert runpy.run_path(str(COMPILE))["pack"](str(library)) == before


def test_it_is_for_this_python_alone(library: Path) -> None:
    (file,) = library.glob("start.*")

    assert file.name == f"start.{sys.implementation.cache_tag}"

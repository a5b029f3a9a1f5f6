"""Compile our modules in /opt/ravi/lib, and pack those of a start: the part of setup in Python.

Compiled files are trusted at start: no agent waits for a comparison of time stamps. Ours have
neither docstrings nor columns (python -X no_debug_ranges), which PID 1 would keep as long as its
agent runs.
"""

import marshal
import os
import py_compile
import sys
from importlib.util import cache_from_source

PACKAGE = "ravi_agent"
HEADER = 16  # bytes of a compiled file before its code
# What a start imports whose identity is handed over or there already, and no more; a test counts.
START = {
    PACKAGE: """
        container contract credential credential_paths errors handover identity key_traces log
        plain_file service_url setting_values settings small_json workspace""",
    f"{PACKAGE}.container": """
        account_key beside boot bug descendants descriptors ensure environ environment exec_error
        failure ids key_file onward options phases prctl provenance provisioned root_env spawn
        status stop supervise supervisor surroundings user verdict""",
    f"{PACKAGE}.workspace": "claim contents file_system reader removal trust",
}


def compile_own(library: str) -> None:
    """Raises py_compile.PyCompileError."""
    for folder, _, names in os.walk(os.path.join(library, PACKAGE)):
        for source in [os.path.join(folder, name) for name in names if name.endswith(".py")]:
            py_compile.compile(
                source,
                cache_from_source(source, optimization=""),
                doraise=True,
                optimize=2,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )


def source_of(library: str, module: str) -> str:
    path = os.path.join(library, *module.split("."))
    return f"{path}/__init__.py" if os.path.isdir(path) else f"{path}.py"


def code_of(source: str) -> bytes:
    with open(cache_from_source(source, optimization=""), "rb") as file:
        return file.read()[HEADER:]


def pack(library: str) -> bytes:
    """The file that `ravi_agent.packed` reads."""
    modules = [PACKAGE, *(f"{name}.{part}" for name in START for part in START[name].split())]
    sources = {module: source_of(library, module) for module in modules}
    codes = {module: code_of(source) for module, source in sources.items()}
    start = -sum(len(code) for code in codes.values())
    table = {}
    for module, code in codes.items():
        table[module] = (sources[module], start)
        start += len(code)
    reader = marshal.loads(code_of(source_of(library, f"{PACKAGE}.packed")))  # noqa: S302 - ours
    # Version 2 has no references, which depend on who else holds an object.
    return marshal.dumps((reader, table), 2) + b"".join(codes.values())


def main(library: str) -> None:
    compile_own(library)
    with open(os.path.join(library, f"start.{sys.implementation.cache_tag}"), "wb") as file:
        file.write(pack(library))


if __name__ == "__main__":
    main(sys.argv[1])

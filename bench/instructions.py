"""Instructions of a command in a container, counted by the host's valgrind.

Unlike its processor time, they are the same each time, whatever else the machine does.
"""

import os
import shutil

_TOOLS = "/usr/libexec/valgrind"  # Debian's place for what `valgrind` executes
# A program that executes another one writes its part before that. A child's parts before its own
# program repeat what its parent had done until then. Prints millions.
COUNT = """
import glob, json, os, subprocess, sys, tempfile
argv, environ = json.loads(sys.argv[1])
directory = tempfile.mkdtemp()
process = subprocess.Popen(
    ["valgrind", "--tool=callgrind", "--trace-children=yes", "--dump-before=execve",
     f"--callgrind-out-file={directory}/%p", *argv],
    env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
if process.wait():
    sys.exit(f"{argv} exited with {process.returncode}")
parts = []
for name in glob.glob(f"{directory}/*"):
    fields = {}
    with open(name) as file:
        for line in file:
            key, colon, value = line.partition(": ")
            if colon and key in {"cmd", "totals"}:
                fields[key] = value.strip()
    pid = int(os.path.basename(name).partition(".")[0])
    parts.append((pid, fields["cmd"], int(fields["totals"])))
own = {command for pid, command, _ in parts if pid == process.pid}
print(sum(n for pid, command, n in parts if pid == process.pid or command not in own) / 1e6)
"""


def mounts() -> dict[str, dict[str, str]]:
    """What a container needs of the host's valgrind; nothing where it has none."""
    program = shutil.which("valgrind")
    if not program or not os.path.isdir(_TOOLS):
        return {}
    there = [path for path in (program, f"{program}.bin", _TOOLS) if os.path.exists(path)]
    return {path: {"bind": path, "mode": "ro"} for path in there}

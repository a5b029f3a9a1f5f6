"""Draws real runs as SVG: `python scripts/picture.py demo|live FILE.svg`, or `make picture`.

`demo` is what the demo prints; `live` is the screen of a terminal while a run is on its way.
"""

import fcntl
import io
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
DEMO = ["scripts/demo-signup", "3", "demo"]
# A few of its agents fail, each for a reason of its own.
AGENT = (
    "sleep $((2 + TASK_INDEX % 5)); [ $TASK_INDEX != 2 ] || exit 3; [ $TASK_INDEX != 5 ] || node"
)
LIVE = ["ravi-launch", "--local", "--count", "14", "--parallel", "6", "--no-logs", "--rm"]
LIVE += ["--name", "nightly", "--", "sh", "-c", AGENT]
COLUMNS, LINES = 96, 24
# How the live view erases what it has drawn (launcher/show/live.py).
_ERASURE = re.compile(r"(?:\x1b\[\d+F)?\x1b\[J")
_WORDS = ("queued", "starting", "running", "ok", "failed")
# rich's own frame asks another host for a font; an SVG in a README gets none.
_FRAME = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main(what: str, path: str) -> int:
    """Run it, and draw what it shows, errors included."""
    command, shown = (DEMO, demo()) if what == "demo" else (LIVE, live())
    Path(path).write_text(drawn(command, shown), encoding="utf-8")
    return 0


def demo() -> str:
    """What the demo prints."""
    done = subprocess.run(
        DEMO,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def live() -> str:
    """The live view of a run at the moment when it shows the most kinds of agents."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    program = str(Path(sys.executable).with_name(LIVE[0]))
    environ = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
    launcher = subprocess.Popen(
        [program, *LIVE[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env={**environ, "TERM": "xterm-256color"},
    )
    os.close(follower)
    written = b""
    try:
        while data := os.read(leader, 65536):
            written += data
    except OSError:
        pass  # how a terminal says that its last writer is gone: pty(7), EIO
    os.close(leader)
    launcher.wait()
    frames = _ERASURE.split(written.decode().replace("\r\n", "\n"))
    return max(frames, key=_kinds)


def _kinds(frame: str) -> tuple[int, int]:
    head, _, rows = frame.partition("\n")
    return sum(f" {word}" in head for word in _WORDS), rows.count("failed")


def drawn(command: Sequence[str], output: str) -> str:
    """A terminal with a command line and what it shows, as SVG."""
    lines = [Text(f"$ {shlex.join(command)}", style="bold green")]
    lines += [Text.from_ansi(line) for line in output.splitlines()]
    width = max(COLUMNS, *(len(line) for line in lines[1:])) + 1
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(line)
    return console.export_svg(
        title="", theme=MONOKAI, code_format=_FRAME, unique_id="picture", font_aspect_ratio=0.6
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Draws a real run of the demo: `python scripts/picture.py FILE.svg`, or `make picture`."""

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
COMMAND = ["scripts/demo-signup", "3", "demo"]
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


def main(path: str) -> int:
    """Run the demo and draw what it prints, errors included; its exit code."""
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    Path(path).write_text(drawn(done.stdout), encoding="utf-8")
    return done.returncode


def drawn(output: str) -> str:
    """A terminal with the command line and what it printed, as SVG."""
    lines = [f"$ {' '.join(COMMAND)}", *output.splitlines()]
    console = Console(
        record=True, width=max(map(len, lines)) + 1, file=io.StringIO(), force_terminal=True
    )
    for number, line in enumerate(lines):
        console.print(Text(line, style="" if number else "bold green"), soft_wrap=True)
    return console.export_svg(
        title="", theme=MONOKAI, code_format=_FRAME, unique_id="demo", font_aspect_ratio=0.6
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

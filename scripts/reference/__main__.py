"""`python -m reference [--check] [FOLDER]`: write the reference, or compare it with the code.

Without a folder also the help of the launcher's commands, which it prints without loading them.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from ravi_agent.launcher.commands.reference import describe_commands
from ravi_agent.launcher.commands.short_help import FILE
from reference.pages import PAGES

FOLDER = Path(__file__).parents[2] / "docs/reference"


def main(argv: list[str]) -> int:
    """0 if the folder holds these pages now; with `--check` nothing is written."""
    is_checking = argv[:1] == ["--check"]
    folder = Path(*argv[is_checking:]) if argv[is_checking:] else FOLDER
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    pages = {name: page() for name, page in PAGES.items()}
    help_file = None if argv[is_checking:] else Path(FILE)
    if is_checking:
        stale = sorted(
            name for name in written.keys() | pages.keys() if written.get(name) != pages.get(name)
        )
        if help_file and not (help_file.exists() and help_file.read_text("utf-8") == _help()):
            stale.append(help_file.name)
        if stale:
            sys.stderr.write(
                f"reference: error: {folder} differs from the code: {', '.join(stale)}\n"
                "  fix: make reference\n"
            )
        return int(bool(stale))
    if help_file:
        help_file.write_text(_help(), encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for name in written.keys() - pages.keys():
        (folder / name).unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _help() -> str:
    """JSON with a line for each flag, so that two changes of it seldom meet."""
    commands = []
    for command in describe_commands():
        fields = asdict(command)
        lists = [
            f'"{name}": [{",".join(chr(10) + json.dumps(one) for one in fields.pop(name))}]'
            for name in ("arguments", "flags")
        ]
        commands.append("{" + ",\n".join([json.dumps(fields)[1:-1], *lists]) + "}")
    return f"[{f',{chr(10)}'.join(commands)}]\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The skill file for coding agents, where each of them looks for the skills of a project.

What somebody else wrote or changed stays as it is. A copy ends with a line that has the hash of
what is above it: so one of an earlier version is told from one that somebody has edited.
"""

import hashlib
import os

from ravi_agent.workspace.git import Worktree
from ravi_agent.workspace.inside import read_text, replace_file, unlink_file, why_not

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ravi_agent.log import Log

_SOURCE = os.path.join(os.path.dirname(__file__), "SKILL.md")
_MARK = "<!-- ravi-agent-base updates this copy unless you change it: "


class SkillFiles:
    """The copies in one workspace; `paths` are below it. What fails is a warning, never an error.

    An agent starts without its skill, and a repository may have a link where a copy would be.
    """

    def __init__(self, workspace: str, paths: list[str], log: "Log") -> None:
        self._workspace = workspace
        self._paths = paths
        self._log = log
        self._warned_of: set[str] = set()

    def stale(self) -> list[str]:
        """The paths where a copy is missing, or is one of an earlier version.

        Those that git tracks are not among them: they are the repository's own.
        """
        found: list[str] = []

        def compare(root: int, path: str) -> None:
            if self._is_stale(root, path):
                found.append(path)

        self._for_each(compare)
        return found

    def write(self) -> None:
        """Write what is missing or of an earlier version, each copy as a whole."""

        def write(root: int, path: str) -> None:
            if self._is_stale(root, path):
                replace_file(root, path, content(), new_mode=0o644)

        self._for_each(write)

    def remove(self) -> None:
        """Take back the copies that nobody has changed."""

        def remove(root: int, path: str) -> None:
            text = read_text(root, path)
            if text is not None and _is_unchanged(text):
                unlink_file(root, path)

        self._for_each(remove)

    def _is_stale(self, root: int, path: str) -> bool:
        text = read_text(root, path)
        if text == content() or (text is not None and not _is_unchanged(text)):
            return False
        worktree = Worktree.find(self._workspace)
        return not (worktree and worktree.tracks(path))

    def _for_each(self, act: "Callable[[int, str], None]") -> None:
        for path in self._paths:
            root = -1
            try:
                root = os.open(self._workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                act(root, path)
            except (OSError, ValueError) as exc:
                self._warn(os.path.join(self._workspace, path), exc)
            finally:
                if root != -1:
                    os.close(root)

    def _warn(self, path: str, exc: OSError | ValueError) -> None:
        if path not in self._warned_of:
            self._warned_of.add(path)
            self._log.warning(
                f"skill file {path} is left as it is: {why_not(exc)}",
                f"remove what is in the way of {path}, or unset RAVI_SKILL",
            )


def content() -> str:
    """What a copy holds."""
    with open(_SOURCE, encoding="utf-8") as file:
        text = file.read()
    return text + _last_line(text)


def _is_unchanged(text: str) -> bool:
    """Whether this is a copy, of any version, as it was written."""
    body, mark, _ = text.rpartition(_MARK)
    return bool(mark) and text == body + _last_line(body)


def _last_line(text: str) -> str:
    return f"{_MARK}{hashlib.sha256(text.encode()).hexdigest()} -->\n"

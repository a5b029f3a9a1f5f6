"""Files for harnesses that read an identity from a file of their own form; no key is in them.

`.ravi/` stays what counts: these are made of it, made again when they are missing, and removed
with it. As there, no symbolic link is followed.
"""

import errno
import json
import os

from ravi_agent import contract
from ravi_agent.errors import WorkspaceError
from ravi_agent.identity import Identity
from ravi_agent.setting_values import FRONT_MATTER, JSON, CredentialFile
from ravi_agent.workspace.git import Worktree
from ravi_agent.workspace.inside import open_folder, read_text, replace_file, unlink_file, why_not

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DOTENV_NAMES = ("RAVI_IDENTITY_UUID", "RAVI_EMAIL", "RAVI_PHONE", "RAVI_CONFIG_DIR")

_SAMPLE = Identity(uuid="u", name="n", email="e", phone=None, created_at="")


class CredentialFiles:
    """The files of one workspace. Every method raises WorkspaceError naming the file."""

    def __init__(self, workspace: str, files: list[CredentialFile]) -> None:
        self._workspace = workspace
        self._files = files

    def prove_writable(self) -> None:
        """Find out what would keep them from being written, before anything is paid for."""
        self._for_each(self._prove_writable)

    def missing(self) -> list[str]:
        """The paths, below the workspace, where no file is yet."""
        found: list[str] = []
        self._for_each(
            lambda root, path, _form: found.append(path) if read_text(root, path) is None else None
        )
        return found

    def are_current(self, identity: Identity) -> bool:
        """Whether every file says what it is to say of this identity."""
        stale: list[str] = []

        def compare(root: int, path: str, form: str) -> None:
            text = read_text(root, path)
            if text != _content(form, text, self._fields(identity)):
                stale.append(path)

        self._for_each(compare)
        return not stale

    def write(self, identity: Identity) -> None:
        """Write those that say something else; each is whole or as it was.

        One that was there keeps its mode: what comes into it is no secret. A new one is for its
        owner alone, or for the group of a setgid workspace, like `.ravi/`.
        """

        def write(root: int, path: str, form: str) -> None:
            text = read_text(root, path)
            wanted = _content(form, text, self._fields(identity))
            if text != wanted:
                replace_file(root, path, wanted)

        self._for_each(write)

    def remove(self) -> None:
        """Take back what `write` has written; what holds something else is left alone."""

        def remove(root: int, path: str, form: str) -> None:
            text = read_text(root, path)
            try:
                rest = None if text is None else _without(form, text)
            except ValueError:
                return  # somebody else's by now
            if rest:
                if rest != text:
                    replace_file(root, path, rest)
            elif text is not None:
                unlink_file(root, path)

        self._for_each(remove)

    def _for_each(self, act: "Callable[[int, str, str], None]") -> None:
        for path, form in self._files:
            root = -1
            try:
                root = os.open(self._workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                act(root, path, form)
            except (OSError, ValueError) as exc:
                raise self._refused(path, exc) from exc
            finally:
                if root != -1:
                    os.close(root)

    def _prove_writable(self, root: int, path: str, form: str) -> None:
        if form != FRONT_MATTER:
            worktree = Worktree.find(self._workspace)
            if worktree and worktree.tracks(path):
                raise ValueError("git tracks it")
        _content(form, read_text(root, path), self._fields(_SAMPLE))
        folder = open_folder(root, os.path.dirname(path), is_partial=True)
        try:
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        finally:
            os.close(folder)

    def _fields(self, identity: Identity) -> dict[str, str | None]:
        return {
            "identity_uuid": identity.uuid,
            "email": identity.email,
            "phone": identity.phone,
            "config_dir": os.path.join(self._workspace, contract.RAVI_DIR),
        }

    def _refused(self, path: str, exc: OSError | ValueError) -> WorkspaceError:
        return WorkspaceError(
            f"credential file {os.path.join(self._workspace, path)}",
            why_not(exc),
            "name another file in RAVI_CREDENTIAL_FILES, or mend this one",
        )


def _content(form: str, text: str | None, fields: dict[str, str | None]) -> str:
    """What a file is to hold; raises ValueError where it holds something that is not ours."""
    if form == FRONT_MATTER:
        from ravi_agent.workspace.front_matter import merge  # a YAML library: 40 ms

        return merge(text or "", fields)
    if text is not None:
        _without(form, text)
    if form == JSON:
        return json.dumps(fields, indent=2) + "\n"
    values = zip(_DOTENV_NAMES, fields.values(), strict=True)
    return "".join(f"{name}='{value or ''}'\n" for name, value in values)


def _without(form: str, text: str) -> str:
    """What stays of a file; raises ValueError where it is not ours."""
    fields = {"identity_uuid", "email", "phone", "config_dir"}
    if form == FRONT_MATTER:
        from ravi_agent.workspace.front_matter import without

        return without(text, fields)
    if form == JSON:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        is_ours = isinstance(record, dict) and record.keys() == fields
    else:
        names = [line.partition("=")[0] for line in text.splitlines()]
        is_ours = names == list(_DOTENV_NAMES)
    if not is_ours:
        raise ValueError("it holds something else")
    return ""

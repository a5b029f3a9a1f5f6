"""Files for harnesses that read an identity from a file of their own form; no key is in them.

`.ravi/` stays what counts: these are made of it, made again when they are missing, and removed
with it. As there, no symbolic link is followed.
"""

import errno
import json
import os
import stat

from ravi_agent import contract
from ravi_agent.errors import WorkspaceError
from ravi_agent.identity import Identity
from ravi_agent.setting_values import FRONT_MATTER, JSON, CredentialFile
from ravi_agent.workspace.git import Worktree
from ravi_agent.workspace.removal import remove_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DOTENV_NAMES = ("RAVI_IDENTITY_UUID", "RAVI_EMAIL", "RAVI_PHONE", "RAVI_CONFIG_DIR")
_SIZE_LIMIT = 1024 * 1024  # bytes; a WORKFLOW.md holds a prompt
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

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
            lambda root, path, _form: found.append(path) if _read(root, path) is None else None
        )
        return found

    def are_current(self, identity: Identity) -> bool:
        """Whether every file says what it is to say of this identity."""
        stale: list[str] = []

        def compare(root: int, path: str, form: str) -> None:
            text = _read(root, path)
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
            text = _read(root, path)
            wanted = _content(form, text, self._fields(identity))
            if text != wanted:
                _replace(root, path, wanted)

        self._for_each(write)

    def remove(self) -> None:
        """Take back what `write` has written; what holds something else is left alone."""

        def remove(root: int, path: str, form: str) -> None:
            text = _read(root, path)
            try:
                rest = None if text is None else _without(form, text)
            except ValueError:
                return  # somebody else's by now
            if rest:
                if rest != text:
                    _replace(root, path, rest)
            elif text is not None:
                _unlink(root, path)

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
        _content(form, _read(root, path), self._fields(_SAMPLE))
        folder = _open_folder(root, os.path.dirname(path), is_partial=True)
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
        why = str(exc)
        if isinstance(exc, UnicodeDecodeError):
            why = "it is no UTF-8 text"
        elif isinstance(exc, OSError):
            is_link = exc.errno in {errno.ELOOP, errno.ENOTDIR}
            why = "a symbolic link or no directory is in its path" if is_link else str(exc.strerror)
        return WorkspaceError(
            f"credential file {os.path.join(self._workspace, path)}",
            why,
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


def _open_folder(root: int, path: str, *, is_made: bool = False, is_partial: bool = False) -> int:
    """A directory below `root`: made where it is missing, or else its last part that is there."""
    folder = os.dup(root)
    for part in path.split("/") if path else []:
        try:
            try:
                below = os.open(part, _OPEN_DIR, dir_fd=folder)
            except FileNotFoundError:
                if is_partial:
                    return folder
                if not is_made:
                    raise
                os.mkdir(part, 0o755, dir_fd=folder)
                below = os.open(part, _OPEN_DIR, dir_fd=folder)
        except OSError:
            os.close(folder)
            raise
        os.close(folder)
        folder = below
    return folder


def _read(root: int, path: str) -> str | None:
    """A file's text, None where there is none; raises OSError for what is no plain file."""
    try:
        folder = _open_folder(root, os.path.dirname(path))
    except FileNotFoundError:
        return None
    try:
        descriptor = os.open(os.path.basename(path), _OPEN_FILE, dir_fd=folder)
    except FileNotFoundError:
        return None
    finally:
        os.close(folder)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if status.st_size > _SIZE_LIMIT:
            raise OSError(errno.EFBIG, f"it has {status.st_size} bytes")
        return file.read().decode()


def _replace(root: int, path: str, text: str) -> None:
    """Write a file through the staging directory, which git ignores and a release removes."""
    name = os.path.basename(path)
    folder = _open_folder(root, os.path.dirname(path), is_made=True)
    try:
        try:
            mode = stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            mode = 0o640 if os.fstat(root).st_mode & stat.S_ISGID else 0o600
        remove_dir(contract.STAGING_DIR, root)
        os.mkdir(contract.STAGING_DIR, 0o700, dir_fd=root)
        staging = os.open(contract.STAGING_DIR, _OPEN_DIR, dir_fd=root)
        try:
            with open(os.open(name, _CREATE_FILE, 0o600, dir_fd=staging), "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fchmod(file.fileno(), mode)  # whatever the umask
                os.fsync(file.fileno())
            os.rename(name, name, src_dir_fd=staging, dst_dir_fd=folder)
        finally:
            os.close(staging)
        os.fsync(folder)
        os.rmdir(contract.STAGING_DIR, dir_fd=root)
    finally:
        os.close(folder)


def _unlink(root: int, path: str) -> None:
    """Remove a file, and the directories on its way that are empty then."""
    while path:
        parent, name = os.path.split(path)
        folder = _open_folder(root, parent)
        try:
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                try:
                    os.rmdir(name, dir_fd=folder)
                except OSError:
                    return  # other files are in it
            else:
                os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
        path = parent

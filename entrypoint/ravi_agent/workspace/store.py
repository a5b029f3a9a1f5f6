"""The one format of `.ravi/`: who reads it, who fills it, who removes it.

A workspace is provisioned when `identity.json` is there: it is written last, and the directory
itself comes into being by one rename, so a kill at any instant leaves nothing or all of it.
Everything goes through directory descriptors and follows no symbolic link, because whoever can
write the workspace could put one there.
"""

import errno
import json
import os
import stat

from ravi_agent import contract
from ravi_agent.errors import AnswerError, WorkspaceError
from ravi_agent.identity import Identity
from ravi_agent.workspace.git import Worktree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_SIZE_LIMIT = 64 * 1024  # bytes; our own files have some hundred
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def load(path: str, *, name: str | None, api_url: str) -> Identity | None:
    """The identity of a provisioned workspace, without its key; None where there is none yet.

    name: what the identity must be called, None for any. api_url: the service it must be of.
    Raises WorkspaceError for one that somebody else chose: another name or service, tracked by
    git, or not made of plain files of its own.
    """
    ravi_dir = os.path.join(path, contract.RAVI_DIR)
    try:
        text = _read_provisioned(path, ravi_dir)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _refused_or_unreadable(ravi_dir, exc) from None
    try:
        record = json.loads(text)
        if not isinstance(record, dict):
            raise AnswerError("identity not understood", "it is no JSON object")
        identity = Identity.from_public(record)
    except (ValueError, RecursionError, AnswerError) as exc:
        why = exc.why if isinstance(exc, AnswerError) else "it is no JSON"
        raise _refused(f"{ravi_dir}/{contract.IDENTITY_FILE}", why) from None
    if record.get("api_url") != api_url:
        raise _refused(ravi_dir, f"it is of another service than {api_url}")
    if name is not None and identity.name != name:
        raise _refused(ravi_dir, f"its identity is {identity.name!r}, this start asks for {name!r}")
    return identity


def _read_provisioned(path: str, ravi_dir: str) -> str:
    """The text of `identity.json`; FileNotFoundError where any of the files is not there."""
    folder = os.open(ravi_dir, _OPEN_DIR)
    try:
        _check_planted(path, folder)
        text = _read_file(folder, contract.IDENTITY_FILE)
        for file in (contract.CONFIG_FILE, contract.ENV_FILE):
            _check_plain(os.stat(file, dir_fd=folder, follow_symlinks=False), file)
        return text
    finally:
        os.close(folder)


def agent_variables(path: str, identity: Identity, api_url: str) -> dict[str, str]:
    """What the agent finds in its environment, and the `env` file holds."""
    values = (
        os.path.join(path, contract.RAVI_DIR),
        identity.email,
        identity.phone or "",
        identity.uuid,
        identity.name,
        api_url,
    )
    return dict(zip(contract.AGENT_VARIABLES, values, strict=True))


class Claim:
    """An exclusive hold on a workspace that is about to be provisioned.

    The lock is on the workspace directory itself, so it leaves no file and ends with whoever
    holds it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._root = -1

    def __enter__(self) -> "Claim":
        try:
            os.makedirs(self.path, exist_ok=True)
            self._root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            raise _not_writable(self.path, exc) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        os.close(self._root)

    def is_free(self) -> bool:
        """Take the lock if nobody has it; what a killed holder began is removed.

        Raises WorkspaceError where `.ravi` could not be filled: now, before anything is paid for.
        """
        import fcntl  # a provisioned start takes no lock

        try:
            fcntl.flock(self._root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            self._prove_writable()
        except OSError as exc:
            raise _not_writable(self.path, exc) from None
        return True

    def _prove_writable(self) -> None:
        ravi_dir = os.path.join(self.path, contract.RAVI_DIR)
        try:
            folder = os.open(contract.RAVI_DIR, _OPEN_DIR, dir_fd=self._root)
        except FileNotFoundError:
            remove_dir(contract.STAGING_DIR, self._root)
            os.mkdir(contract.STAGING_DIR, 0o700, dir_fd=self._root)
            os.rmdir(contract.STAGING_DIR, dir_fd=self._root)
            return
        except OSError as exc:
            raise _refused_or_unreadable(ravi_dir, exc) from None
        try:
            _check_planted(self.path, folder)
            os.fchmod(folder, os.fstat(folder).st_mode & 0o7777)  # only its owner can fill it
        finally:
            os.close(folder)
        if not os.access(contract.RAVI_DIR, os.W_OK, dir_fd=self._root, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def save(self, identity: Identity, *, api_url: str) -> None:
        """Make the workspace a provisioned one: files synced, all of them or none.

        Raises WorkspaceError where the disk is full or the directory is not ours to write.
        """
        files = _files(self.path, identity, api_url)
        is_shared = bool(os.fstat(self._root).st_mode & stat.S_ISGID)
        try:
            try:
                folder = os.open(contract.RAVI_DIR, _OPEN_DIR, dir_fd=self._root)
            except FileNotFoundError:
                self._save_new(files, is_shared)
                return
            try:
                _unlink(contract.IDENTITY_FILE, folder)  # not provisioned while it is filled
                _write_files(folder, files, is_shared)
            finally:
                os.close(folder)
        except OSError as exc:
            raise _not_writable(self.path, exc) from None

    def _save_new(self, files: dict[str, str], is_shared: bool) -> None:
        remove_dir(contract.STAGING_DIR, self._root)
        os.mkdir(contract.STAGING_DIR, 0o700, dir_fd=self._root)
        folder = os.open(contract.STAGING_DIR, _OPEN_DIR, dir_fd=self._root)
        try:
            _write_files(folder, files, is_shared)
        finally:
            os.close(folder)
        os.rename(
            contract.STAGING_DIR, contract.RAVI_DIR, src_dir_fd=self._root, dst_dir_fd=self._root
        )
        os.fsync(self._root)


def release(path: str) -> bool:
    """Remove `.ravi/`; False where there was none. Raises WorkspaceError where it stays."""
    try:
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise _not_writable(path, exc) from None
    try:
        remove_dir(contract.STAGING_DIR, root)
        return remove_dir(contract.RAVI_DIR, root)
    except OSError as exc:
        raise _not_writable(path, exc) from None
    finally:
        os.close(root)


def exclude_from_git(path: str, *files: str) -> None:
    """Keep `.ravi/` and `files`, paths below the workspace, out of commits.

    Nothing to do outside a git work tree. Raises OSError.
    """
    if worktree := Worktree.find(path):
        worktree.exclude(
            f"{contract.RAVI_DIR}/", f"{contract.STAGING_DIR}/", contract.STATUS_FILE, *files
        )


def _files(path: str, identity: Identity, api_url: str) -> dict[str, str]:
    config = {"identity_uuid": identity.uuid, "identity_name": identity.name}
    if identity.key:
        config["identity_key"] = identity.key
    variables = agent_variables(path, identity, api_url)
    return {
        contract.CONFIG_FILE: json.dumps(config, indent=2) + "\n",
        contract.ENV_FILE: "".join(f"{name}='{value}'\n" for name, value in variables.items()),
        contract.IDENTITY_FILE: json.dumps({**identity.public(), "api_url": api_url}, indent=2)
        + "\n",
    }


def _write_files(folder: int, files: dict[str, str], is_shared: bool) -> None:
    """Fill a directory, each file whole or not at all; `is_shared` lets its group read them."""
    group = os.fstat(folder).st_gid
    for name, text in files.items():
        temporary = f".{name}.new"
        _unlink(temporary, folder)
        descriptor = os.open(temporary, _CREATE_FILE, 0o600, dir_fd=folder)
        try:
            if is_shared:
                _give_to_group(descriptor, group)
            os.fchmod(descriptor, 0o640 if is_shared else 0o600)  # whatever the umask
            data = text.encode()
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fchmod(folder, 0o750 if is_shared else 0o700)
    os.fsync(folder)


def _give_to_group(descriptor: int, group: int) -> None:
    try:
        os.fchown(descriptor, -1, group)
    except PermissionError:
        return  # no member of it: a new directory's setgid bit has seen to it already


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return  # no killed start left one


def remove_dir(name: str, root: int) -> bool:
    """Remove a directory and all below it, following no link; False where there is none."""
    try:
        folder = os.open(name, _OPEN_DIR, dir_fd=root)
    except FileNotFoundError:
        return False
    except OSError:
        os.unlink(name, dir_fd=root)  # a link or a file of that name
        return True
    try:
        # identity.json first: what is half removed is not provisioned.
        entries = sorted(os.listdir(folder), key=lambda entry: entry != contract.IDENTITY_FILE)
        for entry in entries:
            mode = os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                remove_dir(entry, folder)
            else:
                os.unlink(entry, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=root)
    return True


def _read_file(folder: int, name: str) -> str:
    descriptor = os.open(name, _OPEN_FILE, dir_fd=folder)
    try:
        _check_plain(os.fstat(descriptor), name)
        return os.read(descriptor, _SIZE_LIMIT).decode(errors="replace")
    finally:
        os.close(descriptor)


def _check_plain(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"{name} is no regular file")
    if status.st_nlink != 1:
        raise OSError(errno.EMLINK, f"{name} has a second name (a hard link)")
    if status.st_mode & stat.S_IWOTH:
        raise OSError(errno.EPERM, f"{name} can be written by everybody")
    if status.st_size >= _SIZE_LIMIT:
        raise OSError(errno.EFBIG, f"{name} has {status.st_size} bytes")


def _check_planted(path: str, folder: int) -> None:
    ravi_dir = os.path.join(path, contract.RAVI_DIR)
    if os.fstat(folder).st_mode & stat.S_IWOTH:
        raise _refused(ravi_dir, "everybody can write it")
    worktree = Worktree.find(path)
    if worktree and worktree.tracks(contract.RAVI_DIR):
        raise _refused(ravi_dir, "it came with the repository: git tracks it")


def _refused_or_unreadable(path: str, exc: OSError) -> WorkspaceError:
    if exc.errno == errno.EACCES:
        return WorkspaceError(
            f"{path} cannot be read",
            f"uid {os.geteuid()} may not",
            "provision and run as one user, or give both containers one fsGroup",
        )
    if exc.errno in {errno.ELOOP, errno.ENOTDIR}:
        return _refused(path, "it is a symbolic link or no directory")
    return _refused(path, str(exc.strerror))


def _refused(path: str, why: str) -> WorkspaceError:
    return WorkspaceError(
        f"{path} is not used",
        why,
        "remove it to get a fresh identity; to keep it, ask for its name and service "
        "(RAVI_IDENTITY_NAME, RAVI_API_URL)",
    )


def _not_writable(path: str, exc: OSError) -> WorkspaceError:
    fixes = {
        errno.EROFS: f"mount something that can be written: --tmpfs {path}:mode=1777",
        errno.ENOSPC: "free some space on that file system",
        errno.EACCES: f"chown {os.geteuid()} what is mounted at {path}, or set RAVI_WORKSPACE",
        errno.EPERM: f"chown {os.geteuid()} what is mounted at {path}, or set RAVI_WORKSPACE",
    }
    return WorkspaceError(
        f"workspace {path} cannot be written",
        str(exc.strerror),
        fixes.get(exc.errno or 0, "set RAVI_WORKSPACE to a directory the agent can write"),
    )

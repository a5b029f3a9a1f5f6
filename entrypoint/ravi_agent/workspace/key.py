"""A key for a workspace that no other has: what an identity is named after where nothing else is.

`<repository>-<directory>-<hash>`. The words are for people. The hash is of this machine, of git's
common directory and of the directory, each by its real path: the work trees `feat` of two
repositories differ, and so do two work trees `feat` of one. It is the same whenever the same
directory is made again, also as a new clone.
"""

import os

from ravi_agent.workspace.git import Worktree

_HASH_LENGTH = 12  # hexadecimal digits: an agent that can write .git finds no second such path
_WORD_LENGTH = 48  # characters of each word; a name with prefix and hash stays far below 255
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_MACHINE_ID = "/etc/machine-id"  # machine-id(5)


def workspace_key(path: str) -> str:
    """The key of a directory, which need not be there yet. Raises OSError for a broken `.git`."""
    import hashlib  # a start that has a name never comes here

    path = os.path.realpath(path)
    worktree = Worktree.find(path)
    repository = os.path.realpath(worktree.common_dir) if worktree else ""
    words = [_repository_word(repository), _word(os.path.basename(path))]
    what = "\0".join((_machine(), repository, path))
    digest = hashlib.sha256(os.fsencode(what)).hexdigest()[:_HASH_LENGTH]
    return "-".join(word for word in (*dict.fromkeys(words), digest) if word)


def _repository_word(common_dir: str) -> str:
    """What people call the repository: the directory around `.git`, or that of a bare one."""
    folder, name = os.path.split(common_dir)
    return _word(os.path.basename(folder) if name == ".git" else name.removesuffix(".git"))


def _word(text: str) -> str:
    return "".join(char if char in _SAFE else "_" for char in text)[:_WORD_LENGTH]


def _machine() -> str:
    """What tells this machine from others of the account; images of containers have no id."""
    try:
        with open(_MACHINE_ID, encoding="ascii", errors="replace") as file:
            return file.read(64).strip() or os.uname().nodename
    except OSError:
        return os.uname().nodename

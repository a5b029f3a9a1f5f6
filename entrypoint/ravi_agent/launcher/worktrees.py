"""Identities whose git work tree a harness has removed, and their deletion."""

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache

from ravi_agent.credential import host_account
from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.bookkeeping import Books
from ravi_agent.launcher.model.inventory import ReapOptions
from ravi_agent.launcher.reap import confirm, delete, is_older
from ravi_agent.launcher.show.for_terminal import say
from ravi_agent.service.api import RaviApi
from ravi_agent.workspace import ledger

_GIT_TIMEOUT_S = 60


def reap_worktrees(
    repository: str,
    environ: Mapping[str, str],
    reaping: ReapOptions,
    *,
    is_local: bool,
    is_forced: bool,
) -> int:
    """Print the identities whose work tree is gone and, unless this is a dry run, delete them.

    A work tree is gone if `ravi-init` noted it on this host, the repository has no such work tree,
    and no branch to create it from again, by its name or by the one it was renamed to. A workspace
    of no repository is gone if its directory is and the one around that is not. Returns 1 if an
    identity could not be deleted; it is named on standard error. Raises RaviError, UsageError if
    the directory is not a repository.
    """
    common_dir = os.path.normpath(
        os.path.join(repository, _git(repository, "rev-parse", "--git-common-dir").strip())
    )
    url, credential = host_account(environ, is_local=is_local)
    gone = _gone(repository, environ, common_dir, url)
    with RaviApi(url, credential) as api:
        known = {one.uuid: one for one in api.list_identities(reaping.prefix)}
        found = [
            known[entry.uuid]
            for entry in gone.values()
            if entry.uuid in known
            and known[entry.uuid].name == entry.name
            and is_older(known[entry.uuid], reaping.before)
        ]
        for identity in found:
            say(f"identity {identity.name} ({identity.uuid}) of {gone[identity.uuid].path}")
        if reaping.is_dry_run or not found:
            print(f"{len(found)} identities", file=sys.stderr)
            return 0
        if not is_forced:
            confirm(f"{len(found)} identities")
        books = Books(environ, url)
        deleted = sum(delete(api, identity, books) for identity in found)
    print(f"deleted {deleted} identities", file=sys.stderr)
    return 0 if deleted == len(found) else 1


def _gone(
    repository: str, environ: Mapping[str, str], common_dir: str, api_url: str
) -> dict[str, ledger.Entry]:
    """The identities whose workspace is gone, by UUID."""
    listed = _git(repository, "worktree", "list", "--porcelain").splitlines()
    trees = [
        os.path.realpath(line.removeprefix("worktree ")) + "/"
        for line in listed
        if line.startswith("worktree ")
    ]
    common_dir = os.path.realpath(common_dir)
    workspaces: dict[str, list[ledger.Entry]] = {}
    for entry in ledger.owned(environ):
        if entry.is_of_here(api_url):
            workspaces.setdefault(entry.uuid, []).append(entry)
    return {
        uuid: entries[-1]
        for uuid, entries in workspaces.items()
        if _is_in_question(entries, common_dir)
        and not any(_is_living(entry, common_dir, trees) for entry in entries)
    }


def _is_in_question(entries: list[ledger.Entry], common_dir: str) -> bool:
    """Whether an identity is one of the repository's, or of no repository that is still there."""
    return any(entry.repository == common_dir for entry in entries) or not any(
        entry.repository and os.path.isdir(entry.repository) for entry in entries
    )


def _is_living(entry: ledger.Entry, common_dir: str, trees: list[str]) -> bool:
    """Whether a workspace is there, or can come back: from its branch, or with its file system."""
    if entry.path is None:
        return False
    if entry.repository and entry.branch and _has_branch(entry.repository, entry.branch):
        return True
    if not os.path.isdir(entry.path):
        # Where what was around it is gone as well, a disk may not be mounted.
        return entry.repository != common_dir and not os.path.isdir(os.path.dirname(entry.path))
    if entry.repository != common_dir:
        return True
    path = f"{entry.path}/"
    # vibe-kanban's workspace is above its work trees.
    return any(path.startswith(tree) or tree.startswith(path) for tree in trees)


@cache
def _has_branch(repository: str, branch: str) -> bool:
    if not os.path.isdir(repository):
        return False
    if _git(repository, "for-each-ref", "--format=%(refname)", branch).strip():
        return True
    return branch in _renamed(repository)


@cache
def _renamed(repository: str) -> frozenset[str]:
    """What the branches of a repository were once called, as far back as git's reflogs go.

    git's and libgit2's lines: "Branch: renamed refs/heads/OLD to refs/heads/NEW".
    """
    only = ("--regexp-ignore-case", "--grep-reflog=^branch: renamed ")
    lines = _git(repository, "log", "--walk-reflogs", "--branches", *only, "--format=%gs")
    return frozenset(line.split(" ")[2] for line in lines.splitlines())


def _git(repository: str, *arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", "-C", repository, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_TIMEOUT_S,
        ).stdout
    except FileNotFoundError as exc:
        raise UsageError("--worktrees", "git is not installed", "install git") from exc
    except subprocess.SubprocessError as exc:
        why = (getattr(exc, "stderr", None) or "git did not answer").strip().splitlines()[-1]
        raise UsageError(f"--worktrees {repository}", why, "--worktrees /path/to/repo") from exc

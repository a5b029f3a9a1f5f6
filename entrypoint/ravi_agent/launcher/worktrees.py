"""Identities whose git work tree a harness has removed, and their deletion."""

import os
import subprocess
import sys
from collections.abc import Mapping

from ravi_agent.credential import host_account
from ravi_agent.errors import UsageError
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
    and no branch of its name to create it from again. Returns 1 if an identity could not be
    deleted; it is named on standard error. Raises RaviError, UsageError for a directory that is no
    repository.
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
        deleted = [identity for identity in found if delete(api, identity)]
    for identity in deleted:
        ledger.note(environ, ledger.DELETE, identity, url)
    print(f"deleted {len(deleted)} identities", file=sys.stderr)
    return 0 if len(deleted) == len(found) else 1


def _gone(
    repository: str, environ: Mapping[str, str], common_dir: str, api_url: str
) -> dict[str, ledger.Entry]:
    """The identities whose work tree is gone, by UUID."""
    listed = _git(repository, "worktree", "list", "--porcelain").splitlines()
    trees = [
        os.path.realpath(line.removeprefix("worktree ")) + "/"
        for line in listed
        if line.startswith("worktree ")
    ]
    refs = _git(repository, "for-each-ref", "--format=%(refname)", "refs/heads")
    branches = set(refs.splitlines())
    entries = [
        entry
        for entry in ledger.owned(environ)
        if entry.repository == os.path.realpath(common_dir) and entry.is_of_here(api_url)
    ]
    living = {
        entry.uuid
        for entry in entries
        if entry.branch in branches
        or (entry.path and os.path.isdir(entry.path) and f"{entry.path}/".startswith(tuple(trees)))
    }
    return {entry.uuid: entry for entry in entries if entry.uuid not in living}


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

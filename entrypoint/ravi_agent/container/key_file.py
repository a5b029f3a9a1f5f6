"""The file that the account's credential came in: who can read it, and its end."""

import errno
import os
import stat

from ravi_agent import contract
from ravi_agent.container.user import can_read
from ravi_agent.credential_paths import credential_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.container.user import AgentUser
    from ravi_agent.log import Log

_WHY_NOT = {
    errno.EBUSY: ("it is mounted by itself", "mount the directory it is in, and not the file"),
    errno.EROFS: ("its mount is read-only", "mount its directory read-write"),
}


def warn_of_readable_key(
    environ: "Mapping[str, str]", user: "AgentUser | None", log: "Log"
) -> None:
    """A credential that the agent can read is no secret, whether this start uses it or not."""
    for path in credential_paths(environ):
        if not can_read(user, path):
            continue
        fix = f"chmod 600 and chown root the file mounted at {path}"
        if user is None:
            fix = "provision with ravi-init or ravi-launch, or start as root: it steps down"
        log.warning(f"the agent can read the account's credential in {path}", fix)


def remove_key_file(environ: "Mapping[str, str]", log: "Log") -> None:
    """Remove the files that a credential was mounted as; a warning for each that stays.

    Called once the identity is there. `~/.ravi/auth.json` belongs to the official CLI, and stays.
    """
    named = (environ.get("RAVI_MANAGEMENT_KEY_FILE"), environ.get("RAVI_ACCESS_TOKEN_FILE"))
    for path in (*(path for path in named if path), contract.MANAGEMENT_KEY_PATH):
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                continue  # a pipe is empty by now
            for one in (os.path.realpath(path), path):  # a Secret's file is a link to it
                if os.path.lexists(one):
                    os.unlink(one)
        except FileNotFoundError:
            continue
        except OSError as exc:
            default = str(exc.strerror), "remove it yourself"
            why, fix = _WHY_NOT.get(exc.errno or 0, default)
            log.warning(f"RAVI_REMOVE_KEY_FILE=1: {path} stays: {why}", fix)
        else:
            log.info(f"removed {path}")

"""Around an agent on a host: the workspace that the current directory lies in."""

import os

from ravi_agent import contract
from ravi_agent.errors import SettingsError
from ravi_agent.workspace import trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.settings import Settings


def variables_on_a_host(environ: "Mapping[str, str]", *, is_ensuring: bool) -> dict[str, str]:
    """`environ` with the workspace named, and with no user to step down to but one asked for.

    is_ensuring: it is the current directory, else the nearest that has a `.ravi`. Raises
    SettingsError where there is none.
    """
    here = current_directory()
    path = here if is_ensuring else _nearest_workspace(here, os.geteuid())
    return {"RAVI_AGENT_USER": "0", **environ, "RAVI_WORKSPACE": path}


def current_directory() -> str:
    """The current directory. Raises SettingsError if it has been removed or cannot be used."""
    try:
        return os.getcwd()
    except FileNotFoundError as exc:
        raise SettingsError(
            "no workspace", "the current directory has been removed", "cd to one that is there"
        ) from exc
    except OSError as exc:  # a path longer than the kernel gives
        raise SettingsError(
            "no workspace", f"the current directory: {exc.strerror}", "cd to another"
        ) from exc


def name_by_workspace(settings: "Settings") -> None:
    """Let the workspace name its identity: the host's name would give all of them one.

    Raises SettingsError where git's files make no sense.
    """
    from ravi_agent.workspace.key import workspace_key

    try:
        settings.name_after(workspace_key(settings.workspace))
    except OSError as exc:
        raise SettingsError(
            f"a name for {settings.workspace}", f"git: {exc}", "give one: RAVI_IDENTITY_NAME=task-1"
        ) from exc


def _nearest_workspace(here: str, uid: int) -> str:
    """The nearest directory upward that has a `.ravi`, whatever that is.

    Whatever has the name ends the search: behind one that is broken stands somebody else's. One
    that belongs neither to `uid` nor to root is refused: above a directory in /tmp, anybody could
    have put it there.
    """
    folder = here
    while True:
        ravi_dir = os.path.join(folder, contract.RAVI_DIR)
        try:
            owner = os.lstat(ravi_dir).st_uid
        except FileNotFoundError as exc:
            if folder == "/":
                why = f"no {contract.RAVI_DIR} in {here} or above it"
                raise not_provisioned(why) from exc
            folder = os.path.dirname(folder)
            continue
        except OSError as exc:
            raise not_provisioned(f"{ravi_dir}: {exc.strerror}") from exc
        if trust.is_foreign(owner, uid):
            raise not_provisioned(f"{ravi_dir} belongs to uid {owner}, this is uid {uid}")
        return folder


def not_provisioned(why: str) -> SettingsError:
    """The error for an agent that would have to start without an identity of its own."""
    return SettingsError(
        "no provisioned workspace",
        why,
        'ravi-init --workspace "$PWD" --key auto, or ravi-entrypoint --ensure -- CMD',
    )

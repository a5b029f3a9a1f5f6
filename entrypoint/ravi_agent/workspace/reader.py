"""Reading a provisioned workspace: all that most starts do, so it imports next to nothing."""

import os

from ravi_agent import contract
from ravi_agent.errors import AnswerError
from ravi_agent.identity import Identity, is_plain
from ravi_agent.key_traces import note_trace
from ravi_agent.plain_file import read_plain_file
from ravi_agent.service_url import is_same_service
from ravi_agent.small_json import read_json
from ravi_agent.workspace import trust


def mark_path(workspace: str) -> str:
    """What the agent's `ravi` leaves where the service refuses the workspace's key."""
    return os.path.join(workspace, contract.RAVI_DIR, contract.KEY_REFUSED_FILE)


def load(
    path: str, *, name: str | None, api_url: str, is_owner_checked: bool = True
) -> Identity | None:
    """The identity of a provisioned workspace and its key; None where there is none yet.

    A workspace is provisioned when `identity.json` is there: it is written last.
    name: what the identity must be called, None for any. api_url: the service it must be of.
    is_owner_checked: whether, without a name, it must be this user's own.
    Raises WorkspaceError for a `.ravi/` that may not be used (`trust`), or of another name or
    service.
    """
    ravi_dir = os.path.join(path, contract.RAVI_DIR)
    try:
        text, config = _read_provisioned(path, ravi_dir, is_owner_checked and name is None)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise trust.unreadable(ravi_dir, exc) from exc
    try:
        record = read_json(text)
        if not isinstance(record, dict):
            raise AnswerError("identity not understood", "it is not a JSON object")
        identity = Identity.from_public(record)
    except (ValueError, RecursionError, AnswerError) as exc:
        why = exc.why if isinstance(exc, AnswerError) else "it is not JSON"
        raise trust.refused(f"{ravi_dir}/{contract.IDENTITY_FILE}", why) from exc
    if not is_same_service(record.get("api_url"), api_url):
        raise trust.refused(ravi_dir, f"it belongs to another service than {api_url}")
    if name is not None and identity.name != name:
        raise trust.refused(
            ravi_dir, f"its identity is {identity.name!r}, this start asks for {name!r}"
        )
    return identity.with_key(_key(config, identity.uuid))


def _read_provisioned(path: str, ravi_dir: str, is_owner_checked: bool) -> tuple[bytes, bytes]:
    """What `identity.json` and `config.json` hold.

    Raises FileNotFoundError where any of the files is missing.
    """
    folder = os.open(ravi_dir, trust.OPEN_DIR)
    try:
        trust.check_folder(path, folder, is_owner_checked=is_owner_checked)
        owner = os.fstat(folder)
        texts = []
        for file in (contract.IDENTITY_FILE, contract.CONFIG_FILE):
            text, status = read_plain_file(file, trust.FILE_LIMIT, folder=folder)
            trust.check_file(status, file, owner)
            texts.append(text)
        status = os.stat(contract.ENV_FILE, dir_fd=folder, follow_symlinks=False)
        trust.check_file(status, contract.ENV_FILE, owner)
        return texts[0], texts[1]
    finally:
        os.close(folder)


def _key(config: bytes, uuid: str) -> str | None:
    """The key in `config.json`, None where it is of another identity: the CLI may rewrite it."""
    if b"management_key" in config or contract.MANAGEMENT_KEY_PREFIX.encode() in config:
        note_trace(contract.CONFIG_FILE)  # where an official CLI keeps the account's, too
    try:
        record = read_json(config)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("identity_uuid") != uuid:
        return None
    key = record.get("identity_key")
    return key if isinstance(key, str) and is_plain(key) and key else None

"""Reading a provisioned workspace: all that most starts do, so it imports next to nothing."""

import os

from ravi_agent import contract
from ravi_agent.errors import AnswerError
from ravi_agent.identity import Identity, is_plain
from ravi_agent.plain_file import read_plain_file
from ravi_agent.small_json import read_json
from ravi_agent.workspace import trust


def load(path: str, *, name: str | None, api_url: str) -> Identity | None:
    """The identity of a provisioned workspace and its key; None where there is none yet.

    A workspace is provisioned when `identity.json` is there: it is written last.
    name: what the identity must be called, None for any. api_url: the service it must be of.
    Raises WorkspaceError for a `.ravi/` that may not be used (`trust`), or of another name or
    service.
    """
    ravi_dir = os.path.join(path, contract.RAVI_DIR)
    try:
        text, config = _read_provisioned(path, ravi_dir)
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
    if record.get("api_url") != api_url:
        raise trust.refused(ravi_dir, f"it belongs to another service than {api_url}")
    if name is not None and identity.name != name:
        raise trust.refused(
            ravi_dir, f"its identity is {identity.name!r}, this start asks for {name!r}"
        )
    return identity.with_key(_key(config, identity.uuid))


def _read_provisioned(path: str, ravi_dir: str) -> tuple[bytes, bytes]:
    """What `identity.json` and `config.json` hold.

    Raises FileNotFoundError where any of the files is missing.
    """
    folder = os.open(ravi_dir, trust.OPEN_DIR)
    try:
        trust.check_folder(path, folder)
        texts = []
        for file in (contract.IDENTITY_FILE, contract.CONFIG_FILE):
            text, status = read_plain_file(file, trust.FILE_LIMIT, folder=folder)
            trust.check_file(status, file)
            texts.append(text)
        status = os.stat(contract.ENV_FILE, dir_fd=folder, follow_symlinks=False)
        trust.check_file(status, contract.ENV_FILE)
        return texts[0], texts[1]
    finally:
        os.close(folder)


def _key(config: bytes, uuid: str) -> str | None:
    """The key in `config.json`, None where it is of another identity: the CLI may rewrite it."""
    try:
        record = read_json(config)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("identity_uuid") != uuid:
        return None
    key = record.get("identity_key")
    return key if isinstance(key, str) and is_plain(key) and key else None

"""The files of a workspace, as they are written into one."""

import json
import tempfile
from pathlib import Path

from ravi_agent import contract
from ravi_agent.workspace.claim import Claim
from reference.markdown import code, page, table
from reference.sample import IDENTITY

_MEANINGS = {
    contract.CONFIG_FILE: "What the Ravi CLI reads. No `identity_key` where the account has no "
    "such keys; never a management key.",
    contract.ENV_FILE: "The [agent's variables](variables.md#what-the-agent-gets) as "
    "`NAME='value'` lines.",
    contract.IDENTITY_FILE: "The identity without its key. Written last: a workspace that has it "
    "is provisioned.",
}


def page_of_files() -> str:
    """files.md."""
    private, shared = _written(0o755), _written(0o2775)
    rows = [
        (code(name), code(private[name][0]), code(shared[name][0]), _fields(private[name][1]), text)
        for name, text in _MEANINGS.items()
    ]
    if {*private, *shared} - {"."} != set(_MEANINGS):
        raise AssertionError("a file of .ravi/ is missing from this page")
    return page(
        "Files",
        f"In `{contract.RAVI_DIR}/` of the workspace, {code(contract.DEFAULT_WORKSPACE)} by "
        "default. All files are written to a temporary name, synced and renamed.",
        table(("file", "mode", "mode with setgid", "fields", "content"), rows),
        f"The directory has mode {code(private['.'][0])}. Where the workspace has the setgid bit, "
        f"as under Kubernetes' `fsGroup`, it has {code(shared['.'][0])}, and its group may read.",
        "## Paths that are read",
        table(
            ("path", "content"),
            [
                (code(contract.MANAGEMENT_KEY_PATH), "The management key, where no variable says."),
                ("`~/.ravi/auth.json`", "Access token of an older account, where there is no key."),
                (
                    "`~/.ravi/config.json`",
                    "Its `management_key`, for `ravi-launch` and `ravi` on a host.",
                ),
            ],
        ),
        "## Paths that are written beside it",
        table(
            ("path", "content"),
            [
                (code(contract.STATUS_PATH), "The state of PID 1, for the health check."),
                (
                    code(f"<workspace>/{contract.STATUS_FILE}"),
                    "The same, where the entrypoint is not PID 1.",
                ),
                (
                    code(contract.TERMINATION_LOG),
                    "Why the container failed, where Kubernetes has made this file.",
                ),
            ],
        ),
    )


def _written(mode: int) -> dict[str, tuple[str, str]]:
    """Mode and text of each file in a workspace of that mode; the directory itself is `.`."""
    with tempfile.TemporaryDirectory() as workspace:
        Path(workspace).chmod(mode)
        with Claim(workspace) as claim:
            if not claim.is_free():
                raise AssertionError("nobody else can have it")
            claim.save(IDENTITY, api_url=contract.DEFAULT_API_URL)
        folder = Path(workspace, contract.RAVI_DIR)
        files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
        return {
            name: (f"{(folder / name).stat().st_mode & 0o7777:04o}", text)
            for name, text in {".": "", **files}.items()
        }


def _fields(text: str) -> str:
    try:
        return ", ".join(map(code, json.loads(text)))
    except ValueError:
        return ""

"""The files of a workspace, as they are written into one."""

import json

from ravi_agent import contract
from reference.markdown import code, page, table
from reference.sample import written_files

_MEANINGS = {
    ".gitignore": "`*`: git ignores the directory, whatever the rules of the repository say.",
    contract.CONFIG_FILE: "What the Ravi CLI reads. No `identity_key` where the account has no "
    "such keys; never a management key.",
    contract.ENV_FILE: "The [agent's variables](variables.md#what-the-agent-gets) as "
    "`NAME='value'` lines.",
    contract.IDENTITY_FILE: "The identity without its key. Written last: a workspace that has it "
    "is provisioned.",
}


def page_of_files() -> str:
    """files.md."""
    private, shared = written_files(0o755), written_files(0o2775)
    rows = [
        (code(name), code(mode), code(shared[name][0]), _fields(text), _MEANINGS[name])
        for name, (mode, text) in sorted(private.items())
        if name != "."
    ]
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
                (
                    "`~/.ravi/auth.json`",
                    "Access token of an older account that has no management key.",
                ),
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
                (
                    code(f"<workspace>/{contract.RAVI_DIR}/{contract.HOLDER_FILE}"),
                    "In a volume: the host name of the container whose agent has it locked.",
                ),
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


def _fields(text: str) -> str:
    try:
        return ", ".join(map(code, json.loads(text)))
    except ValueError:
        return ""

"""Exit codes, and what each means for a retry."""

from ravi_agent import contract
from ravi_agent.launcher.model import exit_codes
from reference.markdown import capitalised, code, page, table


def page_of_exit_codes() -> str:
    """exit-codes.md."""
    known = {
        value
        for name, value in vars(contract).items()
        if name.startswith("EXIT_") and name not in {"EXIT_ABSENT", "EXIT_SIGNAL_BASE"}
    }
    if known != {one.code for one in exit_codes.EXIT_CODES}:
        raise AssertionError("the table of exit codes is not the contract's")
    rows = [
        (
            code(contract.EXIT_ABSENT),
            "`ravi`, `ravi-whoami`, `ravi-entrypoint --check`: nothing to print, or a problem.",
            "",
        ),
        *(
            (code(one.code), capitalised(one.meaning), "yes" if one.can_retry else "no")
            for one in exit_codes.EXIT_CODES
        ),
        (
            code(f"{contract.EXIT_SIGNAL_BASE}+n"),
            "Signal *n* ended the agent: 137 after an out-of-memory kill, 143 after a stop.",
            "yes",
        ),
    ]
    return page(
        "Exit codes",
        "## Commands of the image",
        "`ravi-entrypoint` exits with the agent's own code, or with one of these. The last "
        "column says whether another start may end differently; `ravi-launch --retries` and the "
        "Jobs that it creates go by it.",
        table(("code", "meaning", "retry"), rows),
        "A code that the agent itself exits with is always retried, except 126 and 127.",
        "A failure prints what failed and why, then on a second line what to type:",
        "```text\nravi-entrypoint: error: <what>: <why>\n  fix: <what to type>\n```",
        "## ravi-launch",
        "`ravi-launch` exits with one of the codes above where it starts no agent "
        f"({code(contract.EXIT_UNREACHABLE)} also where the engine fails), or with:",
        table(
            ("code", "meaning"),
            [
                ("`0`", "Every agent ended with 0."),
                (code(exit_codes.EXIT_AGENTS_FAILED), "At least one agent failed."),
                (
                    code(exit_codes.EXIT_INTERRUPTED),
                    "Interrupted, or stopped by SIGTERM, with its agents.",
                ),
            ],
        ),
    )

"""The pages of docs/reference/, by the name of their file."""

from collections.abc import Callable, Iterable

from ravi_agent.settings import VARIABLES
from reference import codes, files, labels, launcher, output, parsers, variables, words
from reference.markdown import code, page, table

_TITLES = {
    "ravi-launch.md": "runs many agents",
    "image-commands.md": "`ravi-entrypoint`, `ravi-init`, `ravi-release`, `ravi-whoami`",
    "ravi.md": "what agents and scripts call",
    "ravi-local.md": "the local Ravi",
    "variables.md": "settings, and what the agent gets",
    "files.md": "what stands in `.ravi/`",
    "exit-codes.md": "what each code means, and whether to retry",
    "labels.md": "how runs are found again",
    "output.md": "the JSON that `ravi-launch` prints",
}


def _index() -> str:
    return page(
        "Reference",
        "Generated from the code. The [guides](../getting-started.md) explain how to use it.",
        table(("page", "content"), ((f"[{name}]({name})", what) for name, what in _TITLES.items())),
    )


def _ravi_launch() -> str:
    return page(
        "ravi-launch",
        "Runs many agents, each with its own identity. "
        "See [the launcher](../launcher.md) and [Kubernetes](../kubernetes.md).",
        *_sections(launcher.launcher_commands()),
    )


def _image_commands() -> str:
    no_flag = [name for name in VARIABLES if name not in parsers.settings_with_a_flag()]
    return page(
        "Commands of the image",
        f"## ravi-entrypoint\n\n```text\n{parsers.ENTRYPOINT_USAGE}```",
        *_sections(parsers.image_commands()),
        f"`ravi-init` has no option for {', '.join(map(code, no_flag))}. "
        "Only `ravi-entrypoint` reads these, or they hold a key: every user of the machine could "
        "see it on a command line.",
    )


def _ravi() -> str:
    calls, common = parsers.ravi_commands()
    return page(
        "ravi",
        "Prints what the service answers, as JSON. See [the `ravi` command](../command.md).",
        "These options may stand anywhere:",
        words.table_of_flags(common),
        *_sections(calls),
    )


def _ravi_local() -> str:
    return page(
        "ravi-local",
        "A Ravi to develop against. See [the local Ravi](../local.md).",
        *_sections(parsers.local_commands()),
    )


def _sections(found: Iterable[words.Command]) -> list[str]:
    return [command.as_markdown() for command in found]


PAGES: dict[str, Callable[[], str]] = {
    "README.md": _index,
    "ravi-launch.md": _ravi_launch,
    "image-commands.md": _image_commands,
    "ravi.md": _ravi,
    "ravi-local.md": _ravi_local,
    "variables.md": variables.page_of_variables,
    "files.md": files.page_of_files,
    "exit-codes.md": codes.page_of_exit_codes,
    "labels.md": labels.page_of_labels,
    "output.md": output.page_of_output,
}

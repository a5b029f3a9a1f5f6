"""What can be known of a run's containers without asking anybody: checked before anything is made.

Each of these would end one agent after another once its identity has been paid for.
"""

from collections.abc import Mapping, Sequence

from ravi_agent import contract
from ravi_agent.errors import RaviError, UsageError
from ravi_agent.launcher.planning.plan import Plan, mounts_of
from ravi_agent.settings import ON_EXIT_DELETE, Settings

# MAX_ARG_STRLEN of Linux, for one argument or variable with the byte that ends it (execve(2)).
WORD_LIMIT = 128 * 1024  # bytes


def check_words(plan: Plan) -> None:
    """Raises UsageError for an argument or a variable that Linux starts no program with."""
    for task in plan.tasks:
        for number, word in enumerate(task.command or (), 1):
            _check_word(f"argument {number} of task {task.id}", word)
        for name, value in plan.variables(task).items():
            _check_word(f"variable {name} of task {task.id}", f"{name}={value}")


def _check_word(what: str, word: str) -> None:
    if "\0" in word:
        raise UsageError(what, "it has a NUL character, which no program can be given", "remove it")
    try:
        size = len(word) if word.isascii() else len(word.encode())
    except UnicodeEncodeError as exc:
        raise UsageError(
            what,
            f"character {exc.start + 1} is not text, which is all that engines take",
            "encode it, for example in base64",
        ) from exc
    if size >= WORD_LIMIT:
        raise UsageError(
            what,
            f"it has {size} bytes, and Linux takes at most {WORD_LIMIT - 1}",
            "put it into a file, and mount that with --volume",
        )


def check_settings(plan: Plan, image_variables: Mapping[str, str], image: str) -> None:
    """Raises UsageError for settings that the entrypoint would refuse in the containers.

    image_variables: what the image sets for each container.
    """
    seen = set()
    for task in plan.tasks:
        if task.image != image:
            continue
        variables = {**image_variables, **plan.variables(task)}
        settings = {name: text for name, text in variables.items() if name.startswith("RAVI_")}
        settings.pop("RAVI_IDENTITY_NAME", None)  # each task's own, and checked with the plan
        key = tuple(settings.items())
        if key in seen:
            continue
        seen.add(key)
        try:
            mounts = [*mounts_of(task), *plan.container.docker.targets()]
            _check_task(mounts, Settings(settings), settings)
        except RaviError as exc:
            where = f"task {task.id}: {exc.what}"
            raise UsageError(where, exc.why, exc.fix) from exc


def _check_task(mounts: Sequence[str], settings: Settings, variables: Mapping[str, str]) -> None:
    if settings.on_exit != ON_EXIT_DELETE:
        return
    named = variables.get("RAVI_MANAGEMENT_KEY_FILE") or variables.get("RAVI_ACCESS_TOKEN_FILE")
    path = named or contract.MANAGEMENT_KEY_PATH
    if not any(is_below(path, target) for target in mounts):
        raise UsageError(
            "RAVI_ON_EXIT=delete",
            "only a file still has the management key when an agent ends, and none is mounted",
            "-e RAVI_ON_EXIT=forget, or --volume /path/to/key:/run/secrets/ravi_management_key:ro",
        )


def is_below(path: str, directory: str) -> bool:
    """Whether a path is that directory or in it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")

"""`{index} {count} {id} {run}` in what is written once for all agents."""

import re
from collections.abc import Mapping, Sequence

NAMES = ("index", "count", "id", "run")
# Other braces stay what they are, and so does a shell's `${id}`; `{{id}}` stands for `{id}`.
_FIELD = re.compile(r"(?<![\${])(\{?)\{(" + "|".join(NAMES) + r")\}(\}?)")


class Filler:
    """Fills templates for one agent."""

    def __init__(self, *, index: int, count: int, task: str, run: str) -> None:
        self._values = {"index": str(index), "count": str(count), "id": task, "run": run}

    def text(self, template: str) -> str:
        """The template with its fields replaced."""
        return _FIELD.sub(self._replace, template)

    def each(self, templates: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.text(template) for template in templates)

    def mapping(self, templates: Mapping[str, str]) -> dict[str, str]:
        """The mapping with the fields of its values replaced; names stay."""
        return {name: self.text(template) for name, template in templates.items()}

    def _replace(self, match: re.Match[str]) -> str:
        before, name, after = match.groups()
        if before and after:
            return f"{{{name}}}"
        return f"{before}{self._values[name]}{after}"

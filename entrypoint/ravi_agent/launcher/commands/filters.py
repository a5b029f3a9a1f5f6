"""`--filter KEY=VALUE`, as docker has it: values of one key are alternatives, keys are not."""

from collections.abc import Mapping, Sequence

from ravi_agent.errors import UsageError


class Filters:
    """What is to be shown."""

    def __init__(self, entries: Sequence[str], keys: Sequence[str]) -> None:
        """Raises UsageError for an entry of another form, or an unknown key."""
        self._wanted: dict[str, list[str]] = {}
        for entry in entries:
            key, equals, value = entry.partition("=")
            if not equals or key not in keys:
                raise UsageError(
                    f"--filter {entry!r}",
                    f"not KEY=VALUE with one of {', '.join(keys)}",
                    f"--filter {keys[0]}=VALUE",
                )
            self._wanted.setdefault(key, []).append(value)

    def match(self, values: Mapping[str, str]) -> bool:
        """Whether something with these values is wanted; a name matches by any part of it."""
        return all(
            any(one in values[key] if key == "name" else one == values[key] for one in wanted)
            for key, wanted in self._wanted.items()
        )

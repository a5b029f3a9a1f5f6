"""`--filter KEY=VALUE`, as docker has it: values of one key are alternatives, keys are not."""

from collections.abc import Mapping, Sequence

from ravi_agent.errors import UsageError


class Filters:
    """What is to be shown."""

    def __init__(
        self, entries: Sequence[str], keys: Sequence[str], *, by_part: Sequence[str] = ("name",)
    ) -> None:
        """by_part: keys whose value need only be a part.

        Raises UsageError for an entry of another form, or an unknown key.
        """
        self._by_part = frozenset(by_part)
        self._wanted: dict[str, list[str]] = {}
        for entry in entries:
            key, equals, value = entry.partition("=")
            if not equals or key not in keys:
                raise UsageError(
                    f"--filter {entry!r}",
                    f"not KEY=VALUE, where a key is one of {', '.join(keys)}",
                    f"--filter {keys[0]}=VALUE",
                )
            self._wanted.setdefault(key, []).append(value)

    def match(self, values: Mapping[str, str | None]) -> bool:
        """Whether something with these values is wanted."""
        return all(
            any(
                one in (values[key] or "") if key in self._by_part else one == values[key]
                for one in wanted
            )
            for key, wanted in self._wanted.items()
        )

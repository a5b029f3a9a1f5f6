"""Objects as CEL of an admission policy writes them: `Object.spec{hostNetwork: false}`."""

import json


class Expression(str):
    """CEL that stands as it is, where other texts are literals."""

    __slots__ = ()


def typed(path: str, value: object) -> str:
    """A value as CEL; each mapping as an object of the type that its place in the pod has."""
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, dict):
        fields = [f"{name}: {typed(f'{path}.{name}', one)}" for name, one in value.items()]
        return f"{path}{_block('{', fields, '}')}"
    if isinstance(value, list):
        return _block("[", [typed(path, one) for one in value], "]")
    return json.dumps(value, ensure_ascii=False)


def _block(opening: str, parts: list[str], closing: str) -> str:
    """On one line where that is short; else a line each, for whoever reviews the policy."""
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) < 60 and "\n" not in line:
        return line
    inner = ",\n".join(parts).replace("\n", "\n  ")
    return f"{opening}\n  {inner}\n{closing}"

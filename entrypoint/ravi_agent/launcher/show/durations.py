"""How long something took or is ago, as kubectl shows it."""

_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def short(seconds: float) -> str:
    """`42s`, `5m12s`, `3h`, `2d`: two units at most, the second one only of small numbers."""
    left = max(0, int(seconds))
    for place, (unit, size) in enumerate(_UNITS):
        if left < size:
            continue
        count, rest = divmod(left, size)
        smaller, small = (*_UNITS, ("s", 1))[place + 1]
        second = rest // small
        return f"{count}{unit}{second}{smaller}" if count < 10 and second else f"{count}{unit}"
    return f"{left}s"

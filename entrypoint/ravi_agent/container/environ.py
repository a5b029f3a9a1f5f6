"""The environment this process was started with, byte for byte."""

import os


def initial_entries() -> list[bytes] | None:
    """Every `NAME=value` that the kernel still shows, twice where it was given twice.

    None where there is no /proc to read it from.
    """
    try:
        with open("/proc/self/environ", "rb", buffering=0) as file:
            text = file.read()
    except OSError:
        return None
    return [entry for entry in text.split(b"\0") if entry]


def initial_environ() -> dict[str, str]:
    """What the kernel was given at execve, not what Python made of it.

    Under the C locale Python adds LC_CTYPE to its own environment (PEP 538), even with -I; the
    agent must not inherit that. Undecodable bytes survive as surrogates, as in `os.environ`.
    """
    entries = initial_entries()
    if entries is None:  # the copy has to do
        return dict(os.environ)
    environ: dict[str, str] = {}
    for entry in entries:
        name, separator, value = entry.partition(b"=")
        if name and separator:
            environ.setdefault(os.fsdecode(name), os.fsdecode(value))
    return environ

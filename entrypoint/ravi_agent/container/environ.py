"""The environment this process was started with, byte for byte."""

import os


def initial_environ() -> dict[str, str]:
    """What the kernel was given at execve, not what Python made of it.

    Under the C locale Python adds LC_CTYPE to its own environment (PEP 538), even with -I; the
    agent must not inherit that. Undecodable bytes survive as surrogates, as in `os.environ`.
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            text = file.read()
    except OSError:  # no /proc: the copy has to do
        return dict(os.environ)
    environ: dict[str, str] = {}
    for entry in text.split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if name and separator:
            environ.setdefault(os.fsdecode(name), os.fsdecode(value))
    return environ

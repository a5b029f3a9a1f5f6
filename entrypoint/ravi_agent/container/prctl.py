"""prctl(2), which Python's own modules do not offer."""

# <linux/prctl.h>
_SET_PDEATHSIG = 1
_SET_DUMPABLE = 4
_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Adopt the orphans of descendants although this is not PID 1 (Linux 3.4)."""
    return _prctl(_SET_CHILD_SUBREAPER, 1)


def forbid_tracing() -> bool:
    """Let no process of the same user attach to this one, or read its memory (ptrace(2))."""
    return _prctl(_SET_DUMPABLE, 0)


def signal_at_parents_end(number: int) -> bool:
    """Get a signal when the thread that started this process ends."""
    return _prctl(_SET_PDEATHSIG, number)


def _prctl(option: int, value: int) -> bool:
    """Whether the kernel did it; `ctypes` is eight times as long to import as its C half."""
    try:
        import _ctypes

        program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type] # as dlopen(3) takes it
        function = _ctypes.dlsym(program, "prctl")
        return bool(_ctypes.call_function(function, (option, value, 0, 0, 0)) == 0)
    except (ImportError, AttributeError, OSError):
        return False  # an interpreter without it

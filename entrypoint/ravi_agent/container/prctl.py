"""prctl(2), which Python's own modules do not offer."""

# <linux/prctl.h>
_SET_PDEATHSIG = 1
_SET_DUMPABLE = 4
_SET_CHILD_SUBREAPER = 36
_CAPBSET_DROP = 24
_SET_NO_NEW_PRIVS = 38
_HIGHEST_CAPABILITY = 63  # the kernel refuses those that it does not have


def become_subreaper() -> bool:
    """Adopt the orphans of descendants although this is not PID 1 (Linux 3.4)."""
    return _prctl(_SET_CHILD_SUBREAPER, 1)


def forbid_tracing() -> bool:
    """Let no process of the same user attach to this one, or read its memory (ptrace(2))."""
    return _prctl(_SET_DUMPABLE, 0)


def allow_tracing() -> bool:
    """Undo what a change of the effective uid did (fs/exec.c, set_dumpable), as execve(2) does.

    Else root could not enter /proc/<pid>/fd of its own process without CAP_SYS_PTRACE.
    """
    return _prctl(_SET_DUMPABLE, 1)


def signal_at_parents_end(number: int) -> bool:
    """Get a signal when the thread that started this process ends."""
    return _prctl(_SET_PDEATHSIG, number)


def empty_bounding_set() -> None:
    """Let no program that is run from here on get a capability; without CAP_SETPCAP it stays."""
    for capability in range(_HIGHEST_CAPABILITY + 1):
        if not _prctl(_CAPBSET_DROP, capability):
            return


def forbid_new_privileges() -> bool:
    """Let no program that is run from here on get rights by its file: setuid, capabilities."""
    return _prctl(_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> bool:
    """Whether the kernel did it; `ctypes` is eight times as long to import as its C half."""
    try:
        import _ctypes

        program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type] # as dlopen(3) takes it
        function = _ctypes.dlsym(program, "prctl")
        return bool(_ctypes.call_function(function, (option, value, 0, 0, 0)) == 0)
    except (ImportError, AttributeError, OSError):
        return False  # an interpreter without it

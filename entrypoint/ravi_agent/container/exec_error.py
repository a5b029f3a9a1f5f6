"""Why the kernel did not run a program, in words, and what to do about that."""

import errno
import os

from ravi_agent import contract
from ravi_agent.log import Log

_ARGUMENT_LIMIT = 128 * 1024  # MAX_ARG_STRLEN, execve(2)
_ST_NOEXEC = 8  # statvfs(3); Python has the name in `os` too, but not on every system
_AS_WORDS = "give the program and each of its arguments as a word, or run it by sh -c"
_MACHINE = slice(18, 20)  # e_machine, elf(5)
_DIRECTORY, _REGULAR, _TYPE = 0o040000, 0o100000, 0o170000


class ExecError(Exception):
    """A program that cannot be run: the cause, a remedy, and 126 or 127."""

    def __init__(self, why: str, fix: str, code: int = contract.EXIT_NOT_EXECUTABLE) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix
        self.code = code

    def leave(self, program: str, log: Log) -> int:
        """Print why, and return the code to exit with."""
        log.error(f"cannot run {program!r}: {self.why}", self.fix)
        return self.code


def explain(exc: OSError, path: str, command: list[str], environment: dict[str, str]) -> ExecError:
    """What execve(2) of `path` failed by. Looks at the file with this process's own rights."""
    if exc.errno in {errno.ENOENT, errno.ENOTDIR}:
        return _missing(path)
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return _forbidden(exc, path)
    if exc.errno == errno.E2BIG:
        return _too_long(command, environment)
    if exc.errno == errno.ENOEXEC:
        return _unknown_format(path)
    if exc.errno == errno.ELOOP:
        return _circle(path)
    why, fix = {
        errno.EAGAIN: (
            f"uid {os.geteuid()} has as many processes as it may have",
            "raise the limit: docker run --ulimit nproc=…",
        ),
        errno.ENOMEM: ("no memory is left", "raise the limit: docker run --memory …"),
        errno.ETXTBSY: ("it is open for writing", "close it before it is run"),
        errno.ENAMETOOLONG: ("its name is longer than the kernel takes", _AS_WORDS),
    }.get(exc.errno or 0, (str(exc.strerror), "see the causes of this error in execve(2)"))
    return ExecError(why, fix)


def no_process(exc: OSError) -> ExecError:
    """What fork(2) failed by."""
    if exc.errno == errno.EAGAIN:
        return ExecError(
            "no process slot is left", "raise the limit: docker run --pids-limit … --ulimit nproc=…"
        )
    if exc.errno == errno.ENOMEM:
        return ExecError("no memory is left", "raise the limit: docker run --memory …")
    return ExecError(str(exc.strerror), "see the causes of this error in fork(2)")


def _missing(path: str) -> ExecError:
    if not path:
        return ExecError(
            "its name is empty",
            "name a program; a variable in the command may have been empty",
            contract.EXIT_NOT_FOUND,
        )
    if not os.path.exists(path):
        if os.path.islink(path):
            return ExecError(
                f"it is a symbolic link to {os.readlink(path)!r}, which is not there",
                f"install what it leads to, or change the link: {path}",
                contract.EXIT_NOT_FOUND,
            )
        return ExecError(
            os.strerror(errno.ENOENT),
            _AS_WORDS if " " in path else "check the spelling, PATH and the image",
            contract.EXIT_NOT_FOUND,
        )
    interpreter = interpreter_of(path)
    if interpreter is None:
        return ExecError(
            "the dynamic loader it was linked for is not in this image",
            "use a program that was built for this image's C library and architecture",
            contract.EXIT_NOT_FOUND,
        )
    if interpreter.endswith("\r"):
        return ExecError(
            f"its lines end in CR LF, so the kernel looks for {interpreter!r}",
            f"sed -i 's/\\r$//' {path}",
            contract.EXIT_NOT_FOUND,
        )
    return ExecError(
        f"its interpreter {interpreter!r} is not in this image",
        f"install it, or change the first line of {path}",
        contract.EXIT_NOT_FOUND,
    )


def _forbidden(exc: OSError, path: str) -> ExecError:
    uid = os.geteuid()
    try:
        mode = os.stat(path).st_mode
        is_noexec = bool(os.statvfs(path).f_flag & _ST_NOEXEC)
    except OSError:
        return ExecError(
            f"uid {uid} cannot enter its directory",
            f"chmod a+x the directories above {path}, or set RAVI_AGENT_USER",
        )
    if mode & _TYPE == _DIRECTORY:
        return ExecError("it is a directory", "name a program in it")
    if mode & _TYPE != _REGULAR:
        return ExecError("it is not a regular file", "name a program")
    if is_noexec:
        return ExecError(
            "its file system is mounted noexec",
            "mount that with exec (docker run --tmpfs DIR:exec), or put the program elsewhere",
        )
    if mode & 0o111 == 0:
        return ExecError(str(exc.strerror), f"chmod +x {path}")
    if mode & 0o111 != 0o111:
        return ExecError(f"uid {uid} has no permission to execute it", f"chmod a+x {path}")
    interpreter = interpreter_of(path)
    if interpreter and os.path.isdir(interpreter):
        return ExecError(
            f"its interpreter {interpreter!r} is a directory",
            f"name a program in the first line of {path}",
        )
    if interpreter:
        return ExecError(
            f"its interpreter {interpreter!r} cannot be executed by uid {uid}",
            f"chmod a+x {interpreter}, or change the first line of {path}",
        )
    return ExecError(
        f"{exc.strerror}, although its mode allows it",
        "look for a security profile that forbids it (AppArmor, SELinux, seccomp)",
    )


def _circle(path: str) -> ExecError:
    if os.path.exists(path):
        return ExecError(
            f"its interpreter {interpreter_of(path)!r} is a script, and so on too many times",
            f"name a program in the first line of {path}",
        )
    return ExecError("a symbolic link on the way leads back to itself", f"ls -l {path}")


def _unknown_format(path: str) -> ExecError:
    head = _head(path)
    if head.startswith(b"\x7fELF") and head[_MACHINE] == _head("/proc/self/exe")[_MACHINE]:
        return ExecError("it is damaged, or only a part of it", "copy or build it again")
    if head.startswith(b"\x7fELF"):
        return ExecError(
            "it is built for another architecture",
            f"use a program or an image for {os.uname().machine} (docker run --platform …)",
        )
    return ExecError(
        "it has no '#!' line, and this image has no /bin/sh to run it",
        f"name its interpreter in the first line of {path}",
    )


def _too_long(command: list[str], environment: dict[str, str]) -> ExecError:
    entries = [f"{name}={value}" for name, value in environment.items()]
    longest = max([*command, *entries], key=_size)
    if _size(longest) >= _ARGUMENT_LIMIT:
        name = longest.partition("=")[0] if longest in entries else None
        what = f"the variable {name}" if name else "an argument"
        return ExecError(
            f"{what} is {_size(longest)} bytes long, and the kernel takes {_ARGUMENT_LIMIT - 1}",
            "pass it in a file",
        )
    ours = sum(_size(entry) + 1 for entry in entries if entry.startswith("RAVI_"))
    total = sum(_size(word) + 1 for word in [*command, *entries])
    return ExecError(
        f"arguments and environment are {total} bytes long, {ours} of them in variables RAVI_…, "
        "and that is more than the kernel takes",
        "pass less, or raise the limit, a quarter of the stack's: docker run --ulimit stack=…",
    )


def _size(text: str) -> int:
    return len(os.fsencode(text))


def interpreter_of(path: str) -> str | None:
    """The program that the `#!` line of a script names; None where there is no such line."""
    line = _head(path).partition(b"\n")[0]
    if not line.startswith(b"#!"):
        return None
    # A blank ends it, CR does not: the kernel takes that for a part of the name.
    words = line[2:].strip(b" \t").replace(b"\t", b" ").split(b" ")
    return os.fsdecode(words[0])


def _head(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 256)
    except OSError:
        return b""
    finally:
        os.close(descriptor)

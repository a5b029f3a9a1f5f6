"""Messages for people and machines, on standard error: standard output is the agent's."""

import errno
import os
from _thread import allocate_lock, start_new_thread

LEVELS = ("debug", "info", "warning", "error")
# <linux/fs.h>; a pipe knows it since Linux 6.4, a socket as well, a terminal not.
_RWF_NOWAIT = 8
_PIPE_BUF = 4096  # what a reader's progress is measured in
# How long a message waits for a reader that takes nothing, before it is dropped.
_PATIENCE_S = 0.1
_DISK_PATIENCE_S = 5.0
_NOT_SUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM}


class Log:
    """Writes `<program>: <level>: <message>` lines, or one JSON object a line.

    Messages go straight to descriptor 2, so that none waits in a buffer when an `execve`
    throws this program away.
    """

    def __init__(self, program: str, *, level: str = "info", is_json: bool = False) -> None:
        self.program = program
        self.level = level
        self.is_json = is_json

    def debug(self, message: str) -> None:
        self._write("debug", message)

    def info(self, message: str) -> None:
        self._write("info", message)

    def warning(self, message: str, fix: str | None = None) -> None:
        self._write("warning", message, fix)

    def error(self, message: str, fix: str | None = None) -> None:
        self._write("error", message, fix)

    def _write(self, level: str, message: str, fix: str | None = None) -> None:
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        if self.is_json:
            import time  # built in: no file that an agent could have removed meanwhile

            fields = {"program": self.program, "level": level, "message": message}
            if fix:
                fields["fix"] = fix
            words = [f'"{name}": {json_text(value)}' for name, value in fields.items()]
            text = f'{{"time": {time.time():.3f}, {", ".join(words)}}}\n'
        else:
            text = f"{self.program}: {level}: {message}\n"
            if fix:
                text += f"  fix: {fix}\n"
        write_stderr(text)


def json_text(text: str) -> str:
    """A JSON string in ASCII, as json.dumps writes it; `json` takes 7 ms to import."""
    return '"' + "".join(map(_json_character, text)) + '"'


def _json_character(character: str) -> str:
    code = ord(character)
    if character in {'"', "\\"}:
        return f"\\{character}"
    if 0x20 <= code < 0x7F:
        return character
    if code > 0xFFFF:  # as two surrogates (RFC 8259, section 7)
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"


def write_stderr(text: str) -> None:
    """Write `text` to descriptor 2; what its reader does not take is dropped.

    Never waits longer than 0.1 s for a reader that takes nothing, or 5 s for a disk, and not at all
    once one has been that slow: a full pipe must not hold up PID 1. The descriptor stays as it
    is, because the agent has the same: O_NONBLOCK would apply to it too.
    """
    if not text.removesuffix("\n").isprintable() and os.isatty(2):
        from ravi_agent.terminal import visible

        text = visible(text)
    data = text.encode(errors="replace")
    if _slow.locked():
        return
    try:
        while data:
            data = data[os.pwritev(2, [data], -1, _RWF_NOWAIT) :]
    except (AttributeError, NotImplementedError):  # Python was built for an older C library
        _write_beside(data)
    except OSError as exc:
        if exc.errno == errno.EAGAIN or exc.errno in _NOT_SUPPORTED:
            _write_beside(data)


# Held while a reader lets a thread of ours wait.
_slow = allocate_lock()


def _write_beside(data: bytes) -> None:
    """Write in a thread, which may have to wait; this one does so only while there is progress."""
    writer = _Writer(data)
    try:
        start_new_thread(writer.run, ())
    except RuntimeError:  # no process slot, or an engine that refuses clone3
        writer.run_without_waiting()
        return
    left = len(data)
    patience_s = _DISK_PATIENCE_S if _is_file() else _PATIENCE_S
    while not writer.done.acquire(timeout=patience_s):
        if len(writer.data) == left:
            writer.give_up()
            return
        left = len(writer.data)


def _is_file() -> bool:
    """Whether descriptor 2 is a file: no reader holds that up, a disk or a busy machine may."""
    try:
        return os.fstat(2).st_mode & 0o170000 == 0o100000  # S_ISREG, without an import
    except OSError:
        return False


class _Writer:
    """What is left of one message."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.done = allocate_lock()
        self.done.acquire()
        self._is_slow = False
        self._switch = allocate_lock()

    def run(self) -> None:
        self._write(2)
        with self._switch:
            self.done.release()
            if self._is_slow:
                _slow.release()

    def give_up(self) -> None:
        """Let the thread go on by itself; nobody else writes until it has."""
        with self._switch:
            if self.done.locked():
                self._is_slow = _slow.acquire(blocking=False)

    def run_without_waiting(self) -> None:
        try:
            if _is_file():  # it takes all at once
                self._write(2)
                return
            # An open file of our own, with flags of its own.
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open("/proc/self/fd/2", flags)
        except OSError:
            return  # a socket, or nothing at all: no way to be sure that it does not wait
        self._write(descriptor)
        os.close(descriptor)

    def _write(self, descriptor: int) -> None:
        try:
            while self.data:
                self.data = self.data[os.write(descriptor, self.data[:_PIPE_BUF]) :]
        except OSError:
            return  # nobody listens: an agent must not fail for want of a log

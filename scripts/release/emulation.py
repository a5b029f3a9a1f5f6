"""Programs of another architecture: the kernel hands them to Debian's qemu-user-static."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from release.image import ImageError

_FOLDER = Path("/proc/sys/fs/binfmt_misc")
_RULES = Path("/usr/lib/binfmt.d")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@contextlib.contextmanager
def emulated(architecture: str) -> Iterator[None]:
    """While this lasts the kernel runs such programs, in containers too.

    What is there already stays. ImageError without the package. Needs root.
    """
    rule = f"qemu-{_MACHINES[architecture]}"
    is_mounted = (_FOLDER / "register").exists()
    if not is_mounted:
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_FOLDER)], check=True)
    is_ours = not (_FOLDER / rule).exists()
    try:
        if is_ours:
            (_FOLDER / "register").write_bytes(_rule(_RULES / f"{rule}.conf"))
        yield
    finally:
        if is_ours and (_FOLDER / rule).exists():
            (_FOLDER / rule).write_text("-1")
        if not is_mounted:
            subprocess.run(["umount", str(_FOLDER)], check=True)


def _rule(path: Path) -> bytes:
    """The kernel's line: F has it open qemu now, so that containers need none of their own."""
    if not path.exists():
        raise ImageError(f"no {path}\n  fix: apt-get install qemu-user-static")
    lines = path.read_bytes().splitlines()
    return next(line for line in lines if line.startswith(b":"))

"""The descriptors that this process was started with."""

import os

# Where /proc is missing: enough for what anybody opens, and closed in milliseconds one by one.
_HIGHEST = 65536
_KIND, _CHARACTER_DEVICE = 0o170000, 0o020000  # inode(7)


def open_standard() -> None:
    """Open /dev/null as each of 0, 1 and 2 that is closed.

    Else the next file to be opened would get that number, and messages meant for people.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            try:
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
            except OSError:
                return  # an image without /dev/null


def close_others(held: int | None = None) -> None:
    """Close all but 0, 1, 2 and `held`: whoever waits for the end of a pipe would wait for us.

    held: a descriptor of this program's own; no program that it starts gets it.

    Those that are open, and not every number there may be: where an engine refuses close_range(2)
    and sets the highest limit, that would be 2^30 calls.
    """
    if held is not None:
        os.set_inheritable(held, False)
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        highest = min(_HIGHEST, os.sysconf("SC_OPEN_MAX"))
        os.closerange(3, held or highest)
        os.closerange((held or highest) + 1, highest)
        return
    for number in numbers:
        if number > 2 and number != held:
            try:
                os.close(number)
            except OSError:
                continue  # the one that was reading the directory


def give_standard(uid: int, *, is_container: bool) -> None:
    """Let the agent open /dev/stdout by name, as it could if the image said `USER`.

    The pipes belong to root; for another user the engine would have changed that. On a host only
    pipes without a name are given away: a terminal, or a file, is somebody's.
    """
    for number in range(3):
        try:
            kind = os.fstat(number).st_mode & _KIND
            if is_container:
                is_given = kind != _CHARACTER_DEVICE or os.isatty(number)
            else:
                is_given = os.readlink(f"/proc/self/fd/{number}").startswith("pipe:")
            if is_given:
                os.fchown(number, uid, -1)
        except OSError:
            continue  # without CAP_CHOWN it stays as it is, as under any other init

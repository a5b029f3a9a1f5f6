"""Which names a git index holds, in time and memory that its size bounds.

File format: gitformat-index(5). Whoever can write the work tree may have written the index.
"""

_NAME_LIMIT = 64 * 1024  # bytes; a path of Linux has 4096


def index_holds(index: bytes, path: bytes) -> bool:
    """Whether an index has an entry of that name, or below it; False for a broken one."""
    if index[:4] != b"DIRC":
        return False
    if int.from_bytes(index[4:8], "big") == 4:
        return any(_version_4_holds(index, path, hash_length) for hash_length in (20, 32))
    start = index.find(path)
    while start != -1:
        end = start + len(path)
        if index[end : end + 1] in {b"\0", b"/"} and _is_entry(index, start, end):
            return True
        start = index.find(path, end)
    return False


def _is_entry(index: bytes, start: int, end: int) -> bool:
    """Whether an entry's name starts there, and not the middle of one; `end` lies in the name.

    Before a name stand two bytes whose low 12 bits give its length (4095: or more); with bit 14
    set, two bytes of further flags come between.
    """
    flags = int.from_bytes(index[start - 2 : start], "big")
    earlier = int.from_bytes(index[start - 4 : start - 2], "big")
    lengths = [flags & 0xFFF, *([earlier & 0xFFF] if earlier & 0x4000 else [])]
    for length in lengths:
        if length == 0xFFF:
            if index.find(b"\0", end, start + _NAME_LIMIT) >= start + 0xFFF:
                return True
        elif start + length >= end and index.find(b"\0", end, start + length + 1) == (
            start + length
        ):
            return True
    return False


def _version_4_holds(index: bytes, path: bytes, hash_length: int) -> bool:
    """The same for version 4, where each name is stored as what differs from the one before.

    hash_length: 20 for SHA-1, 32 for SHA-256; False where it is the other.
    """
    name = b""
    position = 12
    try:
        for _ in range(int.from_bytes(index[8:12], "big")):
            flags_at = position + 40 + hash_length
            flags = int.from_bytes(index[flags_at : flags_at + 2], "big")
            position = flags_at + 2 + (2 if flags & 0x4000 else 0)
            cut, position = _offset(index, position)
            end = index.index(b"\0", position)
            name = name[: len(name) - cut] + index[position:end]
            if min(len(name), 0xFFF) != flags & 0xFFF or len(name) > _NAME_LIMIT:
                return False
            if name == path or name.startswith(path + b"/"):
                return True
            position = end + 1
    except (ValueError, IndexError):
        return False
    return False


def _offset(data: bytes, position: int) -> tuple[int, int]:
    """Git's variable-width offset, as in pack files: the number, and where it ends."""
    value = data[position] & 0x7F
    for _ in range(8):
        if not data[position] & 0x80:
            return value, position + 1
        position += 1
        value = ((value + 1) << 7) | (data[position] & 0x7F)
    raise ValueError("the number does not end")

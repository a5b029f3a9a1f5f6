"""What a terminal would obey, made visible: the text of agents, services and mails is only text.

Files, pipes and JSON get every byte as it is: only what goes to a terminal passes here.
"""

# C0 but for tab and new line, DEL and C1 (ECMA-48): they move the cursor, rename the window, write
# to the clipboard (OSC 52) or make the terminal type an answer.
_CONTROLS = (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0))
# Change the order in which the rest of a line is shown (Unicode Standard Annex 9), or begin a line
# where no new line is.
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SEPARATORS = (0x2028, 0x2029)
_ESCAPES = {number: f"\\x{number:02x}" for number in _CONTROLS} | {
    number: f"\\u{number:04x}" for number in (*_DIRECTIONS, *_SEPARATORS)
}


def visible(text: str) -> str:
    r"""The text with each control character as Python writes it: `\x1b`, `\x0d`, `\u202e`.

    Colours (SGR) are no exception: they can hide text. Tabs and new lines stay, and a carriage
    return right before a new line, or at the end, is left out.
    """
    if text.isprintable():
        return text
    return text.replace("\r\n", "\n").removesuffix("\r").translate(_ESCAPES)

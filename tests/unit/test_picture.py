"""The picture of the live view in the documents is that of a real screen, failures in red."""

import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET

from picture import drawn

ROOT = Path(__file__).parents[2]
_SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> dict[str, str]:
    """What is written in a picture, and in which colour."""
    colours = dict(re.findall(r"\.([\w-]+) \{ fill: (#\w+)", svg))
    return {
        unescape(one.text or "").replace("\xa0", " "): colours[one.attrib["class"]]
        for one in ET.fromstring(svg).iter(f"{_SVG}text")  # noqa: S314 - a file of this repository
        if one.attrib.get("class") in colours
    }


def is_red(colour: str) -> bool:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red > 2 * max(green, blue)


def test_a_picture_has_the_command_and_the_colours_of_the_screen() -> None:
    shown = texts(drawn(["ravi-launch", "--count", "2"], "\x1b[31m0001 failed\x1b[0m\n0002 ok\n"))

    assert "$ ravi-launch --count 2" in shown
    assert is_red(shown["0001 failed"])
    assert not is_red(shown["0002 ok"])


def test_the_documents_show_failed_agents_in_red_and_addresses_of_those_that_run() -> None:
    shown = texts((ROOT / "docs/live.svg").read_text())

    failed = [colour for text, colour in shown.items() if re.match(r"\d{4} +failed", text)]
    assert failed
    assert all(map(is_red, failed))
    assert any("@ravi-local.test" in text for text in shown)
    assert "](live.svg)" in (ROOT / "docs/launcher.md").read_text()

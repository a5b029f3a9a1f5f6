"""The text and the links of an HTML mail."""

import re
from html.parser import HTMLParser

_LIMIT = 1024 * 1024  # characters of one mail that are looked at
_SILENT = frozenset({"style", "script", "head", "title", "template", "noscript"})
_BLOCKS = frozenset(
    (
        *("p", "div", "br", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ul", "ol"),
        *("hr", "section", "article", "header", "footer", "center", "blockquote", "pre", "tbody"),
        *("thead", "address", "dl", "dt", "dd", "form", "main", "aside", "figure", "caption"),
    )
)


class _Text(HTMLParser):
    """The text that a mail's HTML shows, and its links with what they are called."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[tuple[str, str]] = []
        self._parts: list[str] = []
        self._silent: list[str] = []
        self._link: tuple[str, int] | None = None

    def read(self, html: str) -> str:
        self.feed(html[:_LIMIT])
        self.close()
        self._end_link()
        lines = "".join(self._parts).split("\n")
        return "\n".join(" ".join(line.split()) for line in lines)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BLOCKS:
            self._parts.append("\n")
        elif tag in {"td", "th"}:
            self._parts.append(" ")
        elif tag == "a" and given.get("href"):
            self._end_link()
            self._link = (str(given["href"]).strip(), len(self._parts))
            title = given.get("title") or given.get("aria-label")
            if title:
                self.links.append((self._link[0], title))
        elif tag == "img" and self._link and given.get("alt"):
            self._parts.append(str(given["alt"]))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            # Whatever was left open inside ends with it.
            del self._silent[self._silent.index(tag) :]
        elif tag in _BLOCKS:
            self._parts.append("\n")
        elif tag == "a":
            self._end_link()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(re.sub(r"\s+", " ", data))

    def _end_link(self) -> None:
        if self._link:
            url, start = self._link
            self.links.append((url, " ".join("".join(self._parts[start:]).split())))
            self._link = None


def read_html(html: str) -> tuple[str, list[tuple[str, str]]]:
    """What a mail's HTML says, one line a block, and its links with what they are called."""
    reader = _Text()
    return reader.read(html), reader.links

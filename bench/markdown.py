"""Tables in Markdown, and where a page has them."""

from collections.abc import Iterable

END = "<!-- end of results -->"


def put_into(page: str, begin: str, text: str) -> str:
    """The page with that text between `begin` and END. Raises ValueError without both."""
    head, begin, rest = page.partition(begin)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks for the results")
    return f"{head}{begin}\n\n{text}\n{END}{tail}"


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

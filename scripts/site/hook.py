"""How the repository becomes a site (https://www.mkdocs.org/user-guide/configuration/#hooks).

The README is the index, and the other pages of the root are beside it. Pages link to files of the
repository: each of those becomes a page that shows it, so that the site needs no other one.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
INDEX = "README.md"
ROOT_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
SOURCE = "source"
_LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
_CODE = re.compile(r"(^(?:```|~~~~).*?^(?:```|~~~~)$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
# What a browser fetches by itself: not `<a href>`, and no canonical address.
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\s(?:src|srcset)=[\"']?(?:https?:)?//"
    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*?\shref=[\"']?(?:https?:)?//"
    r"|@import\s+(?:url\()?[\"']?(?:https?:)?//|url\([\"']?(?:https?:)?//",
)


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages of the root, and one for each file that a page links to."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - the tests have no mkdocs

    pages = {"index.md": INDEX, **{name: name for name in ROOT_PAGES}}
    texts = {name: (ROOT / path).read_text(encoding="utf-8") for name, path in pages.items()}
    for file in files.documentation_pages():
        pages[file.src_uri] = f"docs/{file.src_uri}"
    shown: dict[str, str] = {}
    for name, path in pages.items():
        text = texts.get(name) or (ROOT / path).read_text(encoding="utf-8")
        for link in links(text):
            target = site_path(resolve(path, link))
            if target.startswith(f"{SOURCE}/"):
                shown.update(source_pages(resolve(path, link)))
    for name, text in {**texts, **shown}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Turn links between files of the repository into links between pages."""
    del config, files
    name = page.file.src_uri
    if name.startswith(f"{SOURCE}/"):
        return markdown
    return relink(markdown, name)


def on_post_build(config: "MkDocsConfig") -> None:
    """Raises PluginError if a page loads anything from elsewhere."""
    from mkdocs.exceptions import PluginError  # noqa: PLC0415 - the tests have no mkdocs

    for path in Path(config.site_dir).rglob("*.js"):
        # Material's script asks this host for a polyfill in browsers of before 2020, and for
        # Mermaid, which no page has.
        path.write_text(path.read_text(encoding="utf-8").replace("https://unpkg.com/", ""))
    for path in Path(config.site_dir).rglob("*"):
        if path.suffix in {".css", ".html"}:
            for what in loads(path.read_text(encoding="utf-8")):
                raise PluginError(f"{path}: loads {what}")


def loads(text: str) -> Iterator[str]:
    """What a page or a style sheet loads from another host."""
    for found in _LOADED.finditer(text):
        yield text[found.start() : found.end() + 60]


def relink(markdown: str, name: str) -> str:
    """The text of a page of the site, with links that lead to pages of the site."""
    path = INDEX if name == "index.md" else name if name in ROOT_PAGES else f"docs/{name}"

    def moved(found: re.Match[str]) -> str:
        target, mark, anchor = found[1].partition("#")
        if not target or ":" in target:
            return found[1]
        there = site_path(resolve(path, target))
        return posixpath.relpath(there, posixpath.dirname(name) or ".") + mark + anchor

    parts = _CODE.split(markdown)
    return "".join(part if at % 2 else _LINK.sub(moved, part) for at, part in enumerate(parts))


def links(markdown: str) -> Iterator[str]:
    """The relative links of a page, without anchors."""
    for part in _CODE.split(markdown)[::2]:
        for link in _LINK.findall(part):
            target = link.partition("#")[0]
            if target and ":" not in target:
                yield target


def resolve(path: str, link: str) -> str:
    """The path in the repository that a link of that file leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def site_path(path: str) -> str:
    """Where the site has a file of the repository."""
    if path == INDEX:
        return "index.md"
    if path in ROOT_PAGES:
        return path
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{SOURCE}/{path}.md"


def source_pages(path: str) -> dict[str, str]:
    """A page that shows a file; of a directory, one with links and one for each file in it."""
    here = ROOT / path
    head = f"---\nsearch:\n  exclude: true\n---\n# {path}\n\n"
    if here.is_file():
        text = here.read_text(encoding="utf-8")
        kind = {".mjs": "js", ".mts": "ts", "": ""}.get(here.suffix, here.suffix[1:])
        return {site_path(path): f"{head}~~~~~~~~{kind}\n{text}\n~~~~~~~~\n"}
    inside = [
        file.relative_to(ROOT).as_posix()
        for file in sorted(here.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    ]
    start = posixpath.dirname(site_path(path))
    lines = [f"- [{file}]({posixpath.relpath(site_path(file), start)})\n" for file in inside]
    pages = {site_path(path): head + "".join(lines)}
    for file in inside:
        pages |= source_pages(file)
    return pages

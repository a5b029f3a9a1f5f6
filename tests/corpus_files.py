"""The corpora of messages for the code finder, and how well it does on one.

A message is a line `== LANGUAGE CODE`, with `-` where it holds none and `html` behind it where its
body is HTML; then an optional `Link:` line with the verification link in it, an optional `Subject:`
line and the text.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from ravi_agent.command.message_content import code_of, link_of

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A message, the code in it (digits in groups are one without separators), and the link."""

    language: str
    code: str | None
    link: str | None
    message: dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Score:
    """Shares from 0 to 1, and the samples that were answered wrongly."""

    precision: float
    recall: float
    wrong: list[tuple[Sample, str | None]]


def samples(name: str) -> list[Sample]:
    text = (FOLDER / name).read_text(encoding="utf-8")
    return [_sample(block) for block in re.split(r"^== ", text, flags=re.MULTILINE)[1:]]


def _sample(block: str) -> Sample:
    head, _, body = block.partition("\n")
    language, _, rest = head.partition(" ")
    code = rest.removesuffix(" html")
    subject, link = "", None
    if body.startswith("Link: "):
        first, _, body = body.partition("\n")
        link = first.removeprefix("Link: ")
    if body.startswith("Subject: "):
        first, _, body = body.partition("\n")
        subject = first.removeprefix("Subject: ")
    field = "html_content" if rest.endswith(" html") else "text_content"
    if re.fullmatch(r"[\d -]+\d", code):
        code = re.sub(r"\D", "", code)
    return Sample(
        language=language,
        code=None if code == "-" else code,
        link=link,
        message={"subject": subject, field: body.rstrip("\n")},
    )


def score(corpus: list[Sample]) -> Score:
    return _score([(one, one.code, code_of(one.message)) for one in corpus])


def link_score(corpus: list[Sample]) -> Score:
    """The same for links: a message without one has none that anybody should follow."""
    return _score([(one, one.link, link_of(one.message)) for one in corpus])


def _score(answers: list[tuple[Sample, str | None, str | None]]) -> Score:
    right = sum(wanted == found for _, wanted, found in answers if found is not None)
    return Score(
        precision=right / sum(found is not None for *_, found in answers),
        recall=right / sum(wanted is not None for _, wanted, _ in answers),
        wrong=[(one, found) for one, wanted, found in answers if wanted != found],
    )

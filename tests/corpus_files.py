"""The corpora of messages for the code finder, and how well it does on one.

A message is a line `== LANGUAGE CODE`, with `-` where it holds none and `html` behind it where its
body is HTML; then an optional `Subject:` line and the text.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from ravi_agent.command.message_content import code_of

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A message and the code in it; digits in groups are one code without the separators."""

    language: str
    code: str | None
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
    subject = ""
    if body.startswith("Subject: "):
        first, _, body = body.partition("\n")
        subject = first.removeprefix("Subject: ")
    field = "html_content" if rest.endswith(" html") else "text_content"
    if re.fullmatch(r"[\d -]+\d", code):
        code = re.sub(r"\D", "", code)
    return Sample(
        language=language,
        code=None if code == "-" else code,
        message={"subject": subject, field: body.rstrip("\n")},
    )


def score(corpus: list[Sample]) -> Score:
    answers = [(one, code_of(one.message)) for one in corpus]
    answered = [(one, code) for one, code in answers if code is not None]
    right = sum(code == one.code for one, code in answered)
    return Score(
        precision=right / len(answered),
        recall=right / sum(one.code is not None for one in corpus),
        wrong=[(one, code) for one, code in answers if code != one.code],
    )

"""The verification code of a mail or an SMS.

A number is not a code by its look: every candidate is scored by the words around it, and the best
one is taken if it scores enough. The rules, in this order:

1. Candidates are 4 to 8 digits; digits in groups (`123-456`, `123 456`, `1 2 3 4 5 6`); digits
   behind a short prefix (`G-123456`, of which the digits are the code); 4 to 8 letters and digits
   together; 4 to 8 capitals, or two groups of four (`WDJB-MJHT`).
2. Never a candidate: what belongs to a URL, a mail address, a date, a time, a price, a decimal
   number, a version, a phone number or a longer number.
3. For it speak a word for "code" before it or behind it in the same sentence, most of all with
   nothing between them but `is` or a colon; a line of its own below such a word or subject; `Enter
   … to sign in`, `Type … in the app`, `this number: …`; `It's …` after a sentence about a code; and
   the form that browsers read (`@example.com #123456`).
4. Against it speak a label right before it (`Order`, `Invoice`, `ending in`), a unit right behind
   it (`points`, `EUR`), a code that saves money or names a fault, one that is no longer valid, a
   quoted line, four digits that are a year or, behind `at`, an hour, a number in brackets behind
   another word (`(room 2210)`), and one that another is told of (`flat 1204 is 6642`).

Grouped digits are returned without the separator, letters as they stand.
"""

import re
import unicodedata
from itertools import islice

from ravi_agent.command import code_forms as forms
from ravi_agent.command import code_words as words
from ravi_agent.command import code_words_more as more
from ravi_agent.command.code_forms import LATIN

# Scripts whose words have no spaces around them, or take endings and prefixes without one.
_CJK = re.compile(
    r"[\u0590-\u06ff\u0900-\u097f\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]"
)
_ENOUGH = 3.5
TEXT_LIMIT = 16 * 1024  # characters of one message that are looked at
_MOST = 200  # candidates of one message
_REACH = 90  # characters between a word and a number that may still belong together


def _pattern(alternatives: "tuple[str, ...]") -> str:
    """One pattern for words of all scripts: whole words where words have spaces around them."""
    parts = []
    for alternative in alternatives:
        if _CJK.search(alternative):
            parts.append(f"(?:{alternative})")
        else:
            parts.append(f"(?<![{LATIN}])(?:{alternative})(?![{LATIN}])")
    return "|".join(parts)


_CODE = re.compile(rf"(?:{_pattern(words.CODE_WORDS + more.CODE_WORDS)})(?!-[a-z])", re.IGNORECASE)
_OTHER = re.compile(_pattern(words.OTHER_CODES + more.OTHER_CODES), re.IGNORECASE)
_PURPOSE = re.compile(_pattern(words.PURPOSE_WORDS + more.PURPOSE_WORDS), re.IGNORECASE)
_OVER = re.compile(_pattern(words.OVER + more.OVER), re.IGNORECASE)
_SALES = re.compile("|".join(words.SALES), re.IGNORECASE)
_NUMBER_WORD = r"(?:\s*(?:no\.?|nr\.?|n[°ºr]\.?|num(?:ber|mer)?|number|id|code|番号|号|號|编号|#))?"
_LABEL = re.compile(
    rf"(?:{_pattern(words.LABELS + more.LABELS)}){_NUMBER_WORD}(?:\s+(?:is|ist|est|es|è|é|jest|to))?"
    r"[\s:：#№\"'(*«「【-]*$|[#№]\s*$",
    re.IGNORECASE,
)
_PLACE = re.compile(rf"(?:{_pattern(words.PLACES)})\s*(?:no\.?|nr\.?)?\s*$", re.IGNORECASE)
_UNIT = re.compile(rf"^[ \t)-]{{0,2}}(?:{_pattern(words.UNITS)})", re.IGNORECASE)
# Nothing between a word and its number but what says that they are the same.
_IS = re.compile(
    r"^[\s\"'“”„«»「」『』【】()\[\]*_`~|>-]*(?:[:：=→–—]|is\b|are\b|ist\b|lautet\b|est\b|es\b|è\b|é\b|jest\b|to\b"
    r"|is:|är\b|er\b|为|為|是|は|が|、|,|，)?[\s:：=\"'“”„«»「」『』【】()\[\]*_`~|>#→–—-]*$",
    re.IGNORECASE,
)
_IS_BEHIND = re.compile(
    r"^[\s\"'“”»」』】)\]*_`–—-]*(?:[:：]\s*)?(?:is|ist|est|es|è|é|jest|to|är|er|是|为|為|が|は|as|als|como|come|jako|comme)"
    r"(?![a-z])",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(
    r"(?<!\bmin)(?<!\bno)(?<!\bnr)(?<!\bz\.b)(?<!\bca)[.!?](?=\s|$)|[。！？!?]|\n\s*\n",
    re.IGNORECASE,
)
_VERB = re.compile(rf"(?:{_pattern(words.VERBS + more.VERBS)})[^.!?\n\d]{{0,25}}$", re.IGNORECASE)
_VERB_BEHIND = re.compile(rf"^[^.!?\n\d]{{0,8}}(?:{_pattern(more.VERBS_BEHIND)})", re.IGNORECASE)
# `All that you need to sign in is this number: 482913`.
_THIS_NUMBER = re.compile(rf"(?:{_pattern(more.THIS_NUMBER)})\s*[:：]?\s*$", re.IGNORECASE)
_SCREEN = re.compile(rf"{_pattern(more.SCREENS)}", re.IGNORECASE)


class _Candidate:
    """A possible code and where it stands."""

    __slots__ = ("end", "kind", "start", "value")

    def __init__(self, found: "re.Match[str]") -> None:
        self.kind = str(found.lastgroup)
        if self.kind == "digits":
            self.kind = "prefixed"
        text = found["digits"] or found[0]
        is_digits = not re.search("[A-Za-z]", text)
        self.value = re.sub(r"\D", "", text) if is_digits else text
        self.start, self.end = found.span()


def find_code(text: str, subject: str = "") -> str | None:
    """The verification code that a text holds, with the mail's subject to go by; else None."""
    subject = plain_text(subject)[:500]
    whole = (
        f"{subject}\n\n{plain_text(text)[:TEXT_LIMIT]}"
        if subject
        else plain_text(text)[:TEXT_LIMIT]
    )
    if browsers := forms.FOR_BROWSERS.search(whole):
        return browsers[1]
    whole = forms.HASHED.sub(r" \1", whole)
    for form in (forms.URL, forms.ADDRESS, *forms.NO_CODES):
        whole = form.sub(lambda found: "\u2026" * len(found[0]), whole)
    # A code for the till is no word for a code; as long as it was, so that places stay.
    neutral = _OTHER.sub(lambda found: "\u2026" * len(found[0]), whole)
    best, best_score = None, 0.0
    scores: dict[str, float] = {}
    for found in islice(forms.CANDIDATES.finditer(whole), _MOST):
        candidate = _Candidate(found)
        if not 4 <= len(candidate.value.replace("-", "")) <= 8:
            continue
        score = _score(candidate, neutral, whole, subject)
        again = 0.5 if candidate.value in scores and score > 0 else 0.0
        scores[candidate.value] = max(scores.get(candidate.value, score), score) + again
        if scores[candidate.value] > best_score:
            best, best_score = candidate.value, scores[candidate.value]
    return best if best_score >= _ENOUGH else None


def plain_text(text: str) -> str:
    """Full-width digits as plain ones, one kind of line end, no invisible characters."""
    # A full-width comma ends a clause; as a plain one it would be a decimal's.
    text = re.sub(r"[，、]", ", ", text[: 4 * TEXT_LIMIT])
    text = re.sub(r"(?<=\d{4}),(?=\d{1,2}\s?[分秒天小])", ", ", text)
    text = re.sub(r"[^\D0-9]", lambda found: str(unicodedata.digit(found[0])), text)
    text = unicodedata.normalize("NFKC", text).replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"[\u00ad\u200b-\u200f\u2060\ufeff\u034f]", "", text)


def _score(candidate: _Candidate, text: str, original: str, subject: str) -> float:
    left, right = text[max(0, candidate.start - 400) : candidate.start], text[candidate.end :][:200]
    line_start = text.rfind("\n", 0, candidate.start) + 1
    line_end = (text + "\n").find("\n", candidate.end)
    around = text[line_start : candidate.start] + text[candidate.end : line_end]
    is_alone = not re.search(r"[^\W_]", around)
    strict, loose = _by_code_word(left, right, is_alone=is_alone)
    score = max(strict, loose)
    score = max(score, _by_purpose(candidate, left, right))
    if is_alone:
        score = max(score, _alone(left, right, subject))
    score += _look(candidate, strict)
    return score - _against(candidate, left, right, original, strict=strict)


def _by_code_word(left: str, right: str, *, is_alone: bool) -> tuple[float, float]:
    """How closely a word for a code stands before or behind: as `is` does, and at all."""
    strict = loose = 0.0
    for found in _CODE.finditer(left):
        gap = left[found.end() :]
        if _IS.match(gap) and gap.count("\n") <= 3:
            strict = max(strict, 8.0 - min(gap.count("\n"), 2) * 0.5)
        elif len(gap) <= _REACH and not _SENTENCE_END.search(gap):
            weight = 6.0 - len(gap) / 40 - 1.5 * len(re.findall(r"\d{4,}", gap))
            if re.search(
                r"(?:is|ist|lautet|est|es|è|é|jest|to|[:：=是为は])[\s\"'“„«「【*_]*$", gap
            ):
                strict = max(strict, min(weight + 2.5, 6.9))
            loose = max(loose, weight if gap.count("\n") <= 1 or is_alone else weight - 2)
    for found in _CODE.finditer(right[:_REACH]):
        gap = right[: found.start()]
        if _SENTENCE_END.search(gap) or gap.count("\n") > 2:
            break
        if _IS_BEHIND.match(gap):
            strict = max(strict, 8.0 - len(gap) / 60)
        weight = 4.5 - len(gap) / 40 - 1.5 * len(re.findall(r"\d{4,}", gap))
        loose = max(loose, weight - gap.count("\n"))
        break
    return strict, loose


def _by_purpose(candidate: _Candidate, left: str, right: str) -> float:
    """`Enter 482913 to sign in`, `482913 is your Acme login`, `which code? It's 482913`."""
    has_code_before = _CODE.search(left[-240:])
    if has_code_before and forms.PRONOUN.search(left[-24:]):
        return 4.5
    if _THIS_NUMBER.search(left):
        return 4.0
    is_told = _VERB.search(left[-60:]) or _VERB_BEHIND.match(right)
    if candidate.kind in {"mixed", "letters", "pair"}:
        # Letters and digits right behind `enter` are what is to be entered.
        is_next = re.search(r"[^\W\d_]+[\s:：\"'«„]+$", left[-60:]) and is_told
        is_code = is_next and (candidate.value.isupper() and re.search(r"\d", candidate.value))
        return 5.5 if is_code and _VERB.search(left[-16:]) else 0.0
    if is_told and has_code_before:
        return 4.0
    near = right[:_REACH]
    end = _SENTENCE_END.search(near)
    near = near[: end.start()] if end else near
    has_purpose = _PURPOSE.search(near)
    if is_told and (has_purpose or _PURPOSE.search(left[-120:]) or _SCREEN.search(near)):
        return 5.0
    if has_purpose and _IS_BEHIND.match(right):
        return 4.5
    clause = re.split(_SENTENCE_END, left[-_REACH:])[-1]
    is_labelled = _PURPOSE.search(clause) and re.search(r"[:：]\s*$|入力|输入|輸入", clause)
    return 4.0 if is_labelled else 2.5 if has_purpose else 0.0


def _alone(left: str, right: str, subject: str) -> float:
    """For a number on a line of its own: what the lines around it and the subject speak of."""
    above = [line for line in left.split("\n") if line.strip()][-4:]
    for distance, line in enumerate(reversed(above)):
        if _CODE.search(line):
            return 6.5 - distance * 0.5
    below = [line for line in right.split("\n") if line.strip()][:2]
    if _CODE.search(subject):
        return 5.0
    if any(_CODE.search(line) for line in below):
        return 4.5
    if any(_PURPOSE.search(line) for line in (*above, subject)):
        return 4.0
    return 0.0


def _look(candidate: _Candidate, strict: float) -> float:
    """What the form itself says: six digits are the most usual, letters need the closest words."""
    kind, value = candidate.kind, candidate.value
    if kind in {"plain", "grouped", "spaced", "prefixed"}:
        if re.fullmatch(r"(?:19|20)\d{2}", value) and kind == "plain":
            return -3.0
        return 1.0 if len(value) == 6 else 0.5 if len(value) in {4, 5} else 0.0
    if kind == "letters":
        return 0.0 if strict >= 7.0 and value not in forms.CAPITALS else -9.0
    if kind == "pair":
        return 0.0 if strict or re.search(r"\d", value) else -1.0
    if forms.NO_WORDS.fullmatch(value):
        return -9.0
    is_one_case = value.upper() == value or value.lower() == value
    return (0.0 if is_one_case else -1.0) - (0.0 if strict else 1.5)


def _against(
    candidate: _Candidate, left: str, right: str, original: str, *, strict: float
) -> float:
    weight = 0.0
    line = left.rpartition("\n")[2]
    bracket = forms.BRACKET.search(left[-28:])
    if forms.ANOTHER_BEHIND.match(right) or (bracket and not _CODE.search(bracket[0])):
        weight += 4.0
    if forms.HOUR.search(left[-8:]) and re.fullmatch(r"(?:[01]\d|2[0-3])[0-5]\d", candidate.value):
        weight += 6.0
    if _is_labelled(left):
        weight += 10.0
    if re.search(
        r"\u2026\s*(?:is|ist|est|es|è|é|jest|to|是|は)?[\s:：\"'“„«「【*-]*$", line[-24:]
    ) and (not original[candidate.start - 1 : candidate.start].isdigit()):
        before = original[max(0, candidate.start - 48) : candidate.start]
        if _OTHER.search(before):
            weight += 10.0
    if _UNIT.match(right) or forms.UNIT_SIGN.match(right) or forms.STREET.match(right):
        weight += 8.0
    if forms.CURRENCY.search(left[-6:]):
        weight += 8.0
    if line.lstrip().startswith(">"):
        weight += 2.0
    sentence_left = re.split(_SENTENCE_END, left[-160:])[-1]
    end = _SENTENCE_END.search(right)
    sentence = sentence_left + "#" + (right[: end.start()] if end else right)
    if _OVER.search(sentence):
        weight += 6.0
    if _SALES.search(sentence) and candidate.kind in {"mixed", "letters", "pair"}:
        weight += 9.0
    elif _SALES.search(sentence) and strict < 7.0:
        weight += 3.0
    return weight


def _is_labelled(left: str) -> bool:
    """Whether `Order`, `Invoice no.` or the like stands right before, on a line above only alone."""
    tail = left[-48:]
    found = _LABEL.search(tail) or _PLACE.search(tail)
    if not found or _CODE.search(tail[-14:]) or _THIS_NUMBER.search(left):
        return False
    if forms.COLON_OR_IS.search(
        tail
    ):  # `The code of your parcel is …`: the label is the code's own
        clause = re.split(_SENTENCE_END, left[-_REACH:])[-1].rpartition("\n")[2]
        if _CODE.search(clause) and not re.search(r"\d", clause):
            return False
    above, newline, _ = left.rstrip(" \t").rpartition("\n")
    if not newline or left[len(above) + 1 :].strip():
        return True
    return len(above.rstrip().rpartition("\n")[2].split()) <= 3

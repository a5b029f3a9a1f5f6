"""The link of a mail or an SMS that finishes a sign-up or a login.

Every http(s) link is scored by what it is called, by the words of its path and by a token in it:
`Confirm your address` and `/verify?token=…` speak for it; unsubscribing, help, pictures, `this was
not me` and a bare home page against it. The best one is taken if it scores enough.
"""

import re

from ravi_agent.command import code_words as words
from ravi_agent.command import code_words_more as more
from ravi_agent.command.code_finder import TEXT_LIMIT, plain_text
from ravi_agent.command.code_forms import URL
from ravi_agent.command.html_text import read_html

_LINK_FOR = re.compile("|".join(words.LINK_WORDS + more.LINK_WORDS), re.IGNORECASE)
_LINK_RESET = re.compile("|".join(words.RESET_WORDS), re.IGNORECASE)
_LINK_AGAINST = re.compile("|".join(words.OTHER_LINKS), re.IGNORECASE)
_FILE = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|css|js|ico|woff2?|pdf|ics)(?:[?#]|$)", re.IGNORECASE
)
_TOKEN = re.compile(
    r"[?&/=#][A-Za-z0-9._~%+=-]{16,}|[?&](?:token|code|key|otp|oob|confirmation|t|k|c)\w*=",
    re.IGNORECASE,
)


def find_link(text: str, html: str = "") -> str | None:
    """The link that finishes a sign-up or a login, None where no link says so."""
    links = read_html(html)[1] if html else []
    plain = plain_text(text)[:TEXT_LIMIT]
    for found in URL.finditer(plain):
        url = found[0].rstrip(".,;:!?)]}>'\"*…")
        if url.lower().startswith("http"):
            # What is said about an address in a text stands before it.
            before = plain[max(0, found.start() - 160) : found.start()]
            lines = [line for line in before.split("\n") if line.strip()][-2:]
            links.append((url, " ".join(lines)))
    best, best_score = None, 0.0
    for url, said in links:
        score = _link_score(url, said)
        if score > best_score:
            best, best_score = url, score
    return best if best_score >= 2.0 else None


def _link_score(url: str, said: str) -> float:
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    if scheme.lower() not in {"http", "https"} or _FILE.search(url) or not host:
        return 0.0
    score = 0.0
    if _LINK_FOR.search(said):
        score += 3.0
    elif _LINK_RESET.search(said):
        score += 2.5
    if _LINK_FOR.search(path):
        score += 2.0
    elif _LINK_RESET.search(path):
        score += 1.5
    if _TOKEN.search("/" + path):
        score += 1.0
    if _LINK_AGAINST.search(said):
        score -= 3.0
    if _LINK_AGAINST.search(path.partition("?")[0]) or _LINK_AGAINST.search(host):
        score -= 3.0
    if not path.strip("/"):
        score -= 2.0
    return score

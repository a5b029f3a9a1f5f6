"""What an agent wants of a message, as the service sends it: its text, its code, its link."""

from ravi_agent.command.code_finder import find_code
from ravi_agent.command.html_text import read_html
from ravi_agent.command.link_finder import find_link


def code_of(message: "dict[str, object]") -> str | None:
    """The code of a mail or an SMS, as the service sends them."""
    subject = _field(message, "subject")
    for text in _texts(message):
        if code := find_code(text, subject):
            return code
    return find_code(subject) if subject else None


def link_of(message: "dict[str, object]") -> str | None:
    """The verification link of a mail or an SMS."""
    text = _field(message, "text_content") or _field(message, "body")
    return find_link(text, _field(message, "html_content"))


def text_of(message: "dict[str, object]") -> str:
    """All that a message says below its subject, its HTML as text."""
    return "\n".join(_texts(message))


def _texts(message: "dict[str, object]") -> list[str]:
    texts = [_field(message, "text_content"), _field(message, "body")]
    if html := _field(message, "html_content"):
        texts.append(read_html(html)[0])
    return [text for text in texts if text.strip()]


def _field(message: "dict[str, object]", name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""

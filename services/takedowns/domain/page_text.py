"""What a visitor reads of a page, in time that grows with its length and no faster, whatever strangers put into it."""

from html import unescape
from typing import Final

TITLE_LENGTH_MAX: Final = 300
_UNSEEN: Final = ("script", "style", "noscript", "template", "svg", "head")
_LOWER: Final = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
)  # the places of others must not shift


def text_of(html: str) -> str:
    """The words between the tags. A tag or comment that never ends hides the rest."""
    small = html.translate(_LOWER)
    parts: list[str] = []
    at = 0
    while at < len(html):
        start = html.find("<", at)
        if start < 0:
            parts.append(html[at:])
            break
        parts.append(html[at:start])
        at = _after(small, start)
        if at < 0:
            break
    return " ".join(unescape(" ".join(parts)).split())


def title_of(html: str) -> str:
    """The title, on one line."""
    small = html.translate(_LOWER)
    start = small.find("<title")
    opened = small.find(">", start) if start >= 0 else -1
    end = small.find("</title", opened) if opened >= 0 else -1
    return " ".join(unescape(html[opened + 1 : end]).split())[:TITLE_LENGTH_MAX] if end >= 0 else ""


def _after(small: str, start: int) -> int:
    """Where what begins at `start` ends; -1: nowhere."""
    if small.startswith("<!--", start):
        end = small.find("-->", start + 4)
        return end + 3 if end >= 0 else -1
    name = next((name for name in _UNSEEN if small.startswith(name, start + 1)), None)
    if name is not None and not small[start + 1 + len(name) : start + 2 + len(name)].isalnum():
        start = small.find(f"</{name}", start)
        if start < 0:
            return -1
    end = small.find(">", start)
    return end + 1 if end >= 0 else -1

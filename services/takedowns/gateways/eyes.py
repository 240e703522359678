"""Looks at pages through the guarded session. Bodies stay in memory for as long as they are judged; nothing of them is kept but
fingerprints. The user agent names us.
"""

import secrets
import string
from collections import OrderedDict
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from libs.common.clock import Clock
from libs.common.http.client import HttpError
from libs.common.http.guarded import Fetched, GuardedClient, NameUnknown
from services.takedowns.domain.fingerprint import fingerprint
from services.takedowns.domain.page_text import text_of
from services.takedowns.domain.verdict import Look

MISSING_KEPT_MS: Final = 86_400_000
MISSING_KEPT_MAX: Final = 2_000
NAME_LETTERS: Final = 25  # of a path that never was
_TEXT: Final = ("text/", "application/xhtml", "application/xml", "application/json")
_KEPT_HEADERS: Final = frozenset({"cf-mitigated", "server"})
_ACCEPT: Final = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.5"}


class PageEyes:
    """The port `Eyes`."""

    def __init__(self, http: GuardedClient, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._missing: OrderedDict[tuple[str, bool], tuple[int, Look | None]] = OrderedDict()

    async def look(self, url: str, *, is_head: bool) -> Look:
        at = self._clock.now()
        try:
            got = await self._http.fetch("HEAD" if is_head else "GET", url, headers=_ACCEPT)
        except NameUnknown:
            return Look(at=at, is_unresolved=True, error="NameUnknown")
        except HttpError as exc:
            return Look(at=at, error=type(exc).__name__)
        text = _text(got)
        return Look(
            at=at,
            status=got.status,
            final_url=got.url,
            headers={name.lower(): value for name, value in got.headers.items() if name.lower() in _KEPT_HEADERS},
            text=text_of(text) if text is not None else "",
            print_=fingerprint(text) if text is not None else None,
        )

    async def look_at_missing(self, url: str, *, is_head: bool) -> Look | None:
        beside = _beside(url)
        key = (beside, is_head)
        kept = self._missing.get(key)
        if kept is not None and kept[0] > self._clock.now_ms():
            return kept[1]
        name = "".join(secrets.choice(string.ascii_lowercase) for _ in range(NAME_LETTERS))
        look: Look | None = await self.look(beside + name, is_head=is_head)
        if look is not None and look.status is None:
            look = None
        self._missing[key] = (self._clock.now_ms() + MISSING_KEPT_MS, look)
        self._missing.move_to_end(key)
        while len(self._missing) > MISSING_KEPT_MAX:
            self._missing.popitem(last=False)
        return look


def _beside(url: str) -> str:
    """The directory of a URL."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rpartition("/")[0] + "/", "", ""))


def _text(got: Fetched) -> str | None:
    """The body as text; None for what is none (an image, a film)."""
    kind = got.headers.get("Content-Type", "text/html")
    if not got.body or not kind.lower().startswith(_TEXT):
        return None
    charset = kind.lower().partition("charset=")[2].strip(" \"';") or "utf-8"
    try:
        return got.body.decode(charset, errors="replace")
    except (LookupError, ValueError):
        return got.body.decode("utf-8", errors="replace")

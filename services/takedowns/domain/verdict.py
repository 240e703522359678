"""Is it gone? What one look at a URL says, what several say together, and when to look again.

One look never makes a removal. What keeps us out (logins, challenges, errors) says nothing about the content.
"""

import enum
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from services.takedowns.domain.fingerprint import Fingerprint, is_alike
from services.takedowns.domain.states import Stage, State

TWO_HARD: Final = timedelta(hours=1)  # between the two looks that make a removal
TWO_SOFT: Final = timedelta(hours=6)
UNRESOLVED_LOOKS: Final = 3
UNRESOLVED_FOR: Final = timedelta(hours=72)
AFTER_NOTICE: Final = tuple(timedelta(hours=hours) for hours in (6, 24, 72, 7 * 24, 14 * 24, 30 * 24, 60 * 24, 90 * 24))
AFTER_REMOVAL: Final = tuple(timedelta(days=days) for days in (1, 7, 14, 30, 60, 90))
QUARTER: Final = timedelta(days=91)
JITTER: Final = 0.1
DEADLINES: Final[Mapping[Stage, timedelta]] = {
    Stage.SITE: timedelta(hours=72),
    Stage.HOSTING: timedelta(hours=96),
    Stage.REGISTRAR: timedelta(hours=120),
    Stage.SEARCH: timedelta(hours=120),
}
_GONE: Final = frozenset({404, 410, 451})
_LOGIN: Final = re.compile(r"/(?:login|signin|sign-in|sign_in|auth|account/login|users/sign_in)\b", re.IGNORECASE)
_SEARCH: Final = re.compile(r"/search\b|[?&](?:q|query|s|search|k)=", re.IGNORECASE)
_CHALLENGE_TITLES: Final = re.compile(
    r"just a moment|attention required|checking your browser|are you (?:a )?human|access denied|security check|ddos|captcha",
    re.IGNORECASE,
)


class Verdict(enum.StrEnum):
    """What one look said."""

    GONE = "gone"
    SOFT_GONE = "soft_gone"
    ALIVE = "alive"
    INCONCLUSIVE = "inconclusive"
    UNRESOLVED = "unresolved"  # the host's name does not exist

    @property
    def is_gone(self) -> bool:
        return self in {Verdict.GONE, Verdict.SOFT_GONE}


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen: an answer, or why there was none. The body stays in the process that fetched it."""

    at: datetime
    status: int | None = None
    final_url: str | None = None
    headers: Mapping[str, str] = {}
    text: str = ""
    print_: Fingerprint | None = None
    is_unresolved: bool = False
    error: str | None = None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A look of the past, as it is kept."""

    at: datetime
    verdict: Verdict


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of how a site answers. `missing`: what it shows for a path that never was; None = not known."""

    removed_markers: tuple[str, ...] = ()
    live_markers: tuple[str, ...] = ()
    missing: Look | None = None


def judge(url: str, look: Look, site: Site, *, first: Fingerprint | None = None) -> Verdict:
    """What `look` says. `first` is the fingerprint of the URL's own page when it was alive."""
    if look.is_unresolved:
        return Verdict.UNRESOLVED
    if look.status is None:
        return Verdict.INCONCLUSIVE
    if look.status in _GONE:
        return Verdict.GONE
    if look.status != 200 or is_challenge(look):
        return Verdict.INCONCLUSIVE
    text = look.text.casefold()
    if any(marker.casefold() in text for marker in site.live_markers):
        return Verdict.ALIVE
    if any(marker.casefold() in text for marker in site.removed_markers):
        return Verdict.SOFT_GONE
    return _soft(url, look, site.missing, first)


def is_challenge(look: Look) -> bool:
    """Whether we were shown a door and not the page."""
    if look.headers.get("cf-mitigated") == "challenge":
        return True
    return look.print_ is not None and bool(_CHALLENGE_TITLES.search(look.print_.title))


def _soft(url: str, look: Look, missing: Look | None, first: Fingerprint | None) -> Verdict:
    """A page with status 200: the content, or a page that says in prose that there is none (Bar-Yossef et al. 2004)."""
    if first is not None and look.print_ is not None and is_alike(look.print_, first):
        return Verdict.ALIVE
    elsewhere = _led_elsewhere(url, look.final_url)
    if missing is None:
        # Nothing to compare with: only a redirect says something, and that not for sure.
        return Verdict.INCONCLUSIVE if elsewhere else Verdict.ALIVE
    if missing.status in _GONE:
        # The site says 404 where it means it. Still, a page that is sent away to the front door is not there.
        return Verdict.SOFT_GONE if elsewhere in {"home", "search"} else _unless_login(elsewhere)
    if missing.status != 200 or is_challenge(missing):
        return Verdict.INCONCLUSIVE if elsewhere else Verdict.ALIVE
    if look.print_ is None and missing.print_ is None:
        return Verdict.INCONCLUSIVE  # nothing was read, and the site answers 200 to everything
    if _led_elsewhere(url, missing.final_url) == "login":
        return Verdict.INCONCLUSIVE  # everything behind this wall looks alike
    if look.print_ is not None and missing.print_ is not None and _is_same_page(look.print_, missing.print_):
        return Verdict.SOFT_GONE
    return Verdict.SOFT_GONE if elsewhere in {"home", "search"} else _unless_login(elsewhere)


def _is_same_page(page: Fingerprint, missing: Fingerprint) -> bool:
    """Alike to the last words, and of one title: pages with little text but a title of their own are content."""
    return page.title == missing.title and is_alike(page, missing)


def _unless_login(elsewhere: str) -> Verdict:
    return Verdict.INCONCLUSIVE if elsewhere == "login" else Verdict.ALIVE


def _led_elsewhere(url: str, final_url: str | None) -> str:
    """`home`, `login` or `search` if the redirects ended there and the URL was not that itself; else empty."""
    if final_url is None:
        return ""
    asked, got = urlsplit(url), urlsplit(final_url)
    if (asked.path, asked.query) == (got.path, got.query):
        return ""
    if _LOGIN.search(got.path):
        return "login"
    if got.path in {"", "/"} and not got.query and asked.path not in {"", "/"}:
        return "home"
    tail = f"{got.path}?{got.query}"
    return "search" if _SEARCH.search(tail) and not _SEARCH.search(f"{asked.path}?{asked.query}") else ""


def settled(now: Checked, before: Sequence[Checked]) -> bool:
    """Whether the looks together say that the content is gone: two in a row, far enough apart. `before`: newest first.

    A name that does not resolve counts once it has not for three looks over 72 hours.
    """
    if not _counts_as_gone(now, before):
        return False
    needed = TWO_SOFT if now.verdict is Verdict.SOFT_GONE else TWO_HARD
    for position, earlier in enumerate(before):
        if not _counts_as_gone(earlier, before[position + 1 :]):
            return False
        if earlier.verdict is Verdict.SOFT_GONE:
            needed = max(needed, TWO_SOFT)
        if now.at - earlier.at >= needed:
            return True
    return False


def _counts_as_gone(look: Checked, before: Sequence[Checked]) -> bool:
    if look.verdict is not Verdict.UNRESOLVED:
        return look.verdict.is_gone
    row = [look]
    for earlier in before:
        if earlier.verdict is not Verdict.UNRESOLVED:
            break
        row.append(earlier)
    return len(row) >= UNRESOLVED_LOOKS and row[0].at - row[-1].at >= UNRESOLVED_FOR


def deadline(stage: Stage, *, sent_at: datetime, escalate_after_h: int | None = None) -> datetime:
    """When patience with `stage` ends. A site's own entry may grant it another time."""
    if stage is Stage.SITE and escalate_after_h is not None:
        return sent_at + timedelta(hours=escalate_after_h)
    return sent_at + DEADLINES[stage]


def next_look(
    *,
    state: State,
    verdict: Verdict | None,
    now: datetime,
    since: datetime,
    chance: float,
    deadline_at: datetime | None = None,
) -> datetime | None:
    """When to look again; None = never. `since`: when the last notice left, or the content went; `chance` from 0 to 1 moves it
    by up to ±10 %, so that what was sent together is not fetched together.
    """
    if state in {State.COUNTER_NOTICED, State.REJECTED, State.CANCELLED, State.FAILED_REFUNDED}:
        return None  # frozen until a person decides, or over
    if verdict is Verdict.GONE and state is not State.REMOVED:
        return now + TWO_HARD
    if verdict is Verdict.SOFT_GONE and state is not State.REMOVED:
        return now + TWO_SOFT
    if state in {State.UNRESPONSIVE, State.DELISTED}:
        return now + QUARTER * _spread(chance)
    plan = AFTER_REMOVAL if state is State.REMOVED else AFTER_NOTICE
    # A tenth later: a look that came early by its jitter must not be repeated.
    step = next((step for step in plan if since + step > now + step * JITTER), None)
    due = since + step * _spread(chance) if step is not None else now + QUARTER * _spread(chance)
    due = max(due, now + timedelta(minutes=1))
    if deadline_at is not None and deadline_at > now:
        due = min(due, deadline_at)
    return due


def _spread(chance: float) -> float:
    return 1 - JITTER + 2 * JITTER * chance

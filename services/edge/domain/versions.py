"""The life of API versions: active, deprecated, sunset, as their dates and the clock say.

The versions themselves are contracts (`libs/common/contracts/versions.py`), what differs between them is `changes/`. When one
ends is the operator's decision: dates come from the setting `FANGATE_API_VERSION_DATES`.
"""

import enum
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import msgspec

from libs.common.contracts.versions import API_VERSIONS, NEWEST, UNPINNED

NOTICE: Final = timedelta(days=90)  # between the deprecation of a version and its end, at least (R169)


class Stage(enum.StrEnum):
    """Where a version is in its life."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"  # works, and every answer says until when
    SUNSET = "sunset"  # works no more


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version. `next` is the one after it, empty for the newest."""

    date: str
    next: str = ""
    deprecated_at: datetime | None = None
    sunset_at: datetime | None = None

    def stage(self, now: datetime) -> Stage:
        """Its stage at `now`; each date belongs to what it begins."""
        if self.sunset_at is not None and self.sunset_at <= now:
            return Stage.SUNSET
        if self.deprecated_at is not None and self.deprecated_at <= now:
            return Stage.DEPRECATED
        return Stage.ACTIVE


class Versions:
    """All versions there are, oldest first."""

    def __init__(self, rows: Sequence[Version]) -> None:
        """Raises ValueError for an end without a deprecation `NOTICE` before it, an end before an older version's, or any end
        of the newest version.
        """
        self._rows: Mapping[str, Version] = {row.date: row for row in rows}
        for row in rows:
            if row.sunset_at is not None and (row.deprecated_at is None or row.sunset_at < row.deprecated_at + NOTICE):
                raise ValueError(f"{row.date}: it ends {NOTICE.days} days after it was deprecated, or later")
            if row.deprecated_at is not None and not row.next:
                raise ValueError(f"{row.date}: the newest version is not deprecated")
        ends = [row.sunset_at for row in rows]
        for older, newer in itertools.pairwise(ends):
            if newer is not None and (older is None or older > newer):
                raise ValueError("an older version does not outlive a newer one")

    @classmethod
    def with_dates(cls, text: str) -> Self:
        """All versions with the operator's dates: `2025-06-26=2027-01-15/2027-07-15` is deprecated on the first date and ends
        on the second (which may be left out with its stroke); several are separated by commas. A date is a day, or a time with its offset.
        Raises ValueError, saying where.
        """
        dates: dict[str, tuple[datetime | None, datetime | None]] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            version, _, life = entry.partition("=")
            if version not in API_VERSIONS or version in dates:
                raise ValueError(f"{entry}: `version=deprecated/sunset` of a known version is expected, once")
            deprecated, _, sunset = life.partition("/")
            dates[version] = (_date(deprecated), _date(sunset) if sunset else None)
        following = dict(zip(API_VERSIONS, (*API_VERSIONS[1:], ""), strict=True))
        rows = []
        for date in API_VERSIONS:
            deprecated_at, sunset_at = dates.get(date, (None, None))
            rows.append(
                Version(date=date, next=following[date], deprecated_at=deprecated_at, sunset_at=sunset_at)
            )  # fmt: skip
        return cls(rows)

    def get(self, date: str) -> Version | None:
        """The version of exactly this date."""
        return self._rows.get(date)

    @property
    def all(self) -> tuple[Version, ...]:
        """Oldest first."""
        return tuple(self._rows.values())

    def default(self, pinned: str | None) -> Version:
        """What a caller gets who asks for none: the date pinned on the key at issue."""
        return self._rows.get(pinned or UNPINNED) or self._rows[NEWEST]

    def after(self, version: Version, now: datetime) -> str:
        """The version to move to: the first one after it that has not ended."""
        while version.next:
            version = self._rows[version.next]
            if version.stage(now) is not Stage.SUNSET:
                return version.date
        return NEWEST


def _date(text: str) -> datetime:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r}: a date such as 2027-01-15 is expected") from None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)

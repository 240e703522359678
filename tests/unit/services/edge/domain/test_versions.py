"""The life of a version: dates and the clock decide, and what could surprise a client is refused at start."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from libs.common.contracts.versions import API_VERSIONS, NEWEST, UNPINNED
from services.edge.domain.versions import NOTICE, Stage, Version, Versions

DEPRECATED = datetime(2027, 1, 15, tzinfo=UTC)
SUNSET = datetime(2027, 7, 15, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def test_R128_a_version_is_active_then_deprecated_then_sunset() -> None:
    version = Version(date="2025-06-26", next="2026-11-20", deprecated_at=DEPRECATED, sunset_at=SUNSET)
    stages = [version.stage(at) for at in (DEPRECATED - MOMENT, DEPRECATED, SUNSET - MOMENT, SUNSET)]
    assert stages == [Stage.ACTIVE, Stage.DEPRECATED, Stage.DEPRECATED, Stage.SUNSET]
    assert Version(date="2026-11-20").stage(SUNSET) is Stage.ACTIVE


def test_the_operator_sets_the_dates() -> None:
    versions = Versions.with_dates(" 2025-06-26=2027-01-15/2027-07-15T02:00+02:00 ")
    found = versions.get("2025-06-26")
    assert found is not None
    assert (found.deprecated_at, found.sunset_at, found.next) == (DEPRECATED, SUNSET, API_VERSIONS[1])
    assert [version.date for version in Versions.with_dates("").all] == list(API_VERSIONS)
    assert all(version.deprecated_at is None for version in Versions.with_dates("").all)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2020-01-01=2027-01-15", "known version"),
        ("2025-06-26", "date such as"),
        ("2025-06-26=soon", "date such as"),
        ("2025-06-26=2027-01-15,2025-06-26=2027-01-16", "once"),
        ("2025-06-26=2027-01-15/2027-04-14", "90 days after"),
        (f"{NEWEST}=2027-01-15", "newest version"),
    ],
)
def test_dates_that_cannot_be_are_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Versions.with_dates(text)


def test_R169_a_version_ends_ninety_days_after_it_was_deprecated_or_later() -> None:
    one = Version(date="2025-06-26", next="2026-11-20", deprecated_at=DEPRECATED, sunset_at=DEPRECATED + NOTICE)
    Versions([one])
    with pytest.raises(ValueError, match="90 days"):
        Versions([msgspec.structs.replace(one, sunset_at=DEPRECATED + NOTICE - MOMENT)])
    with pytest.raises(ValueError, match="90 days"):
        Versions([Version(date="2025-06-26", next="2026-11-20", sunset_at=SUNSET)])


def test_an_older_version_does_not_outlive_a_newer_one() -> None:
    older = Version(date="a", next="b", deprecated_at=DEPRECATED)
    newer = Version(date="b", next="c", deprecated_at=DEPRECATED, sunset_at=SUNSET)
    with pytest.raises(ValueError, match="outlive"):
        Versions([older, newer, Version(date="c")])


def test_callers_are_sent_to_a_version_that_works() -> None:
    one = Version(date="a", next="b", deprecated_at=DEPRECATED, sunset_at=SUNSET)
    two = msgspec.structs.replace(one, date="b", next=NEWEST)
    versions = Versions([one, two, Version(date=NEWEST)])
    assert versions.after(one, SUNSET - MOMENT) == "b"
    assert versions.after(one, SUNSET) == NEWEST


def test_who_asks_for_none_gets_the_keys_version() -> None:
    versions = Versions.with_dates("")
    assert versions.default(NEWEST).date == NEWEST
    assert versions.default(None).date == UNPINNED
    assert versions.default("1999-01-01").date == NEWEST

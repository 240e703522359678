"""One suite for the queue of reports in memory and that on Postgres."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.takedowns.domain.csam_ports import CsamReports
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.store.csam_reports import PostgresCsamReports
from tests.contract.takedowns.conftest import ORG
from tests.support.servers import TestDatabase
from tests.support.takedowns_outside import MemoryCsamReports

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
URLS = ("https://a.example.com/1", "not a url")


@pytest.fixture
def memory() -> CsamReports:
    return MemoryCsamReports()


@pytest.fixture
async def postgres(database: TestDatabase) -> AsyncIterator[CsamReports]:
    db = await Database.connect(database.dsn("takedowns"), schema="takedowns", name="test", size_max=4)
    yield PostgresCsamReports(db)
    await db.close()


@pytest.fixture(params=["memory", "postgres"])
def reports(request: pytest.FixtureRequest) -> CsamReports:
    found: CsamReports = request.getfixturevalue(request.param)
    return found


async def test_reports_wait_oldest_first_and_once(reports: CsamReports) -> None:
    ids = [uuid7() for _ in range(3)]
    for n, id_ in enumerate((*ids, ids[0])):
        await reports.add(id_, ORG, None, URLS, now=NOW + timedelta(minutes=n))
    waiting = await reports.waiting(limit=2)
    assert [(report.id, report.url_count, report.urls) for report in waiting] == [(id_, 2, None) for id_ in ids[:2]]
    assert await reports.count_waiting() == 3


async def test_a_report_shows_its_urls_until_it_is_closed_once(reports: CsamReports) -> None:
    id_ = uuid7()
    assert await reports.show(id_) is None
    await reports.add(id_, ORG, None, URLS, now=NOW)
    shown = await reports.show(id_)
    assert shown is not None
    assert (shown.urls, shown.closed_at) == (URLS, None)

    async def close(report_id: uuid.UUID) -> bool:
        return await reports.close(report_id, by="desk", authority="NCMEC", reference="CT-1", now=NOW)

    assert [await close(each) for each in (id_, id_, uuid7())] == [True, False, False]
    shown = await reports.show(id_)
    assert shown is not None
    assert (shown.urls, shown.url_count, shown.authority, shown.reference) == (None, 2, "NCMEC", "CT-1")
    assert (list(await reports.waiting(limit=9)), await reports.count_waiting()) == ([], 0)


async def test_what_is_not_there_is_not_under_way(reports: CsamReports) -> None:
    assert await reports.under_way(ORG, {b"\x00" * 16}) == {}
    await reports.withhold(UrlOwner(ORG, 1, uuid.UUID(int=1)), [uuid7()])

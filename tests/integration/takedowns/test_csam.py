"""Material that shows the abuse of children: never fetched, never hashed, in one table until a person told the authorities."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.common.contracts.takedowns import ReportCsam
from libs.common.ids import uuid7
from services.takedowns.domain.errors import InvalidRequest
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import Operator, clean_environment
from tests.support.takedowns import Takedowns
from tests.support.under_way import HOST, World, a_world

START = 100_000
MARK = "marked-material"


@pytest.fixture
async def world(takedowns: Takedowns, database: TestDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(takedowns, database, tmp_path) as one:
        yield one


async def report(world: World, *urls: str, report_id: uuid.UUID | None = None, org_id: uuid.UUID | None = None) -> Any:
    asked = ReportCsam(org_id=org_id or world.takedowns.org_id, urls=urls)
    return await world.do.report_csam(asked, report_id or uuid7())


async def places_of(world: World, text: str) -> set[str]:
    """Tables of the service that hold `text`, in whatever column."""
    admin = await asyncpg.connect(world.admin_dsn)
    try:
        tables = await admin.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'takedowns'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        found = set()
        for (name,) in tables:
            rows = await admin.fetchval(
                f'SELECT count(*) FROM takedowns."{name}" t WHERE t::text LIKE $1 OR encode(t::text::bytea, $2) LIKE $1', f"%{text}%", "escape"
            )  # fmt: skip
            found |= {name} if rows else set()
        return found
    finally:
        await admin.close()


async def test_a_report_lies_in_its_queue_and_nowhere_else_and_nothing_looks_at_it(world: World) -> None:
    await world.entry()
    urls = [f"http://{HOST}:{world.site.port}/{MARK}/{n}" for n in range(3)] + [f"ftp://odd.example/{MARK}"]
    taken = await report(world, *urls)
    assert (taken.url_count, taken.stopped) == (4, 0)
    for _ in range(3):
        await world.turn(hours=30)
    assert await places_of(world, MARK) == {"csam_reports"}
    assert [await world.takedowns.count(table) for table in ("urls", "hosts", "batches", "outbox")] == [0] * 4
    assert (world.site.asks, world.sink.connections, world.registries.asked) == ([], 0, 0)
    assert await world.takedowns.balance() == START


async def test_the_same_report_again_is_one(world: World) -> None:
    report_id = uuid7()
    first = await report(world, "https://a.example.com/1", report_id=report_id)
    assert await report(world, "https://a.example.com/1", report_id=report_id) == first
    assert await world.takedowns.count("csam_reports") == 1


@pytest.mark.parametrize("urls", [(), ("x",) * 101, ("",), ("x" * 2_049,), ("a\x00b",)])
async def test_reports_that_are_none_are_refused(world: World, urls: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        await report(world, *urls)
    assert await world.takedowns.count("csam_reports") == 0


async def test_what_was_under_way_by_mistake_stops_for_good_and_is_refunded_if_no_notice_left(world: World) -> None:
    # given URLs that wait, one that a notice left for, and one of another organization
    await world.entry()
    noticed = await world.begin(f"/{MARK}/noticed")
    waiting = await world.submit(f"/{MARK}/waiting", "/other")
    stranger_org = await world.takedowns.billing.organization(plan=None, topup=10)
    stranger = await world.takedowns.creator(org_id=stranger_org)
    await world.submit(f"/{MARK}/noticed", creator=stranger, org_id=stranger_org)
    looked = len(world.site.asks)

    # when they are reported, however they are spelt
    base = f"{HOST}:{world.site.port}/{MARK}"
    taken = await report(world, f"https://www.{base}/noticed?utm_source=x", f"http://{base}/waiting")
    assert taken.stopped == 2

    # then they are nobody's work any more, a resubmission is a duplicate, and their text is gone from the rows
    for _ in range(5):
        await world.turn(hours=30)
    await world.takedowns.on.refunds.send(older_s=0, limit=10)
    assert await world.states(noticed) == [("reported", 0)]
    assert ("reported", 0) in await world.states(waiting)
    assert not [path for path in world.site.asks[looked:] if "waiting" in path]
    assert await world.takedowns.balance() == START - 2, "the one that a notice left for stays paid"
    again = await world.takedowns.submit((waiting, [f"http://{base}/waiting"]))
    assert (again.new, again.duplicate) == (0, 1)
    rows = await world.takedowns.db.fetch("SELECT url FROM urls WHERE state = 14")
    assert {row["url"] for row in rows} == {"withheld"}
    assert (await report(world, f"http://{base}/waiting")).stopped == 0
    assert [state for state, _ in await world.states(stranger)] != ["reported"], "another organization's is its own"


async def test_a_person_tells_the_authorities_and_the_urls_are_forgotten(
    world: World, database: TestDatabase, broker: TestBroker
) -> None:
    operator = Operator(
        "takedowns",
        clean_environment()
        | {"FANGATE_ENV": "test", "FANGATE_POSTGRES_DSN": database.dsn("takedowns"), "FANGATE_AMQP_URL": broker.url("takedowns")},
    )  # fmt: skip
    taken = await report(world, f"https://a.example.com/{MARK}")
    assert await world.takedowns.on.csam_reports.count_waiting() == 1
    listed = await operator("csam list")
    assert [(each["id"], each["url_count"]) for each in listed["reports"]] == [(str(taken.report_id), 1)]
    assert MARK not in json.dumps(listed)
    shown = await operator(f"csam show {taken.report_id}")
    assert shown["urls"] == [f"https://a.example.com/{MARK}"]
    assert "report.cybertip.org" in json.dumps(shown["where"])
    close = f"csam close {taken.report_id} --authority NCMEC --reference CT-17 --by desk"
    closed = await operator(close)
    assert (closed["authority"], closed["reference"]) == ("NCMEC", "CT-17")
    again, stranger = await asyncio.gather(operator.run(close), operator.run(f"csam show {uuid7()}"))
    assert (again[0], stranger[0]) == (2, 2)
    assert (await operator("csam list"))["reports"] == []
    assert (await operator(f"csam show {taken.report_id}"))["urls"] is None
    assert await places_of(world, MARK) == set()

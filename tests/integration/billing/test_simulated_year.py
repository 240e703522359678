"""A leap year of daily ticks, with everything that subscriptions go through; `make year` runs it for 200 organizations."""

import os
import sys
import time

import pytest

from libs.common.db.pool import Database
from libs.common.redis.client import Redis
from tests.support.servers import TestDatabase
from tests.support.year import a_year, make_room

ORGANIZATIONS = int(os.environ.get("YEAR_ORGANIZATIONS", "4"))
DAYS = int(os.environ.get("YEAR_DAYS", "366"))
SEED = int(os.environ.get("YEAR_SEED", "20240229"))


@pytest.mark.timeout(3_600)
async def test_R022_R023_R171_a_year_of_ticks_renews_once_and_makes_no_credit_from_nothing(
    database: TestDatabase, redis_url: str
) -> None:
    await make_room(database.admin_dsn)
    db = await Database.connect(database.dsn("billing"), schema="billing", name="year", size_max=10)
    redis = Redis.create(redis_url)
    began = time.perf_counter()
    try:
        year = a_year(db, redis, SEED, ORGANIZATIONS)
        silent = 0  # days without a timer: it is late by a day, by several, once by ten weeks
        for day in range(DAYS):
            if silent == 0 and day > 0:
                silent = 70 if day == 150 else year.chance.choice([0] * 12 + [1, 2, 5])
            await year.day(ticks=silent == 0)
            silent = max(0, silent - 1)
        await year.finish()

        audit = await year.books.verify(None)
        assert audit.is_ok
        assert year.did["edge"] + year.did["batch"] > ORGANIZATIONS * DAYS / 20
        assert await db.fetchval("SELECT count(*) FROM leases WHERE state < 3") == 0
        sys.stdout.write(
            f"\nseed {SEED}: {ORGANIZATIONS} organizations, {DAYS} days, {year.auditor.transfers} transfers,"
            f" {sum(one.periods for one in year.expected.values())} periods in {time.perf_counter() - began:.1f} s;"
            f" {dict(sorted(year.did.items()))}"
        )
    finally:
        await redis.close()
        await db.close()

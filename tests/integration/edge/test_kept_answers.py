"""Idempotency keys on real Postgres: races, expiry, outages, what the database holds the edge to, what a backup shows."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from libs.common.db.errors import CheckViolation, Forbidden
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from libs.common.peppers import PepperRing
from services.edge.domain.idempotency import Asking, Claim, Kept
from services.edge.domain.refusal import Refusal
from services.edge.store import idempotency
from services.edge.store.idempotency import BODY_BYTES_MAX, QUERIES, PostgresAnswers
from services.edge.store.sealed_answers import SealedAnswers
from tests.support.idempotency import an_asking
from tests.support.servers import TestDatabase

SECRET = Kept(201, b'{"data":{"secret":"fgk_0123456789"}}')


def answers_on(db: Database, ring: str = "a:" + "11" * 32) -> PostgresAnswers:
    return PostgresAnswers(db, SealedAnswers(PepperRing.parse(ring)), fence_ms=40_000)


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    own = await Database.connect(database.dsn("edge"), schema="edge", name="test", size_min=0, size_max=20)
    yield own
    await own.close()


async def claimed(answers: PostgresAnswers, asking: Asking) -> Claim:
    found = await answers.claim(asking, uuid7())
    assert isinstance(found, Claim)
    return found


async def outcome(answers: PostgresAnswers, asking: Asking) -> str:
    try:
        found = await answers.claim(asking, uuid7())
    except Refusal as refusal:
        return refusal.code
    return "replayed" if isinstance(found, Kept) else f"turn {found.turn}"


@pytest.mark.alone  # two hundred within the time limit of one statement
async def test_of_two_hundred_at_once_one_gets_the_key(db: Database) -> None:
    answers, asking = answers_on(db), an_asking()
    found = Counter(await asyncio.gather(*(outcome(answers, asking) for _ in range(200))))
    assert found == {"turn 1": 1, "IDEMPOTENCY_IN_PROGRESS": 199}


@pytest.mark.alone  # two hundred within the time limit of one statement
async def test_of_two_hundred_at_once_one_takes_over_a_claim_that_has_run_out(db: Database) -> None:
    answers, asking = answers_on(db), an_asking()
    await answers.hold(await claimed(answers, asking))
    found = Counter(await asyncio.gather(*(outcome(answers, asking) for _ in range(200))))
    assert found == {"turn 2": 1, "IDEMPOTENCY_IN_PROGRESS": 199}


async def test_keys_that_come_and_go_are_held_by_one_at_a_time(db: Database) -> None:
    answers, asking, held, most = answers_on(db), an_asking(), 0, 0

    async def hold_and_free() -> None:
        nonlocal held, most
        for _ in range(20):
            try:
                claim = await claimed(answers, asking)
            except Refusal:
                continue
            held += 1
            most = max(most, held)
            await asyncio.sleep(0)
            held -= 1
            await answers.free(claim)

    await asyncio.gather(*(hold_and_free() for _ in range(20)))
    assert most == 1
    assert await db.fetchval("SELECT count(*) FROM idempotency") == 0


async def test_the_sweeper_forgets_what_is_older_than_a_day_and_nothing_else(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "ROWS_PER_SWEEP", 3)
    answers = answers_on(db)
    old = [await claimed(answers, an_asking()) for _ in range(10)]
    await db.execute("UPDATE idempotency SET created_at = now() - interval '24 hours 1 second'")
    young = await claimed(answers, an_asking())
    assert len(old) == 10
    await answers.sweep()
    assert [row["call_id"] for row in await db.fetch("SELECT call_id FROM idempotency")] == [young.call_id]


async def test_who_reads_the_database_reads_no_answer_and_no_key(db: Database) -> None:
    answers, asking = answers_on(db), an_asking()
    await answers.keep(await claimed(answers, asking), SECRET)
    row = await db.fetchrow("SELECT * FROM idempotency")
    assert row is not None
    assert b"fgk_" not in row["answer"]
    assert await answers.claim(asking, uuid7()) == SECRET


async def test_an_answer_moved_to_another_row_is_not_given(db: Database) -> None:
    answers, mine, theirs = answers_on(db), an_asking(), an_asking()
    await answers.keep(await claimed(answers, mine), SECRET)
    await answers.keep(await claimed(answers, theirs), Kept(201, b"{}"))
    await db.execute(
        "UPDATE idempotency SET answer = (SELECT answer FROM idempotency WHERE org_id = $1) WHERE org_id = $2",
        mine.org_id, theirs.org_id,
    )  # fmt: skip
    found = await answers.claim(theirs, uuid7())
    assert isinstance(found, Kept)
    assert (found.status, found.code) == (504, "OUTCOME_UNKNOWN")


@pytest.mark.parametrize("why", ["too large", "its pepper left the ring"])
async def test_an_answer_that_cannot_be_given_again_is_not_asked_for_again_either(db: Database, why: str) -> None:
    asking, answers = an_asking(), answers_on(db)
    body = b"x" * (BODY_BYTES_MAX + (why == "too large"))
    await answers.keep(await claimed(answers, asking), Kept(200, body))
    if why != "too large":
        assert await answers.claim(asking, uuid7()) == Kept(200, body)
        answers = answers_on(db, "b:" + "22" * 32)
    found = await answers.claim(asking, uuid7())
    assert isinstance(found, Kept)
    assert (found.status, found.code) == (504, "OUTCOME_UNKNOWN")
    assert found.body.startswith(b"The request was carried out")


async def test_without_postgres_no_key_is_claimed_and_nobody_waits_long(database: TestDatabase) -> None:
    away = database.dsn("edge").replace(f":{database.dsn('edge').rpartition(':')[2].split('/')[0]}/", ":9/")
    db = await Database.connect(away, schema="edge", name="test", size_min=0)
    answers = answers_on(db)
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await outcome(answers, an_asking()) == "UNAVAILABLE"
    await answers.keep(Claim(uuid7(), b"k" * 32, uuid7(), 1), SECRET)
    assert loop.time() - started < 4.5
    await db.close()


async def test_a_table_that_is_locked_is_an_outage_too(db: Database, database: TestDatabase) -> None:
    owner = await Database.connect(database.admin_dsn, schema="edge", name="owner")
    async with owner.transaction() as tx:
        await tx.execute("LOCK TABLE idempotency IN ACCESS EXCLUSIVE MODE")
        assert await outcome(answers_on(db), an_asking()) == "UNAVAILABLE"
    assert await outcome(answers_on(db), an_asking()) == "turn 1"
    await owner.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE idempotency SET org_id = org_id", "UPDATE idempotency SET key_digest = key_digest", "TRUNCATE idempotency",
        "SELECT * FROM auth.keys", "SELECT * FROM billing.transfers", "SELECT * FROM sessions.upstream_calls",
        "CREATE TABLE edge.more ()", "DROP TABLE idempotency",
    ],
)  # fmt: skip
async def test_what_the_edge_may_not_do(db: Database, statement: str) -> None:
    with pytest.raises(Forbidden):
        await db.execute(statement)


@pytest.mark.parametrize("service", ["auth", "billing", "sessions"])
async def test_no_other_service_reads_kept_answers(database: TestDatabase, service: str) -> None:
    other = await Database.connect(database.dsn(service), schema=service, name="test")
    with pytest.raises(Forbidden):
        await other.execute("SELECT * FROM edge.idempotency")
    await other.close()


@pytest.mark.parametrize(
    "broken",
    ["status = 200", "code = 'X'", "status = 99, code = ''", "answer = 'x'", "turn = 0", "fingerprint = 'short'"],
)
async def test_half_an_answer_is_refused_by_the_database(db: Database, broken: str) -> None:
    await claimed(answers_on(db), an_asking())
    with pytest.raises(CheckViolation):
        await db.execute(f"UPDATE idempotency SET {broken}")


async def test_every_step_finds_its_row_by_an_index(db: Database) -> None:
    asking = an_asking()
    async with db.transaction() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        row = (asking.org_id, asking.key_digest)
        holder = (*row, uuid7(), 1)
        for query, arguments in (
            (QUERIES.find, row), (QUERIES.free, holder), (QUERIES.hold, (*holder, False)), (QUERIES.keep, (*holder, 200, "", None, None)),
            (QUERIES.sweep, (86_400.0, 10)),
        ):  # fmt: skip
            plan = [line[0] for line in await tx.fetch(f"EXPLAIN {query}", *arguments)]
            assert not [line for line in plan if "Seq Scan" in line], "\n".join(plan)

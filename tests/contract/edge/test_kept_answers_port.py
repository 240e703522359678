"""The port `KeptAnswers`: what the one on Postgres and the double of the tests promise alike."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from libs.common.db.pool import Database
from libs.common.ids import uuid7
from libs.common.peppers import PepperRing
from services.edge.domain.idempotency import Asking, Claim, Kept
from services.edge.domain.ports import KeptAnswers
from services.edge.domain.refusal import Refusal
from services.edge.store.idempotency import PostgresAnswers
from services.edge.store.sealed_answers import SealedAnswers
from tests.support.edge import ManualClock
from tests.support.idempotency import RememberedAnswers, an_asking
from tests.support.servers import TestDatabase

FENCE_MS = 40_000
CLAIM_S, DAY_S = 45, 86_400
SENT = Kept(201, b'{"data":1}')


@dataclass
class World:
    """One of the two, and its time."""

    answers: KeptAnswers
    wait: Callable[[int], Awaitable[object]]  # seconds

    async def claim(self, asking: Asking) -> Claim:
        found = await self.answers.claim(asking, uuid7())
        assert isinstance(found, Claim)
        return found

    async def refusal(self, asking: Asking) -> str:
        with pytest.raises(Refusal) as refused:
            await self.answers.claim(asking, uuid7())
        return refused.value.code


@pytest.fixture(params=["postgres", "double"])
async def world(request: pytest.FixtureRequest, database: TestDatabase) -> AsyncIterator[World]:
    if request.param == "double":
        clock = ManualClock()

        async def advance(seconds: int) -> None:
            clock.advance(1_000 * seconds)

        yield World(RememberedAnswers(clock), advance)
        return
    db = await Database.connect(database.dsn("edge"), schema="edge", name="test")
    seals = SealedAnswers(PepperRing.parse("a:" + "11" * 32))

    async def age(seconds: int) -> None:
        await db.execute(
            "UPDATE idempotency SET created_at = created_at - make_interval(secs => $1),"
            " claimed_until = claimed_until - make_interval(secs => $1)",
            float(seconds),
        )

    yield World(PostgresAnswers(db, seals, fence_ms=FENCE_MS), age)
    await db.close()


async def test_a_fresh_key_is_ours_under_our_call_id(world: World) -> None:
    asking, call_id = an_asking(), uuid7()
    assert await world.answers.claim(asking, call_id) == Claim(asking.org_id, asking.key_digest, call_id, 1)


async def test_a_claimed_key_is_in_progress_until_the_claim_has_run_out(world: World) -> None:
    asking = an_asking()
    first = await world.claim(asking)
    assert await world.refusal(asking) == "IDEMPOTENCY_IN_PROGRESS"
    await world.wait(CLAIM_S - 2)
    assert await world.refusal(asking) == "IDEMPOTENCY_IN_PROGRESS"
    await world.wait(3)
    again = await world.claim(asking)
    assert (again.call_id, again.turn, again.is_taken_over) == (first.call_id, 2, True)


async def test_another_request_never_gets_a_key_that_is_in_use(world: World) -> None:
    asking = an_asking()
    other = an_asking(asking.org_id, body=b"other")
    claim = await world.claim(asking)
    for _ in range(2):
        assert await world.refusal(other) == "IDEMPOTENCY_KEY_REUSED"
        await world.wait(CLAIM_S)
    claim = await world.claim(asking)
    await world.answers.keep(claim, SENT)
    assert await world.refusal(other) == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("kept", [SENT, Kept(200, b""), Kept(409, "schon da: ü".encode(), "UPSTREAM_REJECTED")])
async def test_a_kept_answer_is_given_byte_for_byte(world: World, kept: Kept) -> None:
    asking = an_asking()
    await world.answers.keep(await world.claim(asking), kept)
    for _ in range(2):
        assert await world.answers.claim(asking, uuid7()) == kept


async def test_another_organization_has_keys_of_its_own(world: World) -> None:
    await world.answers.keep(await world.claim(an_asking()), SENT)
    await world.claim(an_asking(body=b"other"))


async def test_a_freed_key_is_as_good_as_new(world: World) -> None:
    asking = an_asking()
    first = await world.claim(asking)
    await world.answers.free(first)
    second = await world.claim(an_asking(asking.org_id, body=b"other"))
    assert (second.turn, second.call_id == first.call_id) == (1, False)


async def test_a_held_key_is_taken_over_at_once_by_the_same_request(world: World) -> None:
    asking = an_asking()
    first = await world.claim(asking)
    await world.answers.hold(first)
    assert await world.refusal(an_asking(asking.org_id, body=b"other")) == "IDEMPOTENCY_KEY_REUSED"
    again = await world.claim(asking)
    assert (again.call_id, again.turn) == (first.call_id, 2)


async def test_a_turn_that_certainly_paid_nothing_leaves_its_debits_id_to_the_next(world: World) -> None:
    asking = an_asking()
    first = await world.claim(asking)
    assert (first.debit_id, first.earlier_debits) == (first.call_id, ())
    for _ in range(2):  # said twice it is said once
        await world.answers.hold(first)
    second = await world.claim(asking)
    assert (second.turn, second.debit_id, second.earlier_debits) == (2, first.debit_id, ())
    await world.answers.hold(second, may_have_paid=True)
    third = await world.claim(asking)
    assert third.debit_id not in {first.debit_id, first.call_id}
    assert third.earlier_debits == (first.debit_id,)
    await world.wait(CLAIM_S + 1)  # nobody knows how far it came
    fourth = await world.claim(asking)
    assert fourth.earlier_debits == (first.debit_id, third.debit_id)
    assert fourth.debit_id not in fourth.earlier_debits


async def test_whoever_lost_its_claim_changes_nothing_any_more(world: World) -> None:
    asking = an_asking()
    first = await world.claim(asking)
    await world.wait(CLAIM_S + 1)
    second = await world.claim(asking)
    await world.answers.keep(first, Kept(502, b"late", "OF_API_ERROR"))
    await world.answers.hold(first)
    await world.answers.free(first)
    assert await world.refusal(asking) == "IDEMPOTENCY_IN_PROGRESS"
    await world.answers.keep(second, SENT)
    assert await world.answers.claim(asking, uuid7()) == SENT


async def test_an_answer_that_is_kept_stays(world: World) -> None:
    asking = an_asking()
    claim = await world.claim(asking)
    await world.answers.keep(claim, SENT)
    await world.answers.keep(claim, Kept(502, b"other", "OF_API_ERROR"))
    await world.answers.hold(claim)
    await world.answers.free(claim)
    assert await world.answers.claim(asking, uuid7()) == SENT


@pytest.mark.parametrize("is_answered", [True, False])
async def test_after_a_day_a_key_is_new_for_any_request(world: World, is_answered: bool) -> None:
    asking = an_asking()
    first = await world.claim(asking)
    if is_answered:
        await world.answers.keep(first, SENT)
        await world.wait(DAY_S - 2)
        assert await world.answers.claim(asking, uuid7()) == SENT
    await world.wait(DAY_S)
    second = await world.claim(an_asking(asking.org_id, body=b"other"))
    assert (second.turn, second.call_id == first.call_id) == (1, False)

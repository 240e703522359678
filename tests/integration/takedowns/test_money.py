"""Exactly-once money: any interleaving of submissions, refunds, resubmissions, cancellations and deletions leaves the ledger with
what the rows say.
"""

import asyncio
import os
import random
import uuid
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.contracts.creators import DeleteCreator
from services.takedowns.domain.states import Event
from tests.support.takedowns import Takedowns

START = 100_000
STEPS = 120
URLS = [f"https://leak-forum.net/{n}" for n in range(30)]
SEEDS = range(1, 1 + int(os.environ.get("TAKEDOWN_MONEY_SEEDS", "3")))  # more of them for a long run
EXAMPLES = int(os.environ.get("TAKEDOWN_MONEY_EXAMPLES", "6"))
STEP_NAMES = ("submit", "end", "notice", "send_refunds", "delete", "register", "deliver")
PAID = "SELECT count(*) FROM urls WHERE refunded_at IS NULL"
BOOKS = """SELECT coalesce(sum(amount) FILTER (WHERE code = 11), 0) AS debits, coalesce(sum(amount) FILTER (WHERE code = 20), 0) AS refunds
             FROM billing.transfers WHERE org_id = $1"""
PER_BATCH = """SELECT count(*) FROM (
    SELECT d.id, d.amount, (SELECT coalesce(sum(amount), 0) FROM billing.transfers r WHERE r.refunds_id = d.id AND r.code = 20) AS back
      FROM (SELECT id, sum(amount) AS amount FROM billing.transfers WHERE code = 11 AND org_id = $1 GROUP BY id) d) b
    WHERE back > amount"""


class World:
    """A few creators, and what can happen to them."""

    def __init__(self, takedowns: Takedowns, chance: random.Random) -> None:
        self.takedowns = takedowns
        self.chance = chance
        self.creators: list[uuid.UUID] = []
        self.charged = 0  # what callers were told

    async def step(self) -> None:
        """One thing that happens."""
        actions: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (8, self.submit), (3, self.end), (2, self.notice), (2, self.send_refunds), (1, self.delete), (1, self.register),
            (2, self.deliver),
        ]  # fmt: skip
        weights = [weight for weight, _ in actions]
        await self.chance.choices([action for _, action in actions], weights)[0]()

    async def register(self) -> None:
        self.creators.append(await self.takedowns.creator())

    async def submit(self) -> None:
        """Up to three at once, with URLs in common."""
        groups = [
            (self.chance.choice(self.creators), self.chance.sample(URLS, self.chance.randint(1, 20))) for _ in range(3)
        ]
        tries = [self.takedowns.submit(*groups[n:]) for n in range(self.chance.randint(1, 3))]
        self.charged += sum(reply.new for reply in await asyncio.gather(*tries))

    async def end(self) -> None:
        """Refunds and cancellations of the same URLs, at once."""
        creator = self.chance.choice(self.creators)
        owner, ids = await self.takedowns.owner(creator), await self.takedowns.url_ids(creator)
        some = self.chance.sample(ids, min(len(ids), 8))
        events = (Event.POISONED, Event.CANCELLED, Event.POISONED)
        ended = await asyncio.gather(*(self.takedowns.do.refund_urls(owner, some, event) for event in events))
        self.charged -= sum(ended)

    async def notice(self) -> None:
        """A notice went out: what it names is not refunded any more."""
        await self.takedowns.db.execute(
            "UPDATE urls SET state = 4, first_notice_at = now() WHERE refunded_at IS NULL AND id IN (SELECT id FROM urls LIMIT 3)"
        )

    async def send_refunds(self) -> None:
        await asyncio.gather(*(self.takedowns.on.refunds.send(older_s=0, limit=50) for _ in range(2)))

    async def delete(self) -> None:
        if len(self.creators) > 1:
            creator = self.creators.pop()
            request = DeleteCreator(org_id=self.takedowns.org_id, creator_id=creator)
            await self.takedowns.do.manage_creators.delete(request)

    async def deliver(self) -> None:
        await self.takedowns.carry()

    async def settle(self) -> None:
        """Everything that is under way arrives."""
        await self.takedowns.carry()
        await self.takedowns.on.refunds.send(older_s=0, limit=1_000)
        await self.takedowns.carry()


async def discrepancies(world: World) -> list[str]:
    """What the books and the rows do not agree on."""
    takedowns = world.takedowns
    await world.settle()
    paid = await takedowns.db.fetchval(PAID)
    books = await takedowns.billing.db.fetchrow(BOOKS, takedowns.org_id)
    assert books is not None
    net = int(books["debits"] - books["refunds"])
    found = []
    if net != paid:
        found.append(f"the ledger holds {net}, {paid} URLs are paid for and not refunded")
    if await takedowns.billing.balance(takedowns.org_id) != START - paid:
        found.append("the balance is another")
    if await takedowns.billing.leased(takedowns.org_id):
        found.append("credits are still set aside")
    if await takedowns.billing.db.fetchval(PER_BATCH, takedowns.org_id):
        found.append("a batch gave back more than it took")
    if await takedowns.billing.db.fetchval("SELECT count(*) FROM billing.post_errors"):
        found.append("the ledger put something aside")
    row = await takedowns.db.fetchrow("SELECT sum(debited) AS debited, sum(refunded) AS refunded FROM batches")
    assert row is not None
    if (int(row["debited"] or 0), int(row["refunded"] or 0)) != (int(books["debits"]), int(books["refunds"])):
        found.append("batches say otherwise than the ledger")
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_ledger_holds_exactly_what_is_paid_for_and_not_refunded(takedowns: Takedowns, seed: int) -> None:
    world = World(takedowns, random.Random(seed))
    await world.register()
    for _ in range(STEPS):
        await world.step()
    assert await discrepancies(world) == []


@settings(
    max_examples=EXAMPLES, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(steps=st.lists(st.sampled_from(STEP_NAMES), min_size=4, max_size=20), seed=st.integers(0, 1_000_000))
async def test_any_interleaving_leaves_the_ledger_with_what_the_rows_say(
    takedowns: Takedowns, steps: list[str], seed: int
) -> None:
    world = World(takedowns, random.Random(seed))  # with creators of its own: the books go on from example to example
    await world.register()
    for name in ("submit", *steps):
        await getattr(world, name)()
    assert await discrepancies(world) == []


async def test_the_audit_finds_a_refund_that_is_given_twice(takedowns: Takedowns) -> None:
    world = World(takedowns, random.Random(0))
    await world.register()
    await world.submit()
    # given a refund that does not remember that it was given
    (creator,) = world.creators
    owner, ids = await takedowns.owner(creator), await takedowns.url_ids(creator)
    await takedowns.do.refund_urls(owner, ids[:1], Event.POISONED)
    await takedowns.db.execute("UPDATE urls SET refunded_at = NULL, state = 1 WHERE id = $1", ids[0])
    await takedowns.do.refund_urls(owner, ids[:1], Event.POISONED)
    assert await discrepancies(world) != []


async def test_R107_four_concurrent_refunds_of_the_same_urls_give_each_back_once(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    await takedowns.submit((creator, [f"https://host{n % 5}.com/{n}" for n in range(1_000)]))
    owner, ids = await takedowns.owner(creator), await takedowns.url_ids(creator)
    outcomes = await asyncio.gather(
        *(takedowns.do.refund_urls(owner, ids[n:300] + ids[:n], Event.POISONED) for n in (0, 50, 100, 150))
    )
    assert sum(outcomes) == 300
    await takedowns.on.refunds.send(older_s=0, limit=10)
    assert await takedowns.balance() == START - 700
    # and four concurrent resubmissions charge them once
    again = await asyncio.gather(
        *(takedowns.submit((creator, [f"https://host{n % 5}.com/{n}" for n in range(1_000)])) for _ in range(4))
    )
    assert sorted(reply.new for reply in again) == [0, 0, 0, 300]
    assert await takedowns.balance() == START - 1_000


async def test_what_a_notice_left_for_is_not_refunded(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    await takedowns.submit((creator, URLS))
    await takedowns.db.execute("UPDATE urls SET state = 4, first_notice_at = now()")
    assert (
        await takedowns.do.refund_urls(
            await takedowns.owner(creator), await takedowns.url_ids(creator), Event.CANCELLED
        )
        == 0
    )
    assert await takedowns.count("batch_refunds") == 0

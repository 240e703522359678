"""Exactly-once money on real servers: any interleaving of submissions, refunds, resubmissions, cancellations, notices and deletions leaves
the ledger with what the rows say. The machine is tests/support/takedown_money.py; unit tests run it on doubles.
"""

import asyncio
import os
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from libs.common.contracts.creators import DeleteCreator
from services.takedowns.domain.states import Event
from tests.support.takedown_money import MoneyMachine
from tests.support.takedowns import Takedowns

START = 100_000
URLS = [f"https://leak-forum.net/{n}" for n in range(30)]
EXAMPLES = int(os.environ.get("TAKEDOWN_MONEY_EXAMPLES", "6"))  # more of them for a long run
STEPS = int(os.environ.get("TAKEDOWN_MONEY_STEPS", "20"))
WORK_S_MAX = 120.0
PAID = "SELECT count(*) FROM urls WHERE refunded_at IS NULL"
BOOKS = """SELECT coalesce(sum(amount) FILTER (WHERE code = 11), 0) AS debits, coalesce(sum(amount) FILTER (WHERE code = 20), 0) AS refunds
             FROM billing.transfers WHERE org_id = $1"""
PER_BATCH = """SELECT count(*) FROM (
    SELECT d.id, d.amount, (SELECT coalesce(sum(amount), 0) FROM billing.transfers r WHERE r.refunds_id = d.id AND r.code = 20) AS back
      FROM (SELECT id, sum(amount) AS amount FROM billing.transfers WHERE code = 11 AND org_id = $1 GROUP BY id) d) b
    WHERE back > amount"""


class RealBooks:
    """The service and its billing on real servers."""

    def __init__(self, takedowns: Takedowns) -> None:
        self.takedowns = takedowns

    async def register(self) -> uuid.UUID:
        return await self.takedowns.creator()

    async def submit(self, groups: Sequence[tuple[uuid.UUID, Sequence[str]]]) -> int:
        return (await self.takedowns.submit(*groups)).new

    async def _ids(self, creator: uuid.UUID, urls: Sequence[str]) -> list[uuid.UUID]:
        owner = await self.takedowns.owner(creator)
        rows = await self.takedowns.db.fetch(
            "SELECT id FROM urls WHERE creator_id = $1 AND url = ANY($2)", owner.creator_id, list(urls)
        )
        return [row["id"] for row in rows]

    async def end(self, creator: uuid.UUID, urls: Sequence[str], event: Event) -> int:
        owner = await self.takedowns.owner(creator)
        return await self.takedowns.do.refund_urls(owner, await self._ids(creator, urls), event)

    async def notice(self, creator: uuid.UUID, urls: Sequence[str]) -> None:
        await self.takedowns.db.execute(
            "UPDATE urls SET state = 4, first_notice_at = now() WHERE refunded_at IS NULL AND id = ANY($1)",
            await self._ids(creator, urls),
        )

    async def send_refunds(self) -> None:
        await asyncio.gather(*(self.takedowns.on.refunds.send(older_s=0, limit=50) for _ in range(2)))

    async def delete(self, creator: uuid.UUID) -> None:
        request = DeleteCreator(org_id=self.takedowns.org_id, creator_id=creator)
        await self.takedowns.do.manage_creators.delete(request)
        await self.deliver()

    async def deliver(self) -> None:
        await self.takedowns.carry()

    async def discrepancies(self) -> list[str]:
        return await discrepancies(self.takedowns)


async def discrepancies(takedowns: Takedowns) -> list[str]:
    """Everything that is under way arrives; then what the books and the rows do not agree on."""
    await takedowns.carry()
    await takedowns.on.refunds.send(older_s=0, limit=1_000)
    await takedowns.carry()
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


async def test_any_interleaving_leaves_the_ledger_with_what_the_rows_say(takedowns: Takedowns) -> None:
    loop = asyncio.get_running_loop()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(WORK_S_MAX)

    # Each life has creators of its own: the books go on from one to the next.
    members = {"books": lambda: RealBooks(takedowns), "run": staticmethod(run)}
    lives = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    await asyncio.to_thread(run_state_machine_as_test, type("Money", (MoneyMachine,), members), settings=lives)
    assert await takedowns.count("batches") > 0


async def test_the_audit_finds_a_refund_that_is_given_twice(takedowns: Takedowns) -> None:
    # given a refund that does not remember that it was given
    creator = await takedowns.creator()
    await takedowns.submit((creator, URLS))
    owner, ids = await takedowns.owner(creator), await takedowns.url_ids(creator)
    await takedowns.do.refund_urls(owner, ids[:1], Event.POISONED)
    await takedowns.db.execute("UPDATE urls SET refunded_at = NULL, state = 1 WHERE id = $1", ids[0])
    await takedowns.do.refund_urls(owner, ids[:1], Event.POISONED)
    assert await discrepancies(takedowns) != []


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

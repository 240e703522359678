"""Many callers, few credits: never more 2xx than the balance covers, and all of it when demand exceeds it."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable

import pytest

from libs.common.contracts.billing import CloseLease
from libs.common.contracts.takedowns import BatchDebited
from libs.common.errors import FangateError, Unavailable
from libs.common.ids import uuid7
from libs.common.redis.keys import lease as lease_key
from services.billing.domain.bucket import BucketKind
from services.billing.domain.errors import CreditsInUse, InsufficientCredits
from tests.support.billing import Billing, a_billing, a_usage, recorded
from tests.support.servers import OwnRedis, TestDatabase


class Edge:
    """Callers of one organization: reserve, call, and let the usage be posted behind the answer."""

    def __init__(self, billing: Billing, org_id: uuid.UUID) -> None:
        self.billing, self.org_id = billing, org_id
        self.paid_credits = 0  # of calls that were answered 2xx
        self.refused: list[str] = []
        self._refill = asyncio.Lock()  # single flight, as the refill lock makes it
        self._queue: asyncio.Queue[tuple[uuid.UUID, uuid.UUID, int]] = asyncio.Queue()

    async def call(self, cost: int, *, is_ok: bool = True) -> bool:
        """One call; True = 2xx."""
        lease_id = await self._admit(cost)
        if lease_id is None:
            return False
        await asyncio.sleep(random.uniform(0, 0.01))
        if is_ok:  # a failed call would be released; here its reserve stays behind until the lease is final
            self._queue.put_nowait((uuid7(), lease_id, cost))
            self.paid_credits += cost
        return is_ok

    async def _admit(self, cost: int) -> uuid.UUID | None:
        try:
            if (lease_id := await self.billing.reserve(self.org_id, cost)) is not None:
                return lease_id
            async with self._refill:
                if (lease_id := await self.billing.reserve(self.org_id, cost)) is not None:
                    return lease_id
                await self.billing.open_slab(self.org_id, cost=cost)
            return await self.billing.reserve(self.org_id, cost)
        except (FangateError, Unavailable) as exc:
            self.refused.append(exc.code)
            return None

    async def post(self, chance_of_repeat: float = 0.2) -> None:
        """The ledger's consumer, for ever: batches, some of them delivered again."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < 50:
                batch.append(self._queue.get_nowait())
            message = recorded(*(a_usage(self.org_id, lease, cost, id_) for id_, lease, cost in batch))
            await self.billing.post(message)
            if random.random() < chance_of_repeat:
                await self.billing.post(message)
            for _ in batch:
                self._queue.task_done()

    async def settled(self) -> None:
        await self._queue.join()


async def run_out(edge: Edge, tasks: int, costs: list[int]) -> None:
    """Call with `tasks` at once until every one of them has met a 402."""

    async def caller() -> None:
        while True:
            await edge.call(random.choice(costs))
            if edge.refused and edge.refused[-1] == InsufficientCredits.code:
                return
            await asyncio.sleep(0)

    await asyncio.gather(*(caller() for _ in range(tasks)))


@pytest.mark.parametrize("balance", [50, 100])
async def test_64_callers_get_exactly_what_the_balance_covers(billing: Billing, balance: int) -> None:
    org_id = await billing.poor_organization(balance)
    edge = Edge(billing, org_id)
    poster = asyncio.create_task(edge.post())

    await run_out(edge, 64, [1])
    await edge.settled()
    poster.cancel()

    assert edge.paid_credits == balance
    assert await billing.balance(org_id) == 0
    assert set(edge.refused) <= {InsufficientCredits.code, CreditsInUse.code}


async def test_200_concurrent_calls_on_50_credits_are_50_answers_then_402(billing: Billing) -> None:
    org_id = await billing.poor_organization(50)
    edge = Edge(billing, org_id)

    answers = await asyncio.gather(*(edge.call(1) for _ in range(200)))

    assert sum(answers) == 50
    assert set(edge.refused) <= {CreditsInUse.code}  # nothing is posted: the credits are in flight, it is never a 402
    poster = asyncio.create_task(edge.post())
    await edge.settled()
    poster.cancel()
    assert await edge.call(1) is False
    assert edge.refused[-1] == InsufficientCredits.code
    assert await billing.balance(org_id) == 0
    assert (await billing.books.verify(org_id)).is_ok


async def test_litellm_26672_batches_recall_while_64_callers_burst(billing: Billing) -> None:
    """Their burst overran the budget; here costs 1 and 2 race with batches that recall, and nobody overspends."""
    org_id = await billing.organization(plan="basic", topup=1)  # 1001
    edge = Edge(billing, org_id)
    poster = asyncio.create_task(edge.post())
    batches: list[int] = []

    async def batcher() -> None:
        for number in range(15):
            amount = random.randint(1, 40)
            try:
                opened = await billing.open_batch(org_id, amount)
            except (CreditsInUse, InsufficientCredits):
                continue
            if number % 5 == 4:  # given up: its close returns everything
                await billing.app.handlers.close_batch(CloseLease(org_id=org_id, lease_id=opened.lease_id))
                continue
            used = random.randint(0, amount)
            await billing.post(BatchDebited(org_id=org_id, batch_id=opened.lease_id, amount=used))
            batches.append(used)

    await asyncio.gather(run_out(edge, 32, [1, 2]), run_out(edge, 32, [1]), batcher(), batcher())
    await edge.settled()
    poster.cancel()

    assert edge.paid_credits + sum(batches) == 1001 - await billing.balance(org_id)
    assert await billing.balance(org_id) <= 1  # a 402 at cost 2 may leave one
    audit = await billing.books.verify(org_id)
    assert (audit.is_ok, audit.organizations[0].waived) == (True, 0)


async def test_flushall_under_load_never_grants_twice(
    database: TestDatabase, redis_server: Callable[[], Awaitable[OwnRedis]]
) -> None:
    own = await redis_server()
    async with a_billing(database, own.url) as billing:
        org_id = await billing.organization(plan="basic")
        edge = Edge(billing, org_id)
        poster = asyncio.create_task(edge.post())

        async def caller() -> None:
            for _ in range(40):
                await edge.call(random.choice([1, 2]), is_ok=random.random() > 0.2)

        async def vandal() -> None:
            for _ in range(12):
                await asyncio.sleep(0.05)
                await billing.redis.command("FLUSHALL")

        await asyncio.gather(*(caller() for _ in range(50)), vandal())
        await edge.settled()
        poster.cancel()
        assert edge.paid_credits <= 1000
        assert await billing.balance(org_id) == 1000 - edge.paid_credits
        await billing.finish_all()

        assert await billing.leased(org_id) == 0  # nothing stays stranded
        audit = await billing.books.verify(org_id)
        assert (audit.is_ok, audit.organizations[0].waived) == (True, 0)


async def test_litellm_27639_a_call_that_never_ends_does_not_keep_its_credits(billing: Billing) -> None:
    """Their reservation leaked when the release was lost; here it returns when its lease is final."""
    org_id = await billing.poor_organization(50)
    await billing.open_slab(org_id)
    for _ in range(50):
        assert await billing.reserve(org_id, 1) is not None  # reserved, and never heard of again

    with pytest.raises(CreditsInUse):
        await billing.open_slab(org_id)
    await billing.finish_all()

    assert (await billing.open_slab(org_id)).granted == 50


async def test_unkey_ttl_reseed_a_lost_counter_is_not_seeded_from_the_balance(billing: Billing) -> None:
    """Their cache re-seeded a counter from a balance that unsynchronised spending had not reached."""
    org_id = await billing.poor_organization(50)
    opened = await billing.open_slab(org_id)
    for _ in range(30):
        await billing.reserve(org_id, 1)
    await billing.redis.command("DEL", lease_key(org_id, await billing.redis.epoch()))

    with pytest.raises(CreditsInUse):
        await billing.open_slab(org_id)
    await billing.post(recorded(*(a_usage(org_id, opened.lease_id) for _ in range(30))))
    await billing.finish_all()

    assert await billing.balance(org_id) == 20
    assert (await billing.open_slab(org_id)).granted == 20


async def test_autumn_630_a_top_up_and_debits_at_the_same_time_lose_neither(billing: Billing) -> None:
    """Their top-up and a concurrent debit overwrote each other's balance."""
    org_id = await billing.organization(plan="pro")
    opened = await billing.open_slab(org_id, cost=200, ref="edge:630")
    eight = asyncio.Semaphore(8)  # the pool has ten connections, and all want the same organization

    async def debit() -> None:
        async with eight:
            await billing.post(recorded(a_usage(org_id, opened.lease_id)))

    async def top_up() -> None:
        async with eight:
            await billing.grant(org_id, 7, kind=BucketKind.TOPUP, memo="race")

    work = [debit] * 100 + [top_up] * 20
    random.shuffle(work)
    await asyncio.gather(*(one() for one in work))

    assert await billing.balance(org_id) == 5000 - 100 + 20 * 7


async def test_lago_3618_two_starts_at_once_grant_once(billing: Billing) -> None:
    """Their two webhooks within a millisecond granted twice."""
    org_id = uuid.uuid4()

    await asyncio.gather(*(billing.start(org_id, "pro") for _ in range(8)))

    assert await billing.balance(org_id) == 5000


async def test_litellm_35569_a_clean_up_that_fails_half_way_is_counted_once(billing: Billing) -> None:
    """Their failed clean-up was repeated and counted twice; here every closing step may run again."""
    org_id = await billing.organization(plan="free")
    opened = await billing.open_slab(org_id)
    await billing.reserve(org_id, 3)
    billing.clock.skip(36)

    await asyncio.gather(*(billing.app.work.expire_leases() for _ in range(4)))
    await billing.post(recorded(a_usage(org_id, opened.lease_id, cost=3)))
    billing.clock.skip(60)
    await asyncio.gather(*(billing.app.work.expire_leases() for _ in range(4)))
    markers = await billing.said("billing.lease.expired.v1", "lease_id")
    assert markers == [(str(opened.lease_id),)]
    await billing.finish_all()

    assert (await billing.balance(org_id), await billing.leased(org_id)) == (97, 0)

"""The table of crashes and races of a submission: whatever happens, the lease is closed and the debit is what is stored."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.common.contracts.takedowns import BatchDebited
from libs.common.errors import DeadlinePassed, FangateError, Refused, RpcError, Unavailable
from libs.common.ids import uuid7
from services.takedowns.domain.errors import CommitLost, InsufficientCredits, ProcessingFailed
from services.takedowns.domain.ports import KnownHost, Submissions
from services.takedowns.usecases.store_batch import StoreBatch
from tests.support.takedowns import Takedowns

KILL = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'test' AND state = 'idle in transaction'"""
URLS = [f"https://piracy-site.com/{n}" for n in range(50)]


async def sweep(takedowns: Takedowns) -> int:
    """Two minutes later."""
    await takedowns.db.execute("UPDATE batches SET created_at = now() - interval '3 min' WHERE status = 'leasing'")
    return await takedowns.do.settle_batches()


async def statuses(takedowns: Takedowns) -> list[str]:
    return [row["status"] for row in await takedowns.db.fetch("SELECT status FROM batches ORDER BY id")]


@pytest.mark.parametrize(
    ("error", "is_late"),
    [
        (DeadlinePassed(), False),
        (DeadlinePassed(), True),
        (RpcError("UNAVAILABLE"), False),
        (RpcError("UNAVAILABLE"), True),
        (Refused(), False),
    ],
)
async def test_no_answer_from_billing_is_503_and_nothing_stays(
    takedowns: Takedowns, error: FangateError, *, is_late: bool
) -> None:
    creator = await takedowns.creator()
    takedowns.rpc.failing, takedowns.rpc.is_late = [error], is_late
    with pytest.raises(Unavailable):
        await takedowns.submit((creator, URLS))
    assert await takedowns.count("urls") == 0
    assert await takedowns.leased() == 0
    assert await takedowns.balance() == 100_000
    assert (await takedowns.submit((creator, URLS))).new == 50


async def test_a_debit_delivered_twice_or_late_has_one_effect(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    await takedowns.submit((creator, URLS))
    said = [message for message in await takedowns.carry() if isinstance(message, BatchDebited)]
    await takedowns.billing.post(*said, *said)
    assert await takedowns.balance() == 100_000 - 50


async def test_a_message_delivered_again_is_answered_as_before(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    batch_id = uuid7()
    first = await takedowns.submit((creator, URLS), batch_id=batch_id)
    assert await takedowns.submit((creator, URLS), batch_id=batch_id) == first
    assert await takedowns.balance() == 100_000 - 50
    await takedowns.db.execute("UPDATE batches SET settled_at = now() - interval '2 days'")
    await takedowns.on.submissions.forget_replies()
    with pytest.raises(Unavailable):
        await takedowns.submit((creator, URLS), batch_id=batch_id)


async def test_a_message_whose_first_delivery_is_under_way_is_503(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    batch_id = uuid7()
    await takedowns.db.execute(
        "INSERT INTO batches (id, org_id, status, required) VALUES ($1, $2, 'leasing', 50)", batch_id, takedowns.org_id
    )
    with pytest.raises(Unavailable):
        await takedowns.submit((creator, URLS), batch_id=batch_id)
    assert takedowns.rpc.leases == 0


async def test_a_batch_that_the_sweeper_took_from_a_slow_worker_is_503_and_free(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    batch_id = uuid7()

    class Slow:
        async def lease(self, batch_id: uuid.UUID, _org_id: uuid.UUID, _amount: int) -> None:
            await takedowns.on.submissions.give_up(batch_id)  # the worker stood still here for two minutes

    object.__setattr__(takedowns.do.submit_urls, "credits", Slow())
    with pytest.raises(Unavailable):
        await takedowns.submit((creator, URLS), batch_id=batch_id)
    assert await takedowns.count("urls") == 0
    assert await statuses(takedowns) == ["failed"]
    assert await takedowns.balance() == 100_000


async def test_R112_a_creator_deleted_between_check_and_insert_fails_alone(takedowns: Takedowns) -> None:
    one, two = await takedowns.creator(), await takedowns.creator()

    class Deleting:
        async def lease(self, batch_id: uuid.UUID, org_id: uuid.UUID, amount: int) -> None:
            await takedowns.db.execute("UPDATE creators SET deleted_at = now() WHERE public_id = $1", two)
            await takedowns.billing.open_batch(org_id, amount, batch_id)

    object.__setattr__(takedowns.do.submit_urls, "credits", Deleting())
    reply = await takedowns.submit((one, URLS), (two, URLS[:20]))
    assert (reply.new, reply.failed, reply.url_count) == (50, 20, 70)
    assert [(each.creator_id, each.status, each.error) for each in reply.groups] == [
        (one, "accepted", None),
        (two, "failed", "Creator not found"),
    ]
    assert await takedowns.balance() == 100_000 - 50
    assert await takedowns.leased() == 0
    assert await statuses(takedowns) == ["partial"]


async def test_R072_when_all_groups_fail_the_batch_is_500_and_free(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()

    class Bomb:
        def __init__(self, real: Submissions) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        async def add_hosts(self, _sites: object) -> None:
            return

        async def hosts(self, names: list[str]) -> dict[str, KnownHost]:
            return {name: KnownHost(2**31, None) for name in names}  # more than the column takes

    object.__setattr__(takedowns.do.submit_urls, "submissions", Bomb(takedowns.on.submissions))
    with pytest.raises(ProcessingFailed):
        await takedowns.submit((creator, URLS))
    assert await takedowns.balance() == 100_000
    assert await takedowns.leased() == 0
    assert await statuses(takedowns) == ["failed"]


async def test_a_402_with_a_racing_twin_is_looked_at_once_more(takedowns: Takedowns) -> None:
    # given credits for one of two identical submissions
    poor = await takedowns.billing.organization(plan=None, topup=50)
    creator = await takedowns.creator(org_id=poor)
    real = takedowns.do.submit_urls.credits
    twin: list[int] = []

    class Racing:
        async def lease(self, batch_id: uuid.UUID, org_id: uuid.UUID, amount: int) -> None:
            if not twin:
                twin.append(1)
                assert (await takedowns.submit((creator, URLS), org_id=poor)).new == 50
                await takedowns.carry()
            await real.lease(batch_id, org_id, amount)

    object.__setattr__(takedowns.do.submit_urls, "credits", Racing())
    reply = await takedowns.submit((creator, URLS), org_id=poor)
    assert (reply.new, reply.duplicate) == (0, 50)
    with pytest.raises(InsufficientCredits):
        await takedowns.submit((creator, ["https://piracy-site.com/new"]), org_id=poor)
    assert await takedowns.billing.balance(poor) == 0
    assert await takedowns.billing.leased(poor) == 0


class Lossy:
    """Submissions whose database connection is lost: in the open transaction, or when its commit was sent."""

    def __init__(self, takedowns: Takedowns, when: str) -> None:
        self._takedowns, self._real, self._when = takedowns, takedowns.on.submissions, when

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        when, self._when = self._when, ""
        async with self._real.transaction() as tx:
            if when == "open":
                assert await self._takedowns.db.fetchval(KILL) == 1
            yield tx
            if when == "before the commit":
                assert await self._takedowns.db.fetchval(KILL) == 1
        if when == "committed":
            raise CommitLost


async def test_a_database_connection_lost_in_the_open_transaction_is_503_and_free(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    lossy: Any = Lossy(takedowns, "open")
    object.__setattr__(takedowns.do.submit_urls, "store", StoreBatch(lossy))
    with pytest.raises(Unavailable):
        await takedowns.submit((creator, URLS))
    assert await takedowns.count("urls") == 0
    assert await sweep(takedowns) == 1
    assert await takedowns.leased() == 0
    assert await takedowns.balance() == 100_000
    assert (await takedowns.submit((creator, URLS))).new == 50


async def test_a_database_connection_lost_before_the_commit_leaves_exact_books(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    lossy: Any = Lossy(takedowns, "before the commit")
    object.__setattr__(takedowns.do.submit_urls, "store", StoreBatch(lossy))
    # 503 if the loss is noticed first; if it is noticed by the commit, the rows are looked at and the batch is stored after all
    with contextlib.suppress(Unavailable):
        assert (await takedowns.submit((creator, URLS))).new == 50
    await sweep(takedowns)
    await takedowns.submit((creator, URLS))
    assert await takedowns.count("urls") == 50
    assert await takedowns.leased() == 0
    assert await takedowns.balance() == 100_000 - 50


async def test_a_commit_of_unknown_outcome_is_answered_by_what_the_rows_say(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    lossy: Any = Lossy(takedowns, "committed")
    object.__setattr__(takedowns.do.submit_urls, "store", StoreBatch(lossy))
    assert (await takedowns.submit((creator, URLS))).new == 50
    assert await takedowns.count("batches") == 1
    assert await takedowns.balance() == 100_000 - 50
    assert await takedowns.leased() == 0


async def test_a_debit_that_the_outbox_held_back_is_posted_once_and_its_lease_waits(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    await takedowns.submit((creator, URLS))
    takedowns.billing.clock.skip(3_600)
    await takedowns.billing.expire()  # time alone does not close a batch's lease
    assert await takedowns.billing.leased(takedowns.org_id) == 50
    assert await takedowns.balance() == 100_000 - 50
    assert await takedowns.leased() == 0

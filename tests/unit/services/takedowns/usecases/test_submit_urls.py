"""What a submission does in which order, and what stands when a step fails."""

import uuid
from typing import Any

import msgspec
import pytest

from libs.common.contracts.takedowns import BatchDebited, SubmitUrls
from libs.common.errors import Unavailable
from libs.common.ids import uuid7
from services.takedowns.domain.errors import (
    CreatorNotFound,
    CreditsFrozen,
    CreditsInUse,
    InsufficientCredits,
    InvalidRequest,
    LeaseNotSent,
    LeaseUnknown,
)
from services.takedowns.domain.states import Event
from tests.support.takedowns_world import ORG, URLS, SmallWorld


async def test_new_urls_are_leased_stored_and_debited() -> None:
    world = SmallWorld()
    reply = await world.submit((await world.creator(), URLS))
    assert (reply.url_count, reply.new, reply.duplicate, reply.invalid) == (4, 4, 0, 0)
    assert list(world.credits.leases.values()) == [4]
    assert (world.paid, world.ledger, world.open_leases, world.statuses) == (4, 4, set(), ["accepted"])


async def test_duplicates_ask_for_no_lease() -> None:
    world = SmallWorld()
    creator = await world.creator()
    await world.submit((creator, URLS))
    reply = await world.submit((creator, [*URLS, "not a url"]))
    assert (reply.new, reply.duplicate, reply.invalid) == (0, 4, 1)
    assert len(world.credits.leases) == 1
    assert world.ledger == 4


async def test_the_lease_is_what_is_new_and_never_the_upper_bound() -> None:
    world = SmallWorld(credits_=5)
    creator = await world.creator()
    await world.submit((creator, URLS))
    assert (await world.submit((creator, [*URLS, "https://leaks.example.com/new"]))).new == 1
    assert sorted(world.credits.leases.values()) == [1, 4]


async def test_too_few_credits_leave_nothing() -> None:
    world = SmallWorld(credits_=3)
    with pytest.raises(InsufficientCredits) as refused:
        await world.submit((await world.creator(), URLS))
    assert refused.value.fields == {"required": 4, "balance": 3}
    assert (world.paid, world.statuses, world.memory.tables.said) == (0, [], [])


async def test_a_refused_lease_is_tried_once_more_with_what_a_twin_left_over() -> None:
    world = SmallWorld()
    creator = await world.creator()

    class Racing:
        asked: list[int] = []

        async def lease(self, batch_id: uuid.UUID, org_id: uuid.UUID, amount: int) -> None:
            self.asked.append(amount)
            if len(self.asked) == 1:
                await world.submit((creator, URLS[:3]))
                raise InsufficientCredits(required=amount, balance=1)
            await world.credits.lease(batch_id, org_id, amount)

        async def balance(self, org_id: uuid.UUID) -> int:
            raise AssertionError(org_id)

    racing = Racing()
    reply = await world.submit((creator, URLS), do=world.submit_urls(credits_=racing))
    assert (racing.asked, reply.new, reply.duplicate) == ([4, 1], 1, 3)
    assert (world.paid, world.ledger, world.open_leases) == (4, 4, set())


async def test_a_twin_that_left_nothing_over_makes_it_free() -> None:
    world = SmallWorld()
    creator = await world.creator()

    class Racing:
        async def lease(self, batch_id: uuid.UUID, org_id: uuid.UUID, amount: int) -> None:
            await world.submit((creator, URLS))
            raise CreditsInUse

        async def balance(self, org_id: uuid.UUID) -> int:
            raise AssertionError(org_id)

    reply = await world.submit((creator, URLS), do=world.submit_urls(credits_=Racing()))
    assert (reply.new, reply.duplicate) == (0, 4)
    assert (world.ledger, world.open_leases) == (4, set())


@pytest.mark.parametrize(("error", "left"), [(LeaseNotSent(), []), (CreditsFrozen(), []), (LeaseUnknown(), ["failed"])])
async def test_a_lease_that_may_exist_is_closed_and_one_that_does_not_leaves_no_row(
    error: Exception, left: list[str]
) -> None:
    world = SmallWorld()
    world.credits.refusing = [error]
    with pytest.raises((Unavailable, CreditsFrozen)):
        await world.submit((await world.creator(), URLS))
    assert (world.statuses, world.paid, world.ledger) == (left, 0, 0)
    assert len(world.memory.tables.said) == len(left), "the lease is closed"


async def test_a_message_that_comes_again_is_answered_as_before_and_not_while_it_is_under_way() -> None:
    world = SmallWorld()
    creator, batch_id = await world.creator(), uuid7()
    first = await world.submit((creator, URLS), batch_id=batch_id)
    # known to be duplicates by now: the answer is the row's all the same
    assert await world.submit((creator, URLS), batch_id=batch_id) == first
    other = uuid7()
    world.memory.tables.batches[other] = msgspec.structs.replace(
        world.memory.tables.batches[batch_id], status="leasing", reply=None
    )
    with pytest.raises(Unavailable):
        await world.submit((creator, ["https://leaks.example.com/new"]), batch_id=other)
    assert world.ledger == 4


async def test_a_refunded_url_is_new_again() -> None:
    world = SmallWorld()
    creator = await world.creator()
    await world.submit((creator, URLS))
    ids = [row.id for row in world.memory.tables.urls.values()]
    assert await world.refund_urls(world.owner(creator), ids[:2], Event.POISONED) == 2
    assert await world.send_refunds() == 1
    assert (world.paid, world.ledger) == (2, 2)
    assert (await world.submit((creator, URLS))).new == 2
    assert (world.paid, world.ledger) == (4, 4)


async def test_a_dry_run_prices_and_does_nothing() -> None:
    world = SmallWorld()
    reply = await world.submit((await world.creator(), URLS), is_dry_run=True)
    assert (reply.new, reply.required, reply.balance) == (4, 4, 100)
    assert (world.paid, world.statuses, world.memory.tables.said, world.memory.tables.hosts) == (0, [], [], {})


async def test_one_unknown_creator_refuses_all_and_up_to_five_are_named() -> None:
    world = SmallWorld()
    known = await world.creator()
    strangers: list[Any] = [uuid7() for _ in range(7)]
    with pytest.raises(CreatorNotFound) as refused:
        await world.submit((known, URLS), *((id_, URLS) for id_ in strangers))
    assert [str(id_) in refused.value.public for id_ in strangers] == [True] * 5 + [False] * 2
    assert world.paid == 0


@pytest.mark.parametrize("body", [b"{", b'{"groups": 1}', b'{"groups": []}', b"\xff"])
async def test_a_body_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await SmallWorld().submit_urls()(SubmitUrls(org_id=ORG), body, uuid7())


async def test_the_debit_has_the_batches_id() -> None:
    world, batch_id = SmallWorld(), uuid7()
    await world.submit((await world.creator(), URLS), batch_id=batch_id)
    (debit,) = [each for each in world.memory.tables.said if isinstance(each, BatchDebited)]
    assert (debit.batch_id, debit.memo) == (batch_id, f"Batch {batch_id}: 4 new URLs")
    assert list(world.credits.leases) == [batch_id]

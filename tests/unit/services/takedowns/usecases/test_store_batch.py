"""What becomes of a batch whose credits are set aside when the database does not do as it is told."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Collection
from typing import Any

import pytest

from libs.common.errors import Unavailable
from libs.common.ids import uuid7
from services.takedowns.domain.errors import CommitLost, ProcessingFailed, StoreRefused, TryAgain
from tests.support.takedowns_memory import MemorySubmissions, MemorySubmissionTx
from tests.support.takedowns_world import URLS, SmallWorld


class RefusingTx(MemorySubmissionTx):
    """Takes no rows of some creators."""

    refused: Collection[int] = ()

    async def add_urls(self, batch_id: uuid.UUID, candidates: Any, hosts: Any) -> Any:
        if any(creator_id in self.refused for creator_id, _ in candidates):
            raise StoreRefused
        return await super().add_urls(batch_id, candidates, hosts)


class Refusing(MemorySubmissions):
    """Submissions of whose database the constraint forbids some creators' rows; `lost`: whose commits stand but are not heard of."""

    refused: Collection[int] = ()
    lost = 0

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[RefusingTx]:
        async with super().transaction() as tx:
            refusing = RefusingTx(tx._tables, tx._now)
            refusing.refused = self.refused
            yield refusing
        if self.lost:
            self.lost -= 1
            raise CommitLost


async def test_what_is_in_the_way_is_tried_three_times_and_then_creator_by_creator() -> None:
    world = SmallWorld()
    world.submissions.refusing = [TryAgain(), TryAgain(), TryAgain()]
    one, two = await world.creator(), await world.creator()
    reply = await world.submit((one, URLS), (two, URLS))
    assert (reply.new, reply.groups) == (8, ())
    assert (world.ledger, world.open_leases, world.statuses) == (8, set(), ["accepted"])


async def test_a_part_that_is_refused_is_free_and_said() -> None:
    world = SmallWorld()
    one, two = await world.creator(), await world.creator()
    on = Refusing(world.memory)
    on.refused = {world.owner(two).creator_id}
    reply = await world.submit((one, URLS), (two, URLS[:3]), do=world.submit_urls(submissions=on))
    assert (reply.url_count, reply.new, reply.failed) == (7, 4, 3)
    assert {group.creator_id: group.status for group in reply.groups} == {one: "accepted", two: "failed"}
    assert (world.paid, world.ledger, world.open_leases, world.statuses) == (4, 4, set(), ["partial"])
    assert (await world.submit((two, URLS[:3]))).new == 3, "new when it is sent again"


async def test_nothing_that_is_taken_is_an_error_and_free() -> None:
    world = SmallWorld()
    creator = await world.creator()
    on = Refusing(world.memory)
    on.refused = {world.owner(creator).creator_id}
    with pytest.raises(ProcessingFailed):
        await world.submit((creator, URLS), do=world.submit_urls(submissions=on))
    assert (world.paid, world.ledger, world.open_leases, world.statuses) == (0, 0, set(), ["failed"])


async def test_a_commit_nobody_heard_of_is_answered_from_its_row() -> None:
    world = SmallWorld()
    creator, on = await world.creator(), Refusing(world.memory)
    on.lost = 1
    assert (await world.submit((creator, URLS), do=world.submit_urls(submissions=on))).new == 4
    assert (world.paid, world.ledger, world.open_leases) == (4, 4, set())


async def test_a_group_whose_commit_nobody_heard_of_is_the_sweepers() -> None:
    world = SmallWorld()
    one, two = await world.creator(), await world.creator()
    on = Refusing(world.memory)
    on.refused, on.lost = {world.owner(two).creator_id}, 1
    with pytest.raises(CommitLost):
        await world.submit((one, URLS), (two, URLS), do=world.submit_urls(submissions=on))
    assert (world.paid, world.ledger, world.statuses) == (4, 0, ["leasing"])
    assert await world.settle_batches() == 1
    assert await world.settle_batches() == 0
    assert (world.paid, world.ledger, world.open_leases, world.statuses) == (4, 4, set(), ["partial"])


async def test_a_batch_that_the_sweeper_was_quicker_with_is_not_stored() -> None:
    world = SmallWorld()
    creator, batch_id = await world.creator(), uuid7()

    class Slow:
        async def lease(self, batch_id: uuid.UUID, org_id: uuid.UUID, amount: int) -> None:
            await world.credits.lease(batch_id, org_id, amount)
            assert await world.settle_batches() == 1

        async def balance(self, org_id: uuid.UUID) -> int:
            raise AssertionError(org_id)

    with pytest.raises(Unavailable):
        await world.submit((creator, URLS), batch_id=batch_id, do=world.submit_urls(credits_=Slow()))
    assert (world.paid, world.ledger, world.open_leases, world.statuses) == (0, 0, set(), ["failed"])


async def test_a_creator_deleted_between_check_and_insert_fails_alone() -> None:
    world = SmallWorld()
    one, two = await world.creator(), await world.creator()

    class Deleting:
        async def lease(self, batch_id: uuid.UUID, org_id: uuid.UUID, amount: int) -> None:
            async with world.creators.exclusive(org_id) as tx:
                gone = await tx.find(two)
                assert gone is not None
                await tx.delete(gone)
            await world.credits.lease(batch_id, org_id, amount)

        async def balance(self, org_id: uuid.UUID) -> int:
            raise AssertionError(org_id)

    reply = await world.submit((one, URLS), (two, URLS), do=world.submit_urls(credits_=Deleting()))
    assert [(group.status, group.error) for group in reply.groups] == [
        ("accepted", None),
        ("failed", "Creator not found"),
    ]
    assert (world.paid, world.ledger) == (4, 4)

"""Which events give credits back, and what follows from a creator's deletion."""

import pytest

from libs.common.contracts.creators import DeleteCreator
from libs.common.contracts.takedowns import CreatorDeleted
from libs.common.contracts.takedowns import ForgetCreator as Job
from libs.common.errors import Transient
from services.takedowns.domain.states import Event
from services.takedowns.usecases.forget_creator import ForgetCreator
from services.takedowns.usecases.manage_creators import ManageCreators
from tests.support.takedowns_world import ORG, URLS, SmallWorld


@pytest.mark.parametrize("event", [Event.CANCELLED, Event.POISONED])
async def test_an_event_that_ends_a_url_gives_its_credit_back_once(event: Event) -> None:
    world = SmallWorld()
    creator = await world.creator()
    await world.submit((creator, URLS))
    ids = [row.id for row in world.memory.tables.urls.values()]
    assert [await world.refund_urls(world.owner(creator), ids, event) for _ in range(2)] == [4, 0]
    assert [await world.send_refunds() for _ in range(2)] == [1, 0]
    assert (world.paid, world.ledger) == (0, 0)


async def test_nobody_found_refunds_only_what_still_looks_for_somebody() -> None:
    world = SmallWorld()
    creator = await world.creator()
    await world.submit((creator, URLS))
    ids = [row.id for row in world.memory.tables.urls.values()]
    assert await world.refund_urls(world.owner(creator), ids, Event.CONTACT_NOT_FOUND) == 0


@pytest.mark.parametrize("event", [Event.NOTICE_SENT, Event.GONE, Event.DEADLINE_PASSED])
async def test_no_other_event_gives_anything_back(event: Event) -> None:
    world = SmallWorld()
    creator = await world.creator()
    await world.submit((creator, URLS))
    ids = [row.id for row in world.memory.tables.urls.values()]
    with pytest.raises(AssertionError):
        await world.refund_urls(world.owner(creator), ids, event)
    assert (world.paid, world.ledger) == (4, 4)


async def test_a_deleted_creators_urls_are_cancelled_and_refunded_once() -> None:
    world = SmallWorld()
    creator = await world.creator()
    await world.submit((creator, URLS))
    forget, job = ForgetCreator(world.refunds, world.refund_urls), Job(org_id=ORG, creator_id=creator)
    await forget(job)
    assert world.paid == 4, "it lives"
    await ManageCreators(world.creators).delete(DeleteCreator(org_id=ORG, creator_id=creator))
    assert [each for each in world.memory.tables.said if isinstance(each, Job | CreatorDeleted)] == [
        job,
        CreatorDeleted(org_id=ORG, creator_id=creator),
    ]
    for _ in range(2):
        await forget(job)
        await world.send_refunds()
        assert (world.paid, world.ledger) == (0, 0)


async def test_forgetting_waits_for_a_batch_that_is_being_stored() -> None:
    world = SmallWorld()
    creator = await world.creator()
    await world.submit((creator, URLS))
    await ManageCreators(world.creators).delete(DeleteCreator(org_id=ORG, creator_id=creator))
    (batch,) = world.memory.tables.batches.values()
    batch.status = "leasing"
    forget, job = ForgetCreator(world.refunds, world.refund_urls), Job(org_id=ORG, creator_id=creator)
    with pytest.raises(Transient):
        await forget(job)
    assert world.paid == 4
    batch.status = "accepted"
    await forget(job)
    assert world.paid == 0

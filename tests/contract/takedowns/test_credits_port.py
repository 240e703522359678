"""One suite for credits in memory and those of a real billing."""

import uuid
from collections.abc import AsyncIterator

import pytest

from libs.common.ids import uuid7
from services.takedowns.domain.errors import InsufficientCredits
from services.takedowns.domain.ports import Credits
from services.takedowns.gateways.billing import BillingCredits
from tests.support.billing import a_billing
from tests.support.servers import TestDatabase
from tests.support.takedowns import BillingRpc
from tests.support.takedowns_memory import MemoryCredits

BALANCE = 100
Paid = tuple[Credits, uuid.UUID]


@pytest.fixture
def memory() -> Paid:
    return MemoryCredits(BALANCE), uuid7()


@pytest.fixture
async def billing(database: TestDatabase, redis_url: str) -> AsyncIterator[Paid]:
    async with a_billing(database, redis_url) as real:
        org_id = await real.organization(plan=None, topup=BALANCE)
        yield BillingCredits(BillingRpc(real), real.clock), org_id


@pytest.fixture(params=["memory", "billing"])
def paid(request: pytest.FixtureRequest) -> Paid:
    found: Paid = request.getfixturevalue(request.param)
    return found


async def test_exactly_what_is_asked_for_is_set_aside_and_repeating_it_is_safe(paid: Paid) -> None:
    credits_, org_id = paid
    batch_id = uuid7()
    for _ in range(2):
        await credits_.lease(batch_id, org_id, 60)
        assert await credits_.balance(org_id) == BALANCE - 60
    await credits_.lease(uuid7(), org_id, 40)
    assert await credits_.balance(org_id) == 0


async def test_too_few_credits_set_nothing_aside_and_say_what_there_is(paid: Paid) -> None:
    credits_, org_id = paid
    with pytest.raises(InsufficientCredits) as refused:
        await credits_.lease(uuid7(), org_id, BALANCE + 1)
    assert refused.value.fields == {"required": BALANCE + 1, "balance": BALANCE}
    assert await credits_.balance(org_id) == BALANCE

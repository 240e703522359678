"""A whole system is broken under load, in every way that belongs to the short form; `make faults` is the long one.

After each fault: every service is ready again by itself, customers were answered as promised meanwhile, every 2xx is in the
ledger exactly once, no refusal cost anything, no message was sent twice, nobody used more than was granted.
"""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local.profile import RUN
from tests.support.faults.campaign import Campaign, campaign
from tests.support.faults.faults import FAULTS
from tests.support.faults.world import Fault

# The first test starts three servers and five services, and the last one waits for leases to end.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600), pytest.mark.alone]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver() -> AsyncIterator[Campaign]:
    async with campaign(RUN / f"faults-{os.getpid()}", rich=2, workers=4, say=lambda _: None) as started:
        yield started
        # Tests come in random order, and this is for the end: the ledger is sound, and nothing stays reserved.
        reserved, _ = await started.keep_quiet()
        assert reserved == 0
        assert await started.money.drift() == 0
        assert await started.money.waived() == 0


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.is_short], ids=lambda fault: fault.name)
async def test_a_fault_under_load_loses_and_doubles_nothing_and_heals(driver: Campaign, fault: Fault) -> None:
    # when
    outcome = await driver.strike(fault, verify=False)
    # then
    assert outcome.figures.wrong == {}
    assert outcome.improper == []
    assert outcome.is_shown, f"{fault.shows} did not move"

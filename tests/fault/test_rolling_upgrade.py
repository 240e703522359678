"""Processes are replaced one by one while customers call, as in a release: nobody notices, and the money agrees to the credit.

This tree is the old code. The new one is made from it (`tests/support/rollout/releases.py`): its migrations and messages bring
what today's code does not know. `make upgrade FROM=<commit>` rolls from a past commit to this tree instead.
"""

import os
from pathlib import Path

import pytest

from deploy.local.profile import RUN
from tests.support.faults.money import Figures
from tests.support.rollout.releases import NEXT, NoHistoryError, next_release, past_release
from tests.support.rollout.system import ORDER, Rollout, rollout

CUSTOMERS = 2  # of each of two organizations, call after call
SERVED = {200, 201}

pytestmark = pytest.mark.timeout(600)


async def money_of(system: Rollout) -> Figures:
    """Let what is under way end, and compare the books."""
    await system.load.pause()
    refused = {status: times for status, times in system.statuses().items() if status not in SERVED}
    assert refused == {}, f"customers noticed: {refused}"
    figures = await system.money.check()
    figures.drift += await system.money.drift()
    return figures


async def test_a_new_release_is_rolled_out_and_back_under_load(tmp_path: Path) -> None:
    new = next_release(tmp_path / "new")
    async with rollout(RUN / f"stack-{os.getpid()}-upgrade", customers=CUSTOMERS) as system:
        system.load.resume()
        # when: the schema first, then every process, and two of them back again, as after a bad release
        applied = await system.migrate(new)
        assert {name.partition(":")[0] for name in applied} == set(ORDER)
        half = [name for name in system.instances(*ORDER) if name.endswith("-2")]
        await system.replace(half, release=new)
        side_by_side = await system.versions()
        await system.replace([name for name in system.instances(*ORDER) if name not in half], release=new)
        all_new = await system.versions()
        await system.replace(system.instances("sessions"), release=Path(RUN.parent))

        # then
        assert await money_of(system) == Figures()
        assert set(side_by_side.values()) == {"dev", NEXT}
        assert {version for name, version in all_new.items() if name != "sandbox"} == {NEXT}
        assert system.money.seen.calls > 100


@pytest.mark.skipif("UPGRADE_FROM" not in os.environ, reason="make upgrade FROM=<commit> rolls from a past commit")
async def test_this_tree_replaces_a_past_commit_under_load(tmp_path: Path) -> None:
    try:
        old = past_release(tmp_path / "old", os.environ["UPGRADE_FROM"])
    except NoHistoryError as exc:
        pytest.skip(str(exc))
    async with rollout(RUN / f"stack-{os.getpid()}-upgrade", customers=CUSTOMERS, release=old) as system:
        system.load.resume()
        await system.replace(system.instances(*ORDER), release=RUN.parent)
        assert await money_of(system) == Figures()

"""Who lets whom pass."""

import asyncio

from services.takedowns.usecases.right_of_way import RightOfWay


async def test_work_behind_waits_while_somebody_has_the_way() -> None:
    way, order = RightOfWay(), []

    async def behind() -> None:
        await way.give_way()
        order.append("behind")

    with way, way:
        waiting = asyncio.create_task(behind())
        await asyncio.sleep(0)
        order.append("ahead")
    await waiting
    assert order == ["ahead", "behind"]


async def test_under_submissions_without_end_the_rest_still_goes_on() -> None:
    way = RightOfWay()
    with way:
        async with asyncio.timeout(10):
            await way.give_way()

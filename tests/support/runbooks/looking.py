"""What several drills look at, and the usage messages that some send again."""

import asyncio
from typing import Any, Final

from libs.common.contracts.wire import EVENTS
from tests.support.faults.broker_faults import _copies
from tests.support.runbooks.room import Room

DOWN: Final = 'up{job="fangate"} == 0'


def consumers_of(queues: str) -> str:
    return f'sum by (queue) (rabbitmq_detailed_queue_consumers{{queue=~"{queues}"}})'


def ready_in(queues: str) -> str:
    return f'sum by (queue) (rabbitmq_detailed_queue_messages_ready{{queue=~"{queues}"}})'


def line_of(line: dict[str, Any], *names: str) -> str:
    return ", ".join(f"{name} {str(line[name])[:90]}" for name in names if name in line) or "no such line"


async def nothing(_room: Room) -> None:
    """The end of the cause is enough."""


async def usage_of(room: Room) -> list[Any]:
    """Usage messages as edges send them now; a system that is only just back may need a while until there are any."""
    async with asyncio.timeout(60):
        while not (copies := await _copies(room.campaign.world, EVENTS, "edge.usage.#", seconds=1.0)):
            pass
    return copies

"""Customers: calls of several organizations at once, every answer written down."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack

READ, WRITE = "chats_list", "messages_send"
COST: Final = {READ: 1, WRITE: 2}
FAN: Final = "1001"
WRITES_OF: Final = 4  # every fourth call sends a message
REST_S: Final = 0.03  # after anything but a 2xx, as a customer who does not hammer
PAUSE_SECONDS_MAX: Final = 150  # a call is answered, or its connection is dead, long before
NO_ANSWER: Final = 0
PROPER: Final = {
    NO_ANSWER,
    200,
    201,
    402,
    424,
    429,
    502,
    503,
    504,
}  # while things break; 402 only where credits are scarce


@dataclass(slots=True)
class Tally:
    """What one organization's customers saw, since the last `fresh`."""

    calls: int = 0
    paid_credits: int = 0
    unanswered_credits: int = 0  # of calls whose connection died: their debit exists or not
    statuses: Counter[int] = field(default_factory=Counter)
    improper: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.calls += other.calls
        self.paid_credits += other.paid_credits
        self.unanswered_credits += other.unanswered_credits
        self.statuses.update(other.statuses)
        self.improper += other.improper


class Tenant:
    """An organization with customers at work. `is_scarce`: it lives from hand to mouth, so 402 and 503 belong to its day."""

    def __init__(self, organization: Organization, *, granted: int, is_scarce: bool) -> None:
        self.organization, self.granted, self.is_scarce = organization, granted, is_scarce
        self.tally = Tally()
        self.sent: dict[str, int] = {}  # the text of every message asked for -> the status of the answer

    def fresh(self) -> Tally:
        """The tally so far; a new one begins."""
        seen, self.tally = self.tally, Tally()
        return seen

    def saw(self, route: str, text: str, answer: Answer | None) -> int:
        """Write an answer down (None: there was none). The status."""
        tally, status = self.tally, NO_ANSWER if answer is None else answer.status
        tally.calls += 1
        tally.statuses[status] += 1
        if answer is None:
            tally.unanswered_credits += COST[route]
        elif answer.status < 300:
            tally.paid_credits += answer.used
        if status not in PROPER or (status == 402 and not self.is_scarce):
            tally.improper.append(f"{route}: {status} {b'' if answer is None else answer.body[:300]!r}")
        if answer is not None and status in {429, 503} and "Retry-After" not in answer.headers:
            tally.improper.append(f"{route}: {status} without Retry-After")
        if route == WRITE:
            self.sent[text] = status
        return status


class Load:
    """`workers` customers per tenant, between `resume` and `pause`."""

    def __init__(self, stack: Stack, tenants: list[Tenant], *, workers: int) -> None:
        self._stack, self._tenants, self._workers = stack, tenants, workers
        self._flows = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._under_way = 0
        self._numbers: Iterator[int] = itertools.count(1)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            for tenant in self._tenants:
                group.create_task(self._tenant(tenant))

    def resume(self) -> None:
        self._flows.set()

    async def pause(self) -> None:
        """No new calls; returns when every call is answered or dead."""
        self._flows.clear()
        async with asyncio.timeout(PAUSE_SECONDS_MAX):
            await self._idle.wait()

    async def burst(self, calls: int) -> None:
        """So many calls more, at once, of the first tenant: in its books like all others. Returns when they are answered."""
        tenant = self._tenants[0]
        async with GatewayClient(self._stack.url, tenant.organization.key) as client:
            await asyncio.gather(*(self._counted(tenant, client) for _ in range(calls)))

    async def _tenant(self, tenant: Tenant) -> None:
        async with GatewayClient(self._stack.url, tenant.organization.key) as client, asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._customer(tenant, client))

    async def _customer(self, tenant: Tenant, client: GatewayClient) -> None:
        while True:
            await self._flows.wait()
            status = await self._counted(tenant, client)
            if status not in {200, 201}:
                await asyncio.sleep(REST_S)

    async def _counted(self, tenant: Tenant, client: GatewayClient) -> int:
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._call(tenant, client)
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle.set()

    async def _call(self, tenant: Tenant, client: GatewayClient) -> int:
        number = next(self._numbers)
        route, text = (WRITE if number % WRITES_OF == 0 else READ), f"message number {number}"
        model_id = tenant.organization.model_id
        try:
            if route == WRITE:
                answer = await client.send_message(model_id, FAN, text)
            else:
                answer = await client.get(model_id, "/chats")
        except (aiohttp.ClientError, TimeoutError):
            return tenant.saw(route, text, None)
        return tenant.saw(route, text, answer)

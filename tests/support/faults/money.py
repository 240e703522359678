"""The money check: what customers saw, what the ledger says, what the platform did. All must agree, within stated bounds.

The ledger's debits are at least what was answered 2xx (none lost) and at most that and the calls that got no answer at all
(none doubled, no refusal charged); no organization spent more than it was granted; no message reached the platform twice.
"""

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Final

import aiohttp
import asyncpg
import msgspec

from tests.support.faults.load import READ, WRITE, Tally, Tenant
from tests.support.stack import STEADY_SECONDS, Stack

POSTED_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.1

_DEBITS: Final = """SELECT org_id, sum(CASE code WHEN 10 THEN amount ELSE -amount END)::bigint AS debits
                    FROM billing.transfers WHERE code IN (10, 21) AND org_id = ANY($1) GROUP BY org_id"""
_RESERVED: Final = "SELECT coalesce(sum(amount - posted), 0)::bigint FROM billing.leases WHERE state < 3"
_WAIVED: Final = "SELECT coalesce(sum(amount), 0)::bigint FROM billing.transfers WHERE code = 90"


@dataclass(slots=True)
class Figures:
    """What must be 0, in credits (messages, organizations for the last ones)."""

    lost: int = 0
    double: int = 0
    overspent: int = 0
    sent_twice: int = 0
    acknowledged_not_sent: int = 0
    drift: int = 0
    leaked: int = 0

    def add(self, other: "Figures") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def wrong(self) -> dict[str, int]:
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name))}


@dataclass(slots=True)
class Money:
    """Keeps the books of a run. `check` in quiet moments only: no call may be under way."""

    stack: Stack
    tenants: list[Tenant]
    seen: Tally = field(default_factory=Tally)
    debited: int = 0
    platform_reads: int = 0
    _debited_of: dict[str, int] = field(default_factory=dict)
    _paid_of: Counter[str] = field(default_factory=Counter)
    _delivered: Counter[str] = field(default_factory=Counter)

    async def check(self) -> Figures:
        """Of what happened since the last check."""
        figures = Figures()
        await self._until_voids_are_sent()
        tallies = {tenant.organization.org_id: tenant.fresh() for tenant in self.tenants}
        before = dict(self._debited_of)
        now = await self._posted({org: before.get(org, 0) + tally.paid_credits for org, tally in tallies.items()})
        for tenant in self.tenants:
            org_id = tenant.organization.org_id
            tally, debited = tallies[org_id], now[org_id] - before.get(org_id, 0)
            figures.lost += max(0, tally.paid_credits - debited)
            figures.double += max(0, debited - tally.paid_credits - tally.unanswered_credits)
            self._paid_of[org_id] += tally.paid_credits
            figures.overspent += max(0, self._paid_of[org_id] - tenant.granted)
            self.seen.add(tally)
        self._debited_of, self.debited = now, sum(now.values())
        await self._look_at_platform(figures)
        return figures

    async def drift(self) -> int:
        """How many organizations `verify` does not find in order, or 1 if it complains of something else."""
        verdict = await self.stack.cli("billing", "verify")
        bad = sum(one["result"] != "OK" for one in verdict["organizations"])
        return bad or int(verdict["result"] != "OK")

    async def reserved(self) -> int:
        """Credits set aside and not spent."""
        return int(await self._value(_RESERVED))

    async def waived(self) -> int:
        """Credits that were used and that nobody paid."""
        return int(await self._value(_WAIVED))

    @property
    def delivered_unpaid(self) -> int:
        """Messages that the platform has although the customer was not told so: unknown outcomes, free."""
        acknowledged = {text for tenant in self.tenants for text, status in tenant.sent.items() if status == 201}
        return len(self._delivered.keys() - acknowledged)

    async def _until_voids_are_sent(self) -> None:
        async with asyncio.timeout(POSTED_SECONDS_MAX):
            while await self.stack.metric("edge", "fangate_usage_voids_pending"):
                await asyncio.sleep(LOOK_SECONDS)

    async def _posted(self, at_least: dict[str, int]) -> dict[str, int]:
        """Every organization's debits once they are that many and do not move any more, or when patience ends."""
        end = time.monotonic() + POSTED_SECONDS_MAX
        figures, since = await self._debits(), time.monotonic()
        while time.monotonic() < end:
            is_whole = all(figures[org_id] >= wanted for org_id, wanted in at_least.items())
            if is_whole and time.monotonic() - since >= STEADY_SECONDS:
                break
            await asyncio.sleep(LOOK_SECONDS)
            if (now := await self._debits()) != figures:
                figures, since = now, time.monotonic()
        return figures

    async def _debits(self) -> dict[str, int]:
        ids = [uuid.UUID(tenant.organization.org_id) for tenant in self.tenants]
        connection = await asyncpg.connect(self.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
        try:
            rows = await connection.fetch(_DEBITS, ids)
        finally:
            await connection.close()
        return dict.fromkeys(map(str, ids), 0) | {str(row["org_id"]): row["debits"] for row in rows}

    async def _value(self, query: str) -> int:
        connection = await asyncpg.connect(self.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
        try:
            return int(await connection.fetchval(query))
        finally:
            await connection.close()

    async def _look_at_platform(self, figures: Figures) -> None:
        """Take the sandbox's count, which begins anew."""
        async with aiohttp.ClientSession(self.stack.sandbox_url) as session:
            async with session.get("/_control/calls") as answer:
                calls = await answer.json()
            async with session.delete("/_control/calls") as answer:
                assert answer.status == 204
        self.platform_reads += calls["by_route_2xx"].get(READ, 0)
        texts = [msgspec.json.decode(one["body"])["text"] for one in calls["delivered"] if one["route"] == WRITE]
        self._delivered.update(texts)
        figures.sent_twice += sum(self._delivered[text] > 1 for text in set(texts))
        for tenant in self.tenants:
            for text, status in tenant.sent.items():
                figures.acknowledged_not_sent += status == 201 and text not in self._delivered

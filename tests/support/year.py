"""A year of many organizations in some minutes: random plan changes, lapses, purchases and usage by a clock that is moved,
over the real billing and the real Postgres, and an auditor who believes nothing but the transfers.
"""

import asyncio
import random
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from libs.common.clock import Clock
from libs.common.contracts.billing import LeaseExpired, OpenLease
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import BatchDebited, BatchRefunded
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.ids import id_ms
from libs.common.redis.client import Redis
from services.billing.app import App, assemble
from services.billing.domain.bucket import BucketKind
from services.billing.domain.errors import CreditsInUse, InsufficientCredits, NoSubscription, SubscriptionPastDue
from services.billing.domain.ledger import Code
from services.billing.store.books import PostgresBooks
from services.billing.store.postgres import PostgresLedger
from services.billing.usecases.announce import Announce
from services.billing.usecases.cancel_subscription import CancelSubscription
from services.billing.usecases.change_plan import ChangePlan
from services.billing.usecases.end_subscription import EndSubscription
from services.billing.usecases.grant_credits import GrantCredits
from services.billing.usecases.mark_past_due import MarkPastDue
from services.billing.usecases.periods import Periods
from services.billing.usecases.reactivate_subscription import ReactivateSubscription
from services.billing.usecases.start_subscription import StartSubscription
from tests.support.billing import QUICK, a_usage, recorded
from tests.support.expected_grants import ALLOWANCES, Expected

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)  # of a leap year that is over: what the ledger stamps itself is later
MONTHS = 15  # that the ledger needs room for
_INCOME = frozenset((Code.GRANT, Code.TOPUP, Code.PROMO, Code.REFUND, Code.VOID))


@dataclass
class YearClock(Clock):
    """Stands where it was put."""

    at: datetime = FIRST_DAY

    def now(self) -> datetime:
        return self.at

    def now_ms(self) -> int:
        return int(self.at.timestamp() * 1000)

    def stopwatch_ms(self) -> int:
        return self.now_ms()


async def make_room(admin_dsn: str) -> None:
    """The months of the year, which the ledger would have made in their time."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute("SET ROLE billing_owner")
        for index in range(MONTHS):
            first = datetime(2024 + index // 12, index % 12 + 1, 1, tzinfo=UTC)
            after = datetime(2024 + (index + 1) // 12, (index + 1) % 12 + 1, 1, tzinfo=UTC)
            bounds = [uuid.UUID(int=int(at.timestamp() * 1000) << 80) for at in (first, after)]
            name = f"billing.transfers_{first:%Y%m}"
            await connection.execute(
                f"CREATE TABLE {name} PARTITION OF billing.transfers FOR VALUES FROM ('{bounds[0]}') TO ('{bounds[1]}')"
            )
            await connection.execute(f"SELECT billing.protect('{name}'::regclass)")
    finally:
        await connection.close()


class Auditor:
    """Keeps every account by the transfers alone, and compares once a day."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._xid = 0
        self.credits: Counter[int] = Counter()
        self.debits: Counter[int] = Counter()
        self.grants: dict[uuid.UUID, Counter[tuple[int, int]]] = defaultdict(Counter)
        self.by_code: Counter[int] = Counter()
        self.transfers = 0

    async def look(self, *, everything: bool = False) -> None:
        """Read what is new; raises AssertionError for a balance that is not the sum of its transfers, or is negative."""
        for row in await self._db.fetch("SELECT * FROM transfers WHERE posted_xid > $1 ORDER BY posted_xid", self._xid):
            self._xid = row["posted_xid"]
            self.transfers += 1
            self.credits[row["credit_account"]] += row["amount"]
            self.debits[row["debit_account"]] += row["amount"]
            self.by_code[row["code"]] += row["amount"]
            assert row["credit_account"] < 1000 or row["code"] in _INCOME, "credits from nothing"
            if row["code"] == Code.GRANT:
                self.grants[row["org_id"]][(id_ms(row["id"]), row["amount"])] += 1
        assert sum(self.credits.values()) == sum(self.debits.values())
        held = 0
        for row in await self._db.fetch(
            "SELECT id, credits, debits, closed_at FROM accounts WHERE org_id IS NOT NULL AND ($1 OR closed_at IS NULL)",
            everything,
        ):
            held += row["credits"] - row["debits"]
            assert 0 <= row["debits"] <= row["credits"]
            assert (row["credits"], row["debits"]) == (self.credits[row["id"]], self.debits[row["id"]])
            assert row["closed_at"] is None or row["credits"] == row["debits"], "closed with credits in it"
        came = sum(self.by_code[code] for code in _INCOME)
        assert held == came - sum(self.by_code[code] for code in (Code.CALL, Code.BATCH, Code.EXPIRE))


@dataclass
class Year:
    """The organizations, what happens to them, and what should come of it."""

    db: Database
    app: App
    clock: YearClock
    books: PostgresBooks
    auditor: Auditor
    verbs: dict[str, Any]
    chance: random.Random
    expected: dict[uuid.UUID, Expected] = field(default_factory=dict)
    debits_waiting: list[BatchDebited] = field(default_factory=list)
    debited: list[BatchDebited] = field(default_factory=list)  # not refunded yet
    versions: Counter[uuid.UUID] = field(default_factory=Counter)
    warnings: Counter[tuple[uuid.UUID, int]] = field(default_factory=Counter)
    did: Counter[str] = field(default_factory=Counter)
    bought: int = 0

    def id(self) -> uuid.UUID:
        """An id of this moment of the simulated year."""
        return uuid.UUID(int=self.clock.now_ms() << 80 | 7 << 76 | 2 << 62 | self.chance.getrandbits(62))

    async def day(self, *, ticks: bool) -> None:
        """One day: what organizations do, at random times and in random order, then perhaps the timers, then the audit."""
        midnight = self.clock.at.replace(hour=0, minute=0, second=0, microsecond=0)
        moments = sorted((self.chance.random(), org_id) for org_id in self.expected)
        for moment, org_id in moments:
            at = midnight + timedelta(seconds=round(moment * 80_000, 6))
            self.clock.at = max(self.clock.at, at)
            await self._act(org_id)
        await self._post_debits(everything=False)
        if ticks:
            await self.tick()
        await self.auditor.look()
        await self._listen()
        if ticks:
            await self._check()
        self.clock.at = midnight + timedelta(days=1)

    async def tick(self) -> None:
        """The timers, sometimes from two processes at once; leases first, since they hold buckets open."""
        await self._end_leases()
        runs = [self.app.work.renew() for _ in range(self.chance.choice([1, 1, 2, 3]))]
        await asyncio.gather(*runs)
        for one in self.expected.values():
            one.catch_up(self.clock.at)

    async def finish(self) -> None:
        """Let everything under way come to its end."""
        await self._post_debits(everything=True)
        for _ in range(3):
            self.clock.at += timedelta(seconds=200)
            await self._end_leases()
        await self.tick()
        await self.auditor.look(everything=True)
        await self._listen()
        await self._check()

    # ── what organizations do ──

    async def _act(self, org_id: uuid.UUID) -> None:
        chance, expected, now = self.chance.random, self.expected[org_id], self.clock.at
        if expected.status == "none" or (expected.status == "cancelled" and chance() < 0.3):
            plan = self.chance.choice(list(ALLOWANCES))
            await self._verb("start", org_id, plan)
            expected.begin_at(now, plan)
        if chance() < 0.04:
            plan = self.chance.choice(list(ALLOWANCES))
            await self._verb("change", org_id, plan, allowed=expected.change(now, plan))
        if chance() < 0.01:
            await self._verb("cancel", org_id)
            expected.cancel(now)
        if chance() < 0.01:
            await self._verb("past_due", org_id, allowed=expected.fall_due(now))
        if chance() < (0.1 if expected.status == "past_due" else 0.01):
            await self._verb("reactivate", org_id)
            expected.reactivate(now)
        if chance() < 0.02:
            await self._verb("end", org_id)
            expected.end_now(now)
        if chance() < 0.02:
            kind = self.chance.choice([BucketKind.TOPUP, BucketKind.PROMO])
            amount, days = self.chance.randint(1, 5_000), self.chance.choice([None, 1, 30, 90])
            await self.verbs["grant"](org_id, amount, kind=kind, memo="simulated", days=days)
            self.bought += amount
        if chance() < 0.35:
            await self._batch(org_id)
        if chance() < 0.08:
            await self._calls(org_id)

    async def _verb(self, name: str, org_id: uuid.UUID, *words: str, allowed: bool = True) -> None:
        self.did[name] += 1
        try:
            await self.verbs[name](org_id, *words)
        except (NoSubscription, SubscriptionPastDue):
            assert not allowed, (name, org_id)
            return
        assert allowed, (name, org_id)
        if self.chance.random() < 0.2:  # somebody asks twice: nothing more happens
            await self.verbs[name](org_id, *words)

    async def _batch(self, org_id: uuid.UUID) -> None:
        amount = self.chance.choice([1, 7, 60, 700, 4_000, 90_000])
        lease = OpenLease(org_id=org_id, holder="batch", ref="batch", amount=amount, lease_id=self.id())
        assert lease.lease_id is not None
        if await self._lease(lease):
            self.debits_waiting.append(BatchDebited(org_id=org_id, batch_id=lease.lease_id, amount=amount))

    async def _calls(self, org_id: uuid.UUID) -> None:
        opened = await self._lease(OpenLease(org_id=org_id, holder="edge", ref="edge:year", cost=5))
        if opened:
            calls = [a_usage(org_id, opened, 1, self.id()) for _ in range(self.chance.randint(1, 5))]
            await self._post(recorded(*calls))

    async def _lease(self, request: OpenLease) -> uuid.UUID | None:
        handlers = self.app.handlers
        try:
            opened = await (handlers.open_batch if request.holder == "batch" else handlers.open_slab)(request)
        except (InsufficientCredits, CreditsInUse, NoSubscription, SubscriptionPastDue) as refusal:
            self.did[refusal.code.lower()] += 1
            return None
        self.did[request.holder] += 1
        return opened.lease_id

    async def _post_debits(self, *, everything: bool) -> None:
        """Some debits come on the same day, most some days later: then their lease holds its buckets open meanwhile."""
        ready = [one for one in self.debits_waiting if everything or self.chance.random() < 0.4]
        self.debits_waiting = [one for one in self.debits_waiting if one not in ready]
        self.debited += ready
        refunds: list[Message] = []
        for debit in [one for one in self.debited if self.chance.random() < 0.02]:
            self.debited.remove(debit)
            amount = self.chance.randint(1, debit.amount)
            refund = BatchRefunded(
                org_id=debit.org_id, refund_id=self.id(), batch_id=debit.batch_id, amount=amount, memo="simulated"
            )
            refunds += [refund, refund]
        await self._post(*ready, *refunds)

    async def _post(self, *messages: Message) -> None:
        if messages:
            posted = await self.app.handlers.append(messages)
            assert not posted.waived, posted.waived
            assert not posted.refused, posted.refused

    async def _end_leases(self) -> None:
        await self.app.work.expire_leases()
        markers = await self._said("billing.lease.expired.v1")
        await self._post(
            *(
                LeaseExpired(org_id=uuid.UUID(marker["org_id"]), lease_id=uuid.UUID(marker["lease_id"]))
                for marker in markers
            )
        )

    # ── what should come of it ──

    async def _said(self, type_: str) -> list[dict[str, Any]]:
        rows = await self.db.fetch(
            "WITH gone AS (DELETE FROM outbox WHERE type = $1 RETURNING id, convert_from(body, 'UTF8')::jsonb AS body)"
            " SELECT body FROM gone ORDER BY (body->>'version')::bigint NULLS FIRST, id",
            type_,
        )
        return [row["body"] for row in rows]

    async def _listen(self) -> None:
        """Versions rise with each word on a subscription; a warning is given once per threshold and period."""
        for word in await self._said("billing.subscription.changed.v1"):
            org_id = uuid.UUID(word["org_id"])
            assert word["version"] > self.versions[org_id]
            self.versions[org_id] = word["version"]
        for word in await self._said("billing.credits.low.v1"):
            org_id = uuid.UUID(word["org_id"])
            self.warnings[(org_id, word["threshold_percent"])] += 1
        await self.db.execute("DELETE FROM outbox")

    async def _check(self) -> None:
        """Everything is caught up: every period was granted once, nothing else was, and what is over is closed."""
        for org_id, expected in self.expected.items():
            assert self.auditor.grants[org_id] == expected.grants, org_id
        for (org_id, _), count in self.warnings.items():
            assert count <= self.expected[org_id].periods
        bought = self.auditor.by_code[Code.TOPUP] + self.auditor.by_code[Code.PROMO]
        assert bought == self.bought
        rows = await self.db.fetch("SELECT org_id, plan, status, next_plan, cancels, period_end FROM subscriptions")
        for row in rows:
            one = self.expected[row["org_id"]]
            assert (row["plan"], row["status"], row["next_plan"]) == (one.plan, one.status, one.next_plan)
            assert (row["cancels"], row["period_end"]) == (one.cancels, one.end)
        assert not await self.db.fetchval(
            """SELECT count(*) FROM accounts a WHERE closed_at IS NULL AND ends_at <= $1 AND NOT EXISTS (
                 SELECT FROM leases l WHERE l.org_id = a.org_id AND l.state < 3 AND l.burn_at <= a.ends_at)""",
            self.clock.at,
        )


def a_year(db: Database, redis: Redis, seed: int, organizations: int) -> Year:
    """The year's first morning."""
    clock, outbox = YearClock(), Outbox()
    ledger, announce = PostgresLedger(db, outbox), Announce(clock=clock)
    parts: dict[str, Any] = {
        "ledger": ledger, "clock": clock, "periods": Periods(announce=announce),
    }  # fmt: skip
    chance = random.Random(seed)
    return Year(
        db=db,
        app=assemble(db, redis, outbox, clock=clock, rules=QUICK),
        clock=clock,
        books=PostgresBooks(db),
        auditor=Auditor(db),
        verbs={
            "start": StartSubscription(**parts),
            "change": ChangePlan(**parts),
            "cancel": CancelSubscription(**parts),
            "past_due": MarkPastDue(**parts),
            "reactivate": ReactivateSubscription(**parts),
            "end": EndSubscription(**parts, store=None, rules=QUICK),
            "grant": GrantCredits(ledger=ledger, clock=clock, announce=announce),
        },
        chance=chance,
        expected={uuid.UUID(int=chance.getrandbits(128)): Expected() for _ in range(organizations)},
    )

"""Set credits aside for proxy calls: grow or open the lease of one Redis, or of one edge's memory."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.billing import LeaseOpened, OpenLease
from libs.common.errors import FangateError, Unavailable
from libs.common.ids import uuid7
from services.billing.domain.bucket import balance_at
from services.billing.domain.errors import CreditsInUse, InsufficientCredits, NoSubscription, SubscriptionPastDue
from services.billing.domain.lease import (
    EDGE_REF_PREFIX,
    Holder,
    Lease,
    LeaseRules,
    LeaseState,
    closing,
    free_credits,
    grant_of,
    lease_end,
    low_water,
    next_slab,
    shrunk,
)
from services.billing.domain.ports import LeaseStore, Ledger, LedgerTx, Organization, Outcome, Sleep
from services.billing.usecases.periods import Periods
from services.billing.usecases.turns import Turns

_TRIES: Final = 2  # a lease whose counter is gone, and its successor
_GROWTHS_REMEMBERED: Final = 10_000  # organizations; a forgotten one gets a smaller slab


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    """What the transaction decided. `lease` None: nothing could be set aside."""

    lease: Lease | None
    added: int = 0
    is_new: bool = False
    is_blind: bool = False  # the old lease's counter gave no clean answer: install nothing now
    slab: int = 0
    rest: int = 0
    balance: int = 0


class OpenSlab:
    """Make sure that `cost` more credits can be reserved from the counter of `ref`.

    Raises InsufficientCredits (only if `cost` > balance), CreditsInUse, NoSubscription, SubscriptionPastDue,
    LeaseStoreMismatch, Unavailable (a step of unknown outcome: what it may have granted stays set aside until the lease ends).
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        store: LeaseStore,
        clock: Clock,
        rules: LeaseRules,
        periods: Periods,
        turns: Turns,
        sleep: Sleep,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._rules = rules
        self._periods = periods
        self._turns = turns
        self._sleep = sleep
        self._grown_at_ms: OrderedDict[UUID, int] = OrderedDict()

    async def __call__(self, request: OpenLease) -> LeaseOpened:
        try:
            return await self._look(request)
        except CreditsInUse:
            await self._sleep(self._rules.look_again_s)  # debits are being posted meanwhile: then it is a 402, or fits
            return await self._look(request)

    async def _look(self, request: OpenLease) -> LeaseOpened:
        if not request.ref.startswith(EDGE_REF_PREFIX):
            await self._store.check(request.ref)  # before anything is written: a foreign Redis must not cost a lease
        async with self._turns.of(request.org_id):
            for _ in range(_TRIES):
                step = await self._set_aside(request)
                opened = await self._hand_over(request, step)
                if opened is not None:
                    return opened
        raise Unavailable(detail="the lease's counter was replaced twice")

    async def _set_aside(self, request: OpenLease) -> _Step:
        """Postgres first: credits leave the free balance before any counter gets them."""
        async with self._ledger.transaction() as tx:
            organization, now = await self._payer(tx, request.org_id)
            buckets = await tx.buckets([request.org_id])
            leases = {lease.id: lease for lease in await tx.live_leases(request.org_id)}
            balance = balance_at(buckets, now)
            lease = next((one for one in leases.values() if _serves(one, request.ref)), None)
            if lease is not None and not self._may_grow(lease, now):
                leases[lease.id], is_blind = await self._retire(tx, lease, now)
                lease = None
                if is_blind:
                    return _Step(lease=None, is_blind=True)
            free = free_credits(buckets, leases.values(), now)
            slab = await self._slab(tx, organization, request.ref)
            added = grant_of(free, slab=slab, cost=request.cost)
            is_new = lease is None
            if lease is not None and added:
                lease = msgspec.structs.replace(lease, amount=lease.amount + added)
                await tx.update_lease(lease)
            elif lease is None and added >= max(request.cost, 1):
                end = lease_end(buckets, now, self._rules)
                lease = Lease(
                    id=uuid7(),
                    org_id=request.org_id,
                    holder=Holder.COUNTER,
                    ref=request.ref,
                    amount=added,
                    burn_at=end,
                    not_after=end,
                )
                await tx.add_lease(lease)
        if added and lease is not None:
            self._remember_growth(request.org_id)
        return _Step(lease=lease, added=added, is_new=is_new, slab=slab, rest=free - added, balance=balance)

    async def _payer(self, tx: LedgerTx, org_id: UUID) -> tuple[Organization, datetime]:
        """Lock the organization; the time of the look. A period that ended just now is renewed here, not a 402."""
        organization = (await tx.lock([org_id])).get(org_id)
        subscription = await tx.subscription(org_id) if organization else None
        if organization is None or organization.is_frozen or subscription is None:
            raise NoSubscription
        now = self._clock.now()
        subscription = await self._periods.catch_up(tx, subscription, now)
        match subscription.served_as(now, self._periods.grace):
            case "active":
                return organization, now
            case "past_due":
                raise SubscriptionPastDue
            case _:
                raise NoSubscription

    def _may_grow(self, lease: Lease, now: datetime) -> bool:
        return lease.not_after is not None and lease.not_after - now > timedelta(seconds=self._rules.grow_life_s)

    async def _retire(self, tx: LedgerTx, lease: Lease, now: datetime) -> tuple[Lease, bool]:
        """Close a lease that is about to end; also says whether its counter's answer is unknown."""
        taken = await self._store.take(lease, close=True) if lease.is_in_redis else Outcome.REFUSED
        returned = taken if isinstance(taken, int) else None
        lease = closing(lease, returned=returned, at=now, rules=self._rules)
        await tx.update_lease(lease)
        return lease, taken is Outcome.UNKNOWN

    async def _slab(self, tx: LedgerTx, organization: Organization, ref: str) -> int:
        if ref.startswith(EDGE_REF_PREFIX):
            return self._rules.slab_edge  # small, since it cannot be recalled
        grown_at_ms = self._grown_at_ms.get(organization.org_id)
        since_s = None if grown_at_ms is None else (self._clock.stopwatch_ms() - grown_at_ms) / 1000
        slab = next_slab(organization.slab, since_growth_s=since_s, rules=self._rules)
        if slab != organization.slab:
            await tx.set_slab(organization.org_id, slab)
        return slab

    def _remember_growth(self, org_id: UUID) -> None:
        self._grown_at_ms[org_id] = self._clock.stopwatch_ms()
        self._grown_at_ms.move_to_end(org_id)
        if len(self._grown_at_ms) > _GROWTHS_REMEMBERED:
            self._grown_at_ms.popitem(last=False)

    async def _hand_over(self, request: OpenLease, step: _Step) -> LeaseOpened | None:
        """Redis second. None = certainly nothing was given, and the way is clear for another lease."""
        if step.is_blind:
            raise Unavailable(detail="the old lease's counter gave no clean answer")
        lease = step.lease
        if lease is None:
            raise _refusal(request.cost, step.balance)
        if not lease.is_in_redis:  # an edge's memory: this reply is the hand-over
            if not step.added:
                raise _refusal(request.cost, step.balance)
            return self._opened(lease, step)
        low = low_water(step.slab, rest=step.rest)
        avail = await self._store.install(lease, step.added, low=low, rest=step.rest, is_new=step.is_new)
        if isinstance(avail, Outcome):
            await self._give_up(lease, step, avail)
            return None
        if avail < request.cost:
            raise _refusal(request.cost, step.balance)
        return self._opened(lease, step)

    async def _give_up(self, lease: Lease, step: _Step, outcome: Outcome) -> None:
        """The counter did not take the credits. Certainly not (REFUSED): they come back at once. UNKNOWN: they may be
        there; they stay set aside until the lease is final, and Unavailable is raised.
        """
        async with self._ledger.transaction() as tx:
            await tx.lock([lease.org_id])
            now = self._clock.now()
            for one in await tx.live_leases(lease.org_id):
                if one.id == lease.id:
                    one = shrunk(one, step.added) if outcome is Outcome.REFUSED else one  # noqa: PLW2901
                    if one.state is LeaseState.OPEN:
                        one = closing(one, returned=None, at=now, rules=self._rules)  # noqa: PLW2901
                    await tx.update_lease(one)
                elif outcome is Outcome.REFUSED and one.ref == lease.ref and one.state is LeaseState.CLOSING:
                    # A lease closed without a clean answer may still have its counter, where the next one must stand.
                    taken = await self._store.take(one, close=True)
                    if isinstance(taken, int):
                        await tx.update_lease(shrunk(one, taken))
        if outcome is Outcome.UNKNOWN:
            raise Unavailable(detail="the lease's counter gave no clean answer")

    def _opened(self, lease: Lease, step: _Step) -> LeaseOpened:
        assert lease.not_after is not None
        life_ms = int((lease.not_after - self._clock.now()).total_seconds() * 1000)
        return LeaseOpened(lease_id=lease.id, granted=step.added, rest=step.rest, life_ms=max(0, life_ms))


def _serves(lease: Lease, ref: str) -> bool:
    return lease.state is LeaseState.OPEN and lease.holder is Holder.COUNTER and lease.ref == ref


def _refusal(required: int, balance: int) -> FangateError:
    """402 only if the balance itself is too small; else the credits exist, but leases hold them."""
    if required > balance:
        return InsufficientCredits(required=required, balance=balance)
    return CreditsInUse()

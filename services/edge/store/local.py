"""Admission without Redis: windows in this process, a share of the limits each; credits from a lease held here.

Closed to the truth about credits (no lease, no call), open but bounded about rates. What is reserved here is never
counted in Redis, and the other way round.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.auth import Principal
from libs.common.ids import uuid7
from services.edge.domain.catalogue import Route
from services.edge.domain.ports import CreditsInUse, Leases, Reserved
from services.edge.domain.principal import limited
from services.edge.domain.refusal import Refusal, rate_limited
from services.edge.domain.windows import DAY_MS, MINUTE_MS, Counters, Limits, Windows

LOOKS_MAX: Final = 8  # a call that others outrun this often is told to come back
ORGANIZATIONS_MAX: Final = 50_000  # of which windows and leases are held; the longest unused goes first


@dataclass(slots=True)
class _Counts:
    """The windows of one organization, as the script keeps them in a hash."""

    minute_index: int = 0
    minute: int = 0
    previous: int = 0
    day_index: int = 0
    day: int = 0

    def turn(self, now_ms: int) -> None:
        minute_index, day_index = now_ms // MINUTE_MS, now_ms // DAY_MS
        if self.minute_index != minute_index:
            self.previous = self.minute if self.minute_index == minute_index - 1 else 0
            self.minute_index, self.minute = minute_index, 0
        if self.day_index != day_index:
            self.day_index, self.day = day_index, 0


@dataclass(slots=True)
class _Lease:
    id: UUID
    avail: int
    rest: int
    until_ms: int  # of the stopwatch


class LocalAdmission:
    """The `Admission` port while the store is away. `replicas` edges share each limit, rounded up."""

    def __init__(self, leases: Leases, clock: Clock, *, replicas: int) -> None:
        self._leases = leases
        self._clock = clock
        self._replicas = replicas
        self._ref = f"edge:{uuid7()}"  # this process's life: nobody else can spend from our leases
        self._counts: OrderedDict[UUID, _Counts] = OrderedDict()
        self._key_counts: OrderedDict[tuple[UUID, str], tuple[int, int]] = OrderedDict()  # -> (minute, count)
        self._held: dict[UUID, _Lease] = {}
        self._opening: dict[UUID, asyncio.Task[None]] = {}

    async def reserve(self, caller: Principal, route: Route, *, cost: int, is_counted: bool = True) -> Reserved:
        caller = limited(caller, route)
        if is_counted:
            self._check_windows(caller, route)
        if cost == 0:
            return Reserved(caller.org_id, 0, None, self._seen(caller, route, is_counted=is_counted), is_local=True)
        lease = await self._lease(caller.org_id, cost)
        lease.avail -= cost
        windows = self._seen(caller, route, is_counted=is_counted)
        return Reserved(caller.org_id, cost, lease.avail + lease.rest, windows, lease.id, is_local=True)

    async def release(self, reserved: Reserved) -> None:
        lease = self._held.get(reserved.org_id)
        if lease is not None and lease.id == reserved.lease_id:
            lease.avail += reserved.cost

    def _check_windows(self, caller: Principal, route: Route) -> None:
        windows = self._windows(caller, route)
        refusing = windows.refusing()
        if refusing is not None:
            raise rate_limited(windows, refusing)

    def _windows(self, caller: Principal, route: Route) -> Windows:
        now_ms = self._clock.now_ms()
        counts = self._counts.setdefault(caller.org_id, _Counts())
        self._counts.move_to_end(caller.org_id)
        if len(self._counts) > ORGANIZATIONS_MAX:
            self._counts.popitem(last=False)
        counts.turn(now_ms)
        key_minute, key_count = self._key_counts.get((caller.key_id, route.rate_class), (0, 0))
        limits = caller.limits
        return Windows(
            Limits(self._share(limits.per_minute), self._share(limits.per_day), self._share(limits.key_per_minute)),
            Counters(
                now_ms=now_ms,
                minute=counts.minute,
                previous=counts.previous,
                day=counts.day,
                key=key_count if key_minute == now_ms // MINUTE_MS else 0,
            ),
        )

    def _seen(self, caller: Principal, route: Route, *, is_counted: bool) -> Windows:
        return self._count(caller, route) if is_counted else self._windows(caller, route)

    def _count(self, caller: Principal, route: Route) -> Windows:
        windows = self._windows(caller, route)
        counts, now = self._counts[caller.org_id], windows.counters
        counts.minute += 1
        counts.day += 1
        if caller.limits.key_per_minute > 0:
            slot = (caller.key_id, route.rate_class)
            self._key_counts[slot] = (now.now_ms // MINUTE_MS, now.key + 1)
            self._key_counts.move_to_end(slot)
            if len(self._key_counts) > ORGANIZATIONS_MAX:
                self._key_counts.popitem(last=False)
        return self._windows(caller, route)

    def _share(self, limit: int) -> int:
        return -(-limit // self._replicas)

    async def _lease(self, org_id: UUID, cost: int) -> _Lease:
        """A lease with at least `cost` left. One question per organization at a time; the others look again after it."""
        for _ in range(LOOKS_MAX):
            lease = self._held.get(org_id)
            if lease is not None and lease.avail >= cost and self._clock.stopwatch_ms() < lease.until_ms:
                return lease
            task = self._opening.get(org_id)
            if task is None:
                task = asyncio.create_task(self._open(org_id, cost), name="open a local lease")
                self._opening[org_id] = task
                task.add_done_callback(lambda _: self._opening.pop(org_id, None))
            try:
                await asyncio.shield(task)
            except CreditsInUse:
                raise Refusal("UNAVAILABLE", detail="leases hold all credits") from None
        raise Refusal("UNAVAILABLE", detail="others took the leased credits first")

    async def _open(self, org_id: UUID, cost: int) -> None:
        asked_at_ms = (
            self._clock.stopwatch_ms()
        )  # the life counts from before the question, so it ends early, never late
        opened = await self._leases.open_lease(org_id, holder="edge", ref=self._ref, cost=cost)
        held = self._held.get(org_id)
        left = held.avail if held is not None and held.id == opened.lease_id else 0  # the same lease, grown
        until_ms = asked_at_ms + opened.life_ms
        self._held[org_id] = _Lease(opened.lease_id, left + opened.granted, opened.rest, until_ms)
        if len(self._held) > ORGANIZATIONS_MAX:
            del self._held[next(iter(self._held))]

"""Admission in Redis: one script, one round trip, for every authenticated call.

The script decides (`admission.lua`); here its integers become a `Reserved` or a refusal, leases are refilled, and an
organization that was just refused by a window is refused once more without asking.
"""

import asyncio
import enum
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID
from weakref import WeakValueDictionary

from libs.common.clock import Clock
from libs.common.contracts.auth import Principal
from libs.common.redis import keys
from libs.common.redis.client import Epoch, Redis, RedisAway, RedisUnreached, StoreRefused
from libs.common.redis.scripts import load_script
from libs.common.telemetry.metrics import Counter, Gauge
from services.edge.domain.catalogue import Route
from services.edge.domain.ports import AdmissionAway, CreditsInUse, PrincipalCold, PrincipalStale, Reserved
from services.edge.domain.principal import limited
from services.edge.domain.refusal import Refusal, rate_limited
from services.edge.domain.windows import Counters, Limits, Window, Windows
from services.edge.store.refills import LOCK_MS, Refills

LEASE_WAIT_MS: Final = 1_200  # how long a call waits for credits that somebody is fetching
SHIELD_MS_MAX: Final = 1_000
SHIELDS_MAX: Final = 10_000
LINE_WIDTH: Final = 8  # calls of an organization that look for credits at a time, of those that found none
NAMES_MAX: Final = 20_000  # sets of key names kept, about 1 kB each
LEASES_MAX: Final = 2_048  # whose ids are kept read


class Code(enum.IntEnum):
    """What the script answers first; `admission.lua` names them where it sets them."""

    OK = 0
    COLD = 1
    STALE = 2
    MINUTE = 3
    DAY = 4
    KEY = 5
    NEED_LEASE = 6
    NO_CREDITS = 7
    IN_USE = 8
    REIGN = 9


_ADMISSION: Final = load_script(__package__, "admission.lua")
_RELEASE: Final = load_script(__package__, "release.lua")
_AV: Final = load_script(__package__, "av.lua")
_FORGET: Final = load_script(__package__, "forget.lua")

DECISIONS = Counter("fangate_ratelimit_decisions_total", "What the windows said", ["window", "outcome"])
BACKEND_ERRORS = Counter("fangate_ratelimit_backend_errors_total", "Questions to Redis without a clean answer")
DEGRADED = Gauge("fangate_ratelimit_degraded", "1 while admission goes without Redis")
_PASSED = DECISIONS.labels("all", "passed")
_REFUSED = {name: DECISIONS.labels(name, "refused") for name in ("minute", "day", "key")}
_SHIELDED = DECISIONS.labels("shield", "refused")


@dataclass(frozen=True, slots=True)
class _NeedLease:
    """The script found no credits. `won`: the refill token, if it is on this call to ask billing."""

    won: str
    epoch: Epoch
    answer: list[Any]


class RedisAdmission:
    """The `VersionedAdmission` port over one Redis."""

    def __init__(self, redis: Redis, refills: Refills, clock: Clock, *, prefix: str = "") -> None:
        self._redis = redis
        self._refills = refills
        self._clock = clock
        self._prefix = prefix
        self._token = itertools.count()
        self._holder = f"{id(self):x}-{clock.now_ms():x}"  # with a running number: the refill token
        # Of organizations that are short of credits just now; gone with the last call that stands in it.
        self._lines: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()
        # Organization, or key and class of routes -> until (stopwatch).
        self._shields: OrderedDict[tuple[UUID, str], tuple[int, Windows, Window]] = OrderedDict()

    async def reserve(self, caller: Principal, route: Route, *, cost: int, is_counted: bool = True) -> Reserved:
        caller = limited(caller, route)
        if is_counted:
            self._check_shield(caller, route)
        tried = await self._try(caller, route, cost, is_counted=is_counted)
        if isinstance(tried, Reserved):
            return tried
        give_up_at = self._clock.stopwatch_ms() + LEASE_WAIT_MS
        if tried.won:
            return await self._try_until(give_up_at, caller, route, cost, tried, is_counted=is_counted)
        # Few of those who wait look again at a time: each grant feeds some of them only, and hundreds of questions for every
        # grant would make all of them late.
        line = self._lines.setdefault(caller.org_id, asyncio.Semaphore(LINE_WIDTH))
        try:
            async with asyncio.timeout(LEASE_WAIT_MS / 1_000):
                await line.acquire()
        except TimeoutError:
            raise self._no_lease_in_time(caller, tried) from None
        try:
            tried = await self._try(caller, route, cost, is_counted=is_counted)  # much may have come since
            if isinstance(tried, Reserved):
                return tried
            return await self._try_until(give_up_at, caller, route, cost, tried, is_counted=is_counted)
        finally:
            line.release()

    async def _try_until(
        self, give_up_at: int, caller: Principal, route: Route, cost: int, need: "_NeedLease", *, is_counted: bool
    ) -> Reserved:
        """The winner asks billing, the others wait for it; then everybody looks again, until `give_up_at` (stopwatch)."""
        while True:
            left_ms = give_up_at - self._clock.stopwatch_ms()
            if left_ms <= 0:
                raise self._no_lease_in_time(caller, need)
            await self._fill(caller, cost, need, left_ms)
            tried = await self._try(caller, route, cost, is_counted=is_counted)
            if isinstance(tried, Reserved):
                return tried
            need = tried

    async def _try(self, caller: Principal, route: Route, cost: int, *, is_counted: bool) -> "Reserved | _NeedLease":
        """Run the script once. Raises what it refuses with."""
        token = f"{self._holder}-{next(self._token)}"
        epoch, answer = await self._ask(caller, route, cost, token, is_counted=is_counted)
        code, won = answer[0], len(answer) > 10 and bool(answer[10])
        if code == Code.OK:
            if won:  # low water: refill behind this call
                self._refills.begin(caller.org_id, cost=cost, token=token, ref=epoch.name)
            _PASSED.inc()
            return _reserved(caller, cost, answer)
        if code != Code.NEED_LEASE:
            raise self._refusal(caller, route, cost, answer)
        return _NeedLease(token if won else "", epoch, answer)

    def _no_lease_in_time(self, caller: Principal, need: "_NeedLease") -> Refusal:
        return _with_windows(Refusal("UNAVAILABLE", detail="no lease in time"), _windows(caller, need.answer))

    async def release(self, reserved: Reserved) -> None:
        if reserved.lease_id is None:
            return
        try:
            await self._redis.run(
                _RELEASE,
                lambda epoch: (keys.lease(reserved.org_id, epoch, prefix=self._prefix),),
                lambda _: (str(reserved.lease_id), reserved.cost),
            )
        except (RedisAway, StoreRefused):
            BACKEND_ERRORS.inc()  # unknown: the lease's end settles it, a repeat could give back twice

    async def raise_version(self, org_id: UUID, av: int) -> int:
        try:
            stands = await self._redis.run(
                _AV, lambda _: (keys.admission(org_id, prefix=self._prefix),), lambda _: (av,)
            )
        except (RedisAway, StoreRefused) as exc:
            BACKEND_ERRORS.inc()
            raise AdmissionAway from exc
        return int(stands)

    async def forget_negative(self, org_id: UUID) -> None:
        """Credits came: no remembered 402 stands, and who is asking billing just now may not write one. AdmissionAway."""
        try:
            await self._redis.run(
                _FORGET,
                lambda _: (
                    keys.lease_negative(org_id, prefix=self._prefix),
                    keys.lease_refill_lock(org_id, prefix=self._prefix),
                ),
                lambda _: (),
            )
        except (RedisAway, StoreRefused) as exc:
            raise AdmissionAway from exc

    async def _ask(
        self, caller: Principal, route: Route, cost: int, token: str, *, is_counted: bool
    ) -> tuple[Epoch, list[Any]]:
        """Run the script; its answer, and whose memory gave it. A connection that slept through a change of master did
        nothing (REIGN): all connections go, and a fresh one is asked. Raises AdmissionAway.
        """
        limits = caller.limits
        epoch: Epoch | None = None

        def names(asked: Epoch) -> Sequence[str]:
            nonlocal epoch
            epoch = asked
            return _names(self._prefix, caller.org_id, caller.key_id, route.rate_class, asked)

        def arguments(asked: Epoch) -> Sequence[str | int]:
            return (
                caller.av, limits.per_minute, limits.per_day, limits.key_per_minute,
                cost, int(is_counted), token, LOCK_MS, asked.reign,
            )  # fmt: skip

        try:
            try:
                answer = await self._redis.run(_ADMISSION, names, arguments)
            except RedisUnreached:  # certainly without effect: a connection that would not open, a replica
                answer = await self._redis.run(_ADMISSION, names, arguments)
            if answer[0] == Code.REIGN:
                await self._redis.reset()
                answer = await self._redis.run(_ADMISSION, names, arguments)
        except (RedisAway, StoreRefused) as exc:
            BACKEND_ERRORS.inc()
            DEGRADED.set(1)
            raise AdmissionAway from exc
        if answer[0] == Code.REIGN:
            raise AdmissionAway
        DEGRADED.set(0)
        assert epoch is not None, "it was asked"
        return epoch, answer

    async def _fill(self, caller: Principal, cost: int, need: "_NeedLease", wait_ms: int) -> None:
        """Fetch credits, as the winner or waiting for another. Returns when a look is worth while."""
        try:
            if need.won:
                refill = self._refills.begin(caller.org_id, cost=cost, token=need.won, ref=need.epoch.name)
                await asyncio.shield(refill)
            else:
                await self._refills.wait(caller.org_id, wait_ms=wait_ms)
        except CreditsInUse:
            raise _with_windows(
                Refusal("UNAVAILABLE", detail="leases hold all credits"), _windows(caller, need.answer)
            ) from None
        except Refusal as refusal:
            raise _with_windows(refusal, _windows(caller, need.answer)) from None

    def _refusal(self, caller: Principal, route: Route, cost: int, answer: list[Any]) -> Exception:
        """What a code other than OK and NEED_LEASE means."""
        match answer[0]:
            case Code.COLD:
                return PrincipalCold()
            case Code.STALE:
                return PrincipalStale(answer[1])
            case Code.MINUTE | Code.DAY | Code.KEY:
                return self._window_refusal(caller, route, answer)
            case Code.NO_CREDITS:
                refusal = Refusal("INSUFFICIENT_CREDITS", required=cost, balance=answer[8])
            case Code.IN_USE:
                refusal = Refusal("UNAVAILABLE", detail="leases hold all credits")
            case code:
                raise AssertionError(f"the script answered {code}")
        return _with_windows(refusal, _windows(caller, answer))

    def _window_refusal(self, caller: Principal, route: Route, answer: list[Any]) -> Refusal:
        windows = _windows(caller, answer)
        refusing = windows.refusing()
        if refusing is None:
            raise AssertionError(f"the script refused what the counters allow: {answer!r}")
        _REFUSED[refusing.name].inc()
        shield_ms = min(refusing.wait_ms, SHIELD_MS_MAX)
        whom = (caller.key_id, route.rate_class) if refusing.name == "key" else (caller.org_id, "")
        self._shields[whom] = (self._clock.stopwatch_ms() + shield_ms, windows, refusing)
        self._shields.move_to_end(whom)
        if len(self._shields) > SHIELDS_MAX:
            self._shields.popitem(last=False)
        return rate_limited(windows, refusing)

    def _check_shield(self, caller: Principal, route: Route) -> None:
        if not self._shields:
            return
        for whom in ((caller.org_id, ""), (caller.key_id, route.rate_class)):
            shield = self._shields.get(whom)
            if shield is None:
                continue
            until, windows, refusing = shield
            limits = windows.limits
            plan_changed = (limits.minute, limits.day) != (caller.limits.per_minute, caller.limits.per_day)
            if self._clock.stopwatch_ms() >= until or plan_changed:
                del self._shields[whom]
                continue
            _SHIELDED.inc()
            raise rate_limited(windows, refusing)


@lru_cache(maxsize=NAMES_MAX)
def _names(prefix: str, org_id: UUID, key_id: UUID, rate_class: str, epoch: Epoch) -> tuple[str, ...]:
    """The script's KEYS; remembered, for formatting UUIDs would cost as much as the round trip's own CPU."""
    return (
        keys.admission(org_id, prefix=prefix),
        keys.key_window(org_id, key_id, rate_class, prefix=prefix),
        keys.lease(org_id, epoch, prefix=prefix),
        keys.lease_negative(org_id, prefix=prefix),
        keys.lease_refill_lock(org_id, prefix=prefix),
    )


def _limits(caller: Principal) -> Limits:
    return Limits(caller.limits.per_minute, caller.limits.per_day, caller.limits.key_per_minute)


def _windows(caller: Principal, answer: list[Any]) -> Windows:
    _, _, now_ms, minute, previous, day, key = answer[:7]
    return Windows(_limits(caller), Counters(now_ms, minute, previous, day, key))


def _reserved(caller: Principal, cost: int, answer: list[Any]) -> Reserved:
    windows = _windows(caller, answer)
    if cost == 0:
        return Reserved(caller.org_id, 0, answer[7] + answer[8] if answer[9] else None, windows)
    return Reserved(
        caller.org_id,
        cost,
        answer[7] + answer[8],
        windows,
        _lease_id(answer[9]),
    )


@lru_cache(maxsize=LEASES_MAX)
def _lease_id(text: str) -> UUID:
    """Thousands of calls are paid from one lease."""
    return UUID(text)


def _with_windows(refusal: Refusal, windows: Windows) -> Refusal:
    if refusal.windows is None:
        refusal.windows = windows
    return refusal

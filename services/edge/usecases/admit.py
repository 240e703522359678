"""May this call go ahead? Rows 6 to 9 of the order of checks, on a principal that is certainly not outdated."""

import asyncio
from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.auth import Principal
from services.edge.domain.catalogue import Route
from services.edge.domain.ports import (
    Admission,
    AdmissionAway,
    Credential,
    PrincipalCold,
    Principals,
    PrincipalStale,
    Reserved,
    VersionedAdmission,
)
from services.edge.domain.principal import is_expired, refusal_of
from services.edge.domain.refusal import Refusal

LOOKS_MAX: Final = 5  # a change of version that outruns five looks is a storm: 503
LOOK_AGAIN_SECONDS: Final = 0.02  # auth's answer can be older than the event that raised the version
DEGRADED_AGE_MS: Final = 1_000  # without the store nothing compares versions: a principal may be this old at most


@dataclass(frozen=True, slots=True)
class Admit:
    """Check the principal's rights and reserve, once for every authenticated call.

    The admission runs also for a call that is refused here already, at no cost: so no refusal rests on an outdated
    principal, and a 403 is not a free hammer.
    """

    admission: VersionedAdmission
    local: Admission  # while the shared one is away
    principals: Principals
    clock: Clock

    async def __call__(
        self,
        caller: Principal,
        credential: Credential,
        route: Route,
        *,
        address: str,
        refusal: Refusal | None = None,
        is_counted: bool = True,
        cost: int | None = None,
    ) -> tuple[Principal, Reserved]:
        """The principal as it stands now, and what it may spend: `cost`, the route's unless given. `address` is the client's;
        `refusal` is what the call has earned already: it is raised once the principal is certain, with the headroom.
        Raises Refusal (401, 402, 403, 429, 503).
        """
        earned = refusal
        price = route.cost_credits if cost is None else cost
        looked_anew = False
        for _ in range(LOOKS_MAX):
            refusal = earned or refusal_of(caller, route, address)
            try:
                reserved = await self.admission.reserve(
                    caller, route, cost=0 if refusal else price, is_counted=is_counted
                )
            except PrincipalCold:
                caller = await self._anew(credential)
                await self._raise_version(caller)
            except PrincipalStale as stale:
                if stale.av > caller.av:
                    if looked_anew:
                        await asyncio.sleep(LOOK_AGAIN_SECONDS)
                    caller, looked_anew = await self._anew(credential), True
                else:
                    await self._raise_version(caller)
            except Refusal as refused:
                is_counted = _may_count(refused, refusal)
            except AdmissionAway:
                return await self._without_store(credential, route, address, earned, price, is_counted=is_counted)
            else:
                return caller, _unless(refusal, reserved)
        raise Refusal("UNAVAILABLE", detail="the organization's auth version would not settle")

    async def release(self, reserved: Reserved) -> None:
        """Give back what an unpaid call had reserved. Once; raises nothing."""
        await (self.local if reserved.is_local else self.admission).release(reserved)

    async def _without_store(
        self,
        credential: Credential,
        route: Route,
        address: str,
        earned: Refusal | None,
        price: int,
        *,
        is_counted: bool,
    ) -> tuple[Principal, Reserved]:
        caller = self._present(await self.principals.resolve(credential, age_ms_max=DEGRADED_AGE_MS))
        refusal = earned or refusal_of(caller, route, address)
        cost = 0 if refusal else price
        try:
            reserved = await self.local.reserve(caller, route, cost=cost, is_counted=is_counted)
        except Refusal as refused:
            is_counted = _may_count(refused, refusal)
            reserved = await self.local.reserve(caller, route, cost=cost, is_counted=is_counted)
        return caller, _unless(refusal, reserved)

    async def _anew(self, credential: Credential) -> Principal:
        return self._present(await self.principals.resolve_anew(credential))

    def _present(self, caller: Principal | None) -> Principal:
        if caller is None or is_expired(caller, self.clock.now_ms()):
            raise Refusal("INVALID_API_KEY")
        return caller

    async def _raise_version(self, caller: Principal) -> None:
        try:
            await self.admission.raise_version(caller.org_id, caller.av)
        except AdmissionAway:
            return  # the next look finds it away too, and goes without


def _may_count(refused: Refusal, earned: Refusal | None) -> bool:
    """False if a full window stands behind what the call has `earned` before: that is told, and windows that are full count
    no more. Raises `refused` otherwise.
    """
    if earned is None or refused.window is None:
        raise refused
    return False


def _unless(refusal: Refusal | None, reserved: Reserved) -> Reserved:
    if refusal is not None:
        refusal.windows = reserved.windows
        raise refusal
    return reserved

"""`billing` behind the port `Leases`."""

from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.billing import LeaseOpened, OpenLease
from libs.common.errors import DeadlinePassed, Refused, RpcError
from services.edge.domain.ports import CreditsInUse
from services.edge.domain.refusal import Refusal
from services.edge.gateways.rpc import Rpc

DEADLINE_MS: Final = 800  # below the life of the refill lock (1 s): a slow winner is not doubled


class BillingLeases:
    """Asks `billing` for credits. Only its answer makes a 402; silence is a 503."""

    def __init__(self, rpc: Rpc, clock: Clock) -> None:
        self._rpc = rpc
        self._clock = clock

    async def open_lease(self, org_id: UUID, *, holder: str, ref: str, cost: int) -> LeaseOpened:
        request = OpenLease(org_id=org_id, holder=holder, ref=ref, cost=cost)
        try:
            reply, _ = await self._rpc.call(request, org_id=org_id, deadline_ms=self._clock.now_ms() + DEADLINE_MS)
        except RpcError as exc:
            raise _refusal(exc, cost) from exc
        except (Refused, DeadlinePassed) as exc:
            raise Refusal("UNAVAILABLE", detail=f"billing: {exc}") from exc
        assert isinstance(reply, LeaseOpened)
        return reply


def _refusal(error: RpcError, cost: int) -> Refusal | CreditsInUse:
    match error.code:
        case "CREDITS_IN_USE":
            return CreditsInUse()
        case "INSUFFICIENT_CREDITS":
            required, balance = int(error.fields.get("required", cost)), int(error.fields.get("balance", 0))
            return Refusal("INSUFFICIENT_CREDITS", required=required, balance=balance)
        case "NO_SUBSCRIPTION" | "SUBSCRIPTION_PAST_DUE":
            return Refusal(error.code)
        case "LEASE_STORE_MISMATCH":
            return Refusal("UNAVAILABLE", detail="billing sees another Redis than this edge", store_mismatch=True)
        case _:
            return Refusal("UNAVAILABLE", detail=f"billing: {error}")

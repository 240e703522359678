"""`billing` behind the port `Credits`."""

from typing import Final, Protocol
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.billing import Balance, GetBalance, OpenLease
from libs.common.contracts.envelope import Message
from libs.common.errors import DeadlinePassed, Refused, RpcError, Unavailable
from libs.common.telemetry.trace import current_traceparent
from services.takedowns.domain.errors import (
    CreditsFrozen,
    CreditsInUse,
    InsufficientCredits,
    LeaseNotSent,
    LeaseUnknown,
)

LEASE_MS: Final = 5_000
BALANCE_MS: Final = 2_000


class Rpc(Protocol):
    """The one verb we need of the bus."""

    async def call(
        self, request: Message, *, org_id: UUID | None, deadline_ms: int, blob: bytes = b"", traceparent: str = ""
    ) -> tuple[Message, bytes]:
        """The reply and its blob. Raises Refused (nothing was sent), DeadlinePassed (unknown), RpcError."""
        ...


class BillingCredits:
    """Leases and balances over the bus."""

    def __init__(self, rpc: Rpc, clock: Clock) -> None:
        self._rpc = rpc
        self._clock = clock

    async def lease(self, batch_id: UUID, org_id: UUID, amount: int) -> None:
        request = OpenLease(org_id=org_id, holder="batch", ref="batch", amount=amount, lease_id=batch_id)
        try:
            await self._ask(request, org_id, LEASE_MS)
        except RpcError as exc:
            fields = exc.fields
            match exc.code:
                case "INSUFFICIENT_CREDITS":
                    raise InsufficientCredits(required=fields["required"], balance=fields["balance"]) from exc
                case "CREDITS_IN_USE":
                    raise CreditsInUse(detail=str(exc)) from exc
                case "NO_SUBSCRIPTION":  # to billing: frozen
                    raise CreditsFrozen from exc
                case _:  # UNAVAILABLE among them: its transaction may stand
                    raise LeaseUnknown(detail=str(exc)) from exc
        except Refused as exc:
            raise LeaseNotSent(retry_after_s=exc.retry_after_s, detail=str(exc)) from exc
        except DeadlinePassed as exc:
            raise LeaseUnknown(detail=str(exc)) from exc

    async def balance(self, org_id: UUID) -> int:
        try:
            balance = await self._ask(GetBalance(org_id=org_id), org_id, BALANCE_MS)
        except (RpcError, DeadlinePassed) as exc:
            raise Unavailable(detail=str(exc)) from exc
        assert isinstance(balance, Balance)
        return balance.balance - balance.leased

    async def _ask(self, request: Message, org_id: UUID, wait_ms: int) -> Message:
        deadline_ms = self._clock.now_ms() + wait_ms
        reply, _ = await self._rpc.call(
            request, org_id=org_id, deadline_ms=deadline_ms, traceparent=current_traceparent.get()
        )
        return reply

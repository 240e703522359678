"""The services behind the port `Services`: one rpc for one own route; their errors become refusals."""

from typing import Final
from uuid import UUID

from libs.common.contracts.envelope import Message
from libs.common.errors import DeadlinePassed, Refused, RpcError
from libs.common.telemetry.trace import current_traceparent
from services.edge.domain.refusal import CODES, Refusal
from services.edge.gateways.rpc import Rpc

_NO_ANSWER: Final = "No answer came in time: try again"
_UNKNOWN: Final = "The answer was lost: the request may have been carried out, look before repeating"


class ServicesOverBus:
    """Asks whichever service owns the command; the registry knows which."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def ask(
        self, command: Message, *, org_id: UUID | None, deadline_ms: int, may_repeat: bool, blob: bytes = b""
    ) -> Message:
        try:
            reply, _ = await self._rpc.call(
                command, org_id=org_id, deadline_ms=deadline_ms, blob=blob, traceparent=current_traceparent.get()
            )
        except RpcError as exc:
            raise _refusal(exc) from exc
        except DeadlinePassed as exc:
            if may_repeat:
                raise Refusal("UPSTREAM_TIMEOUT", _NO_ANSWER, detail=str(exc)) from exc
            raise Refusal("OUTCOME_UNKNOWN", _UNKNOWN, detail=str(exc)) from exc
        except Refused as exc:
            raise Refusal("UNAVAILABLE", retry_after_s=exc.retry_after_s, is_unsent=True, detail=str(exc)) from exc
        return reply


def _refusal(error: RpcError) -> Refusal:
    """The service's own words under its own code; a code that nobody documented is a defect (500)."""
    if error.code not in CODES:
        return Refusal("INTERNAL_ERROR", detail=f"a service said {error}")
    seconds = error.fields.get("retry_after_s")
    fields = {name: value for name, value in error.fields.items() if name != "retry_after_s"}
    return Refusal(error.code, error.public, retry_after_s=seconds if isinstance(seconds, int) else 0, **fields)

"""`sessions` behind the port `Sessions`: its error codes become refusals."""

from typing import Final

from libs.common.contracts.sessions import Proxied, Proxy
from libs.common.errors import DeadlinePassed, Refused, RpcError
from libs.common.telemetry.trace import current_traceparent
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.gateways.rpc import Rpc

# Errors of sessions that callers see under the same code; anything else is a fault between us.
_PASSED_ON: Final = frozenset(
    {"INVALID_REQUEST", "MODEL_NOT_FOUND", "MODEL_NOT_CONNECTED", "SYNC_LOST", "ROUTE_NOT_SUPPORTED", "UPSTREAM_TIMEOUT", "OUTCOME_UNKNOWN",
     "OF_API_ERROR", "UPSTREAM_RATE_LIMITED", "UPSTREAM_REJECTED", "UPSTREAM_FORBIDDEN", "UPSTREAM_NOT_FOUND"}
)  # fmt: skip


class SessionsOverBus:
    """Proxy calls as framed rpcs: the calls of one loop tick travel in one message (`libs/common/bus/frames.py`)."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def proxy(self, call: Proxy, body: bytes, *, deadline_ms: int, may_repeat: bool) -> Upstream:
        try:
            reply, blob = await self._rpc.call(
                call, org_id=call.org_id, deadline_ms=deadline_ms, blob=body, traceparent=current_traceparent.get()
            )
        except RpcError as exc:
            raise _refusal(exc, may_repeat=may_repeat) from exc
        except DeadlinePassed as exc:
            # Nobody knows how far it came. For a write that must not run twice the caller has to be told so.
            raise Refusal("UPSTREAM_TIMEOUT" if may_repeat else "OUTCOME_UNKNOWN") from exc
        except Refused as exc:
            raise Refusal(
                "UNAVAILABLE", retry_after_s=exc.retry_after_s, is_unsent=True, detail=f"sessions: {exc}"
            ) from exc
        assert isinstance(reply, Proxied)
        return Upstream(reply.status, blob, reply.retry_after_s, reply.upstream_ms, reply.model_id)


def _refusal(error: RpcError, *, may_repeat: bool) -> Refusal:
    if error.code in _PASSED_ON:
        seconds = error.fields.get("retry_after_s")
        return Refusal(error.code, error.public, retry_after_s=seconds if isinstance(seconds, int) else 0)
    if error.code == "UNAVAILABLE":
        seconds = error.fields.get("retry_after_s")
        return Refusal("UNAVAILABLE", error.public, retry_after_s=seconds if isinstance(seconds, int) else 0)
    if not may_repeat:  # it broke somewhere in the middle of a write
        return Refusal("OUTCOME_UNKNOWN", detail=f"sessions: {error}")
    return Refusal("UNAVAILABLE", detail=f"sessions: {error}")

"""`auth` behind the port `KeyDirectory`."""

from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.auth import KeyDigest, Principal, ResolveKey
from libs.common.errors import DeadlinePassed, Refused, RpcError
from services.edge.domain.refusal import Refusal
from services.edge.gateways.rpc import Rpc

DEADLINE_MS: Final = 2_000
_UNKNOWN_KEY: Final = "INVALID_API_KEY"


class AuthDirectory:
    """Asks `auth` who owns a key; the bus carries digests, never keys."""

    def __init__(self, rpc: Rpc, clock: Clock) -> None:
        self._rpc = rpc
        self._clock = clock

    async def find(self, digests: tuple[tuple[str, str], ...]) -> Principal | None:
        request = ResolveKey(digests=tuple(KeyDigest(pepper=pepper, digest=digest) for pepper, digest in digests))
        try:
            reply, _ = await self._rpc.call(request, org_id=None, deadline_ms=self._clock.now_ms() + DEADLINE_MS)
        except RpcError as exc:
            if exc.code == _UNKNOWN_KEY:
                return None
            raise Refusal("UNAVAILABLE", detail=f"auth: {exc}") from exc
        except (Refused, DeadlinePassed) as exc:
            raise Refusal("UNAVAILABLE", detail=f"auth: {exc}") from exc
        assert isinstance(reply, Principal)
        return reply

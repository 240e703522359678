"""What other services tell every edge: whose rights or credits changed. Only caches hang on it, never a promise.

What was missed while away is covered by the flush on reconnect; revocation rests on the auth version in the admission
script, and these events raise it there.
"""

from typing import Final, Protocol
from uuid import UUID

from libs.common.contracts.auth import KeyRevoked, OrganizationChanged
from libs.common.contracts.billing import BalanceChanged
from libs.common.contracts.envelope import Context, Message
from libs.common.telemetry.log import logger
from services.edge.domain.ports import AdmissionAway

BINDINGS: Final = ("auth.org.changed.v1", "auth.key.revoked.v1", "billing.balance.changed.v1")

_log = logger(__name__)


class PrincipalCache(Protocol):
    """What is remembered of callers."""

    def evict(self, org_id: UUID) -> None: ...
    def clear(self) -> None: ...


class SharedState(Protocol):
    """What all edges share of an organization. Both raise AdmissionAway."""

    async def raise_version(self, org_id: UUID, av: int) -> int: ...
    async def forget_negative(self, org_id: UUID) -> None: ...


class Broadcasts:
    """The handler of broadcasts. Raises nothing: a broadcast is never repeated."""

    def __init__(self, principals: PrincipalCache, state: SharedState) -> None:
        self._principals = principals
        self._state = state

    async def on_message(self, message: Message, _context: Context) -> None:
        try:
            match message:
                case OrganizationChanged(org_id=org_id, av=av) | KeyRevoked(org_id=org_id, av=av):
                    # First forget, then raise: a call in between resolves anew and is stale for a moment, never outdated.
                    self._principals.evict(org_id)
                    await self._state.raise_version(org_id, av)
                case BalanceChanged(org_id=org_id):
                    await self._state.forget_negative(org_id)
                case _:
                    _log.warning("a broadcast that nobody asked for", type=type(message).__name__)
        except AdmissionAway:
            # Redis is away: without it principals live a second, and with it back their versions are resolved anew.
            _log.info("broadcast without effect on Redis", type=type(message).__name__)

    async def on_connected(self) -> None:
        """Whatever was said while we were away is unknown: forget what it could have been about."""
        self._principals.clear()

"""Follow the link of an invitation: see what it says, and join."""

from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.auth import AcceptInvitation, GetInvitation, InvitationShown
from services.edge.domain.link import link_digest
from services.edge.domain.ports import SealedPasswords, Services

ANSWER_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class JoinOrganization:
    """Both verbs raise Refusal: `LINK_GONE`, 503, 504."""

    services: Services
    passwords: SealedPasswords
    clock: Clock

    async def show(self, token: str) -> InvitationShown:
        """Who is asked where, as what."""
        return await self._ask(GetInvitation(link=link_digest(token)))

    async def __call__(self, token: str, password: str, *, address: str) -> InvitationShown:
        """Whoever is asked belongs to the organization from now on, and signs in with `password`. Raises Refusal: 409 for an address
        that is taken, 400 for a password that may not be one.
        """
        digest = link_digest(token)
        sealed = await self.passwords.seal(password, bound_to=digest)
        return await self._ask(AcceptInvitation(link=digest, address=address, sealed=sealed))

    async def _ask(self, command: GetInvitation | AcceptInvitation) -> InvitationShown:
        reply = await self.services.ask(
            command, org_id=None, deadline_ms=self.clock.now_ms() + ANSWER_MS, may_repeat=True
        )
        assert isinstance(reply, InvitationShown)
        return reply

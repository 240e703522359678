"""Follow the link that the operator handed over: see whose it is, and set the password."""

from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.sign_in import GetPasswordLink, PasswordLinkShown, SetPassword
from services.edge.domain.link import link_digest
from services.edge.domain.ports import SealedPasswords, Services

ANSWER_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class SetUsersPassword:
    """Both verbs raise Refusal: `LINK_GONE`, 503, 504."""

    services: Services
    passwords: SealedPasswords
    clock: Clock

    async def show(self, token: str) -> PasswordLinkShown:
        """Whose password it is."""
        return await self._ask(GetPasswordLink(link=link_digest(token)))

    async def __call__(self, token: str, password: str, *, address: str) -> PasswordLinkShown:
        """It is `password` from now on. Raises Refusal (400) for one that may not be a password."""
        digest = link_digest(token)
        sealed = await self.passwords.seal(password, bound_to=digest)
        return await self._ask(SetPassword(link=digest, sealed=sealed, address=address))

    async def _ask(self, command: GetPasswordLink | SetPassword) -> PasswordLinkShown:
        reply = await self.services.ask(
            command, org_id=None, deadline_ms=self.clock.now_ms() + ANSWER_MS, may_repeat=True
        )
        assert isinstance(reply, PasswordLinkShown)
        return reply

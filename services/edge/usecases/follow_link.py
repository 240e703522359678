"""Follow a connect link: see what it stands for, and hand over what was typed behind it, sealed."""

from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.models import Form, GetLink, LinkShown, UseLink
from services.edge.domain.link import link_digest
from services.edge.domain.ports import Forms, Services

SHOW_MS: Final = 5_000
SIGN_IN_MS: Final = 30_000  # for the platform; the sign-in goes on when nobody waits any more


@dataclass(frozen=True, slots=True)
class FollowLink:
    """Both verbs raise Refusal: `LINK_GONE`, 503, 504."""

    services: Services
    forms: Forms
    clock: Clock

    async def show(self, token: str) -> LinkShown:
        """What the link stands for now."""
        reply = await self.services.ask(
            GetLink(link=link_digest(token)), org_id=None, deadline_ms=self.clock.now_ms() + SHOW_MS, may_repeat=True
        )
        assert isinstance(reply, LinkShown)
        return reply

    async def send(self, token: str, form: Form, *, address: str) -> LinkShown:
        """Hand over a form that came from `address`, and wait for what the platform says. Raises Refusal (400) for a form that cannot be used too."""
        digest = link_digest(token)
        command = UseLink(link=digest, sealed=await self.forms.seal(form, bound_to=digest), address=address)
        reply = await self.services.ask(
            command, org_id=None, deadline_ms=self.clock.now_ms() + SIGN_IN_MS, may_repeat=True
        )
        assert isinstance(reply, LinkShown)
        return reply

"""Have a creator asked by the platform itself: send the browser there, and hand over, sealed, what it comes back with."""

from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.models import ConsentStarted, FinishConsent, Form, LinkShown, StartConsent
from services.edge.domain.consent import Trip
from services.edge.domain.link import link_digest
from services.edge.domain.ports import Forms, Services

START_MS: Final = 5_000
EXCHANGE_MS: Final = 30_000  # for the platform; the exchange goes on when nobody waits any more


@dataclass(frozen=True, slots=True)
class AskConsent:
    """Both verbs raise Refusal: `LINK_GONE`, 400, 409, 503, 504."""

    services: Services
    forms: Forms
    clock: Clock

    async def start(self, token: str) -> tuple[str, Trip]:
        """Where the browser goes, and the trip whose secret it must keep meanwhile."""
        trip = Trip.begin()
        command = StartConsent(link=link_digest(token), consent=trip.digest, challenge=trip.challenge)
        deadline_ms = self.clock.now_ms() + START_MS
        reply = await self.services.ask(command, org_id=None, deadline_ms=deadline_ms, may_repeat=True)
        assert isinstance(reply, ConsentStarted)
        return f"{reply.url}&state={trip.state}", trip

    async def finish(self, trip: Trip, *, code: str, error: str, issuer: str, address: str) -> LinkShown:
        """What came of it, once the platform has exchanged the code; or of the `error` that it said instead."""
        digest = trip.digest
        sealed = b"" if error else await self.forms.seal(Form(code=code, verifier=trip.verifier), bound_to=digest)
        command = FinishConsent(consent=digest, sealed=sealed, error=error, issuer=issuer, address=address)
        deadline_ms = self.clock.now_ms() + EXCHANGE_MS
        reply = await self.services.ask(command, org_id=None, deadline_ms=deadline_ms, may_repeat=True)
        assert isinstance(reply, LinkShown)
        return reply

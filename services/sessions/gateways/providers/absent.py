"""Models of a provider that is not set up (any more) stay known, and nothing of theirs leaves this process."""

from typing import Final

from services.sessions.domain.credentials import Credentials, Session
from services.sessions.domain.errors import NotSent, PlatformTrouble
from services.sessions.domain.ports import Provider, SignedIn
from services.sessions.domain.upstream_call import UpstreamAnswer, UpstreamRequest

_WHY: Final = "the provider is not set up here"


class AbsentProvider:
    """The port `Provider`, of a platform that cannot be reached because nobody said where it is."""

    async def sign_in(self, _credentials: Credentials) -> SignedIn:
        raise PlatformTrouble(_WHY)

    async def confirm(self, _challenge: str, _code: str) -> SignedIn:
        raise PlatformTrouble(_WHY)

    async def renew(self, _session: Session) -> SignedIn:
        raise PlatformTrouble(_WHY)

    async def sign_out(self, _session: Session) -> None:
        raise PlatformTrouble(_WHY)

    async def call(self, _session: Session, _request: UpstreamRequest, *, timeout_ms: int) -> UpstreamAnswer:
        del timeout_ms  # nothing is waited for
        raise NotSent(_WHY)


class Providers(dict[str, Provider]):
    """Those that are set up; any other is absent, and is none of the keys."""

    def __missing__(self, _name: str) -> Provider:
        return AbsentProvider()

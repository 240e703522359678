"""A span around every exchange with a platform, where spans are recorded: wrapped when the service is wired, or not at all."""

from dataclasses import dataclass

from libs.common.telemetry.spans import Recorder
from services.sessions.domain.credentials import Credentials, Session
from services.sessions.domain.ports import CodeAsked, Provider, SignedIn
from services.sessions.domain.upstream_call import UpstreamAnswer, UpstreamRequest


@dataclass(frozen=True, slots=True)
class TracedProvider:
    """The `Provider` port, recorded. Which account and what was sent is in no span."""

    name: str
    provider: Provider
    recorder: Recorder

    async def sign_in(self, credentials: Credentials) -> SignedIn | CodeAsked:
        with self.recorder.around(f"{self.name} sign in", "client"):
            return await self.provider.sign_in(credentials)

    async def confirm(self, challenge: str, code: str) -> SignedIn:
        with self.recorder.around(f"{self.name} confirm", "client"):
            return await self.provider.confirm(challenge, code)

    async def renew(self, session: Session) -> SignedIn:
        with self.recorder.around(f"{self.name} renew", "client"):
            return await self.provider.renew(session)

    async def sign_out(self, session: Session) -> None:
        with self.recorder.around(f"{self.name} sign out", "client"):
            await self.provider.sign_out(session)

    async def call(self, session: Session, request: UpstreamRequest, *, timeout_ms: int) -> UpstreamAnswer:
        with self.recorder.around(f"{self.name} call", "client") as span:
            answer = await self.provider.call(session, request, timeout_ms=timeout_ms)
            span.note({"http.response.status_code": answer.status})
            return answer

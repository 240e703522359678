"""Sessions of browsers: the cookie's text stays here, auth knows it by its digests, a password leaves sealed."""

import secrets
from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.auth import KeyDigest
from libs.common.contracts.envelope import Message
from libs.common.contracts.sign_in import GetSession, SessionAnswer, SessionShown, SignIn, SignOut
from libs.common.peppers import PepperRing
from services.edge.domain.ports import SealedPasswords, Services

ANSWER_MS: Final = 5_000
COOKIE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class KeepSession:
    """All verbs raise Refusal: 503, 504."""

    ring: PepperRing
    services: Services
    passwords: SealedPasswords
    clock: Clock

    async def who(self, cookie: str) -> SessionShown | None:
        """Who is signed in; None: nobody."""
        return await self._session(GetSession(digests=self.digests(cookie)))

    async def begin(self, email: str, password: str, *, address: str) -> tuple[str, SessionShown] | None:
        """A cookie that nobody had before, and who is signed in; None: something is not right, and nobody is told what."""
        cookie = secrets.token_urlsafe(COOKIE_BYTES)
        digests = self.digests(cookie)
        sealed = await self.passwords.seal(password, bound_to=bytes.fromhex(digests[0].digest))
        found = await self._session(SignIn(email=email, sealed=sealed, session=digests, address=address))
        return None if found is None else (cookie, found)

    async def end(self, cookie: str, *, is_everywhere: bool = False) -> None:
        """The session opens nothing any more, or none of its user's does."""
        await self._ask(SignOut(digests=self.digests(cookie), is_everywhere=is_everywhere))

    def digests(self, text: str) -> tuple[KeyDigest, ...]:
        """How auth knows a cookie."""
        return tuple(KeyDigest(pepper=pepper, digest=digest) for pepper, digest in self.ring.digests(text))

    async def _session(self, command: GetSession | SignIn) -> SessionShown | None:
        reply = await self._ask(command)
        assert isinstance(reply, SessionAnswer)
        return reply.session

    async def _ask(self, command: Message) -> Message:
        deadline_ms = self.clock.now_ms() + ANSWER_MS
        return await self.services.ask(command, org_id=None, deadline_ms=deadline_ms, may_repeat=True)

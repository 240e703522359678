"""The calls of apps' backends: tokens for a code or a refresh token, the end of a token, what one is worth.

Tokens are made here; auth is told how to recognise them, and says whether they are to work.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.apps import (
    ClientProof,
    ExchangeCode,
    IntrospectToken,
    RefreshTokens,
    RevokeToken,
    TokenAnswer,
    TokenShown,
)
from libs.common.contracts.auth import KeyDigest
from libs.common.contracts.envelope import Message
from libs.common.ids import key_kind, new_key
from libs.common.peppers import PepperRing
from services.edge.domain.ports import Services, VersionedAdmission
from services.edge.usecases.authorize_app import code_digest
from services.edge.usecases.bring_versions import bring_to_every_edge

ANSWER_MS: Final = 5_000
TOKEN_KINDS: Final = frozenset({"oauth_access", "oauth_refresh"})
_NOBODY: Final = UUID(int=0)  # a change that names its organizations itself


class Pair(msgspec.Struct, frozen=True):
    """Tokens that work."""

    access: str
    refresh: str
    scopes: tuple[str, ...]
    expires_in_s: int

    def __repr__(self) -> str:
        return "Pair(***)"


@dataclass(frozen=True, slots=True)
class TradeTokens:
    """Every verb raises Refusal (503, 504) and answers what auth says of errors: `error`, as in RFC 6749 section 5.2."""

    ring: PepperRing
    services: Services
    versions: VersionedAdmission
    clock: Clock

    def proof(self, client_id: UUID, secret: str | None) -> ClientProof:
        """Who calls, as auth recognises it."""
        return ClientProof(client_id=client_id, secret=() if secret is None else self._digests(secret))

    async def for_code(self, client: ClientProof, *, code: str, redirect_uri: str, verifier: str) -> Pair | TokenAnswer:
        """A pair for an authorization code."""
        access, refresh = new_key("fgo_"), new_key("fgr_")
        command = ExchangeCode(
            client=client, code=code_digest(code), redirect_uri=redirect_uri, challenge=challenge_of(verifier),
            access=self._digests(access)[0], refresh=self._digests(refresh)[0],
        )  # fmt: skip
        return await self._pair(command, access, refresh)

    async def for_refresh(
        self, client: ClientProof, *, token: str, scopes: tuple[str, ...] | None
    ) -> Pair | TokenAnswer:
        """A pair for a refresh token."""
        access, refresh = new_key("fgo_"), new_key("fgr_")
        command = RefreshTokens(
            client=client, token=self._digests(token), scopes=scopes, access=self._digests(access)[0],
            refresh=self._digests(refresh)[0],
        )  # fmt: skip
        return await self._pair(command, access, refresh)

    async def end(self, client: ClientProof, token: str) -> TokenAnswer:
        """The token opens nothing any more, on any edge."""
        reply = await self._ask(RevokeToken(client=client, token=self._digests(token) if is_token(token) else ()))
        assert isinstance(reply, TokenAnswer)
        return reply

    async def show(self, client: ClientProof, token: str) -> TokenShown:
        """What the token is worth, to the client that it was issued to."""
        reply = await self._ask(IntrospectToken(client=client, token=self._digests(token) if is_token(token) else ()))
        assert isinstance(reply, TokenShown)
        return reply

    async def _pair(self, command: ExchangeCode | RefreshTokens, access: str, refresh: str) -> Pair | TokenAnswer:
        reply = await self._ask(command)
        assert isinstance(reply, TokenAnswer)
        return reply if reply.error else Pair(access, refresh, reply.scopes, reply.expires_in_s)

    async def _ask(self, command: Message) -> Message:
        reply = await self.services.ask(
            command, org_id=None, deadline_ms=self.clock.now_ms() + ANSWER_MS, may_repeat=True
        )
        if isinstance(reply, TokenAnswer):
            await bring_to_every_edge(self.versions, _NOBODY, reply)
        return reply

    def _digests(self, text: str) -> tuple[KeyDigest, ...]:
        return tuple(KeyDigest(pepper=pepper, digest=digest) for pepper, digest in self.ring.digests(text))


def is_token(text: str) -> bool:
    """Whether it is written like one: else nobody is asked."""
    return key_kind(text) in TOKEN_KINDS


def challenge_of(verifier: str) -> str:
    """S256 of RFC 7636 section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

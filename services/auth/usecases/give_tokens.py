"""Tokens for apps: for a code, for a refresh token; and what a second use of either does (RFC 9700 sections 2.1 and 4.14)."""

import hmac
import uuid
from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.apps import ExchangeCode, RefreshTokens, TokenAnswer
from libs.common.contracts.auth import KeyDigest, Moved
from libs.common.ids import uuid7
from services.auth.domain.app import KnownClient
from services.auth.domain.app_ports import AppAccounts, Tokens, TokenTurn
from services.auth.domain.audit import SYSTEM
from services.auth.domain.errors import NotFound
from services.auth.domain.grant import ACCESS_LIFE, REFRESH_LIFE, Code, Token, TokenHolder, TokenKind, grant_stands
from services.auth.usecases.client import AuthenticateClient

INVALID_CLIENT: Final = TokenAnswer(
    error="invalid_client", description="The client is unknown, or its secret is not right"
)
INVALID_GRANT: Final = TokenAnswer(
    error="invalid_grant", description="It is unknown, ended, used, or for another client, redirect or verifier"
)
INVALID_SCOPE: Final = TokenAnswer(error="invalid_scope", description="No more than was granted")


class _GrantEnded(Exception):
    """The grant does not stand: what was written is undone."""


@dataclass(frozen=True, slots=True)
class GiveTokens:
    """Both verbs answer an error of RFC 6749 section 5.2, or the life of the tokens whose digests the caller brought."""

    accounts: AppAccounts
    tokens: Tokens
    clients: AuthenticateClient
    clock: Clock

    async def for_code(self, asked: ExchangeCode) -> TokenAnswer:
        """A code works once, for its client, redirect and challenge. Its second use by its own client ends the grant."""
        client, digest = await self.clients(asked.client), asked.code.hex()
        if client is None:
            return INVALID_CLIENT
        code = await self.tokens.find_code(digest)
        if code is None or code.app_id != client.app.app_id:
            return INVALID_GRANT
        try:
            async with self.tokens.turn(code.grant_id) as turn:
                code = await turn.code(digest)
                assert code is not None
                if code.used_at is None:
                    return await self._exchange(turn, code, asked)
        except _GrantEnded:
            return INVALID_GRANT
        return await self._refuse_replay(code)

    async def for_refresh(self, asked: RefreshTokens) -> TokenAnswer:
        """A refresh token works once, and a moment longer; after that its whole family ends, for two have it."""
        client = await self.clients(asked.client)
        if client is None:
            return INVALID_CLIENT
        digests = [each.digest for each in asked.token]
        holder = await self.tokens.find(digests)
        if holder is None or not _is_refresh_of(client, holder):
            return INVALID_GRANT
        now = self.clock.now()
        try:
            async with self.tokens.turn(holder.grant.grant_id) as turn:
                holder = await turn.holder(digests)
                assert holder is not None
                if holder.token.is_live(now) and grant_stands(holder):
                    return await self._rotate(turn, holder.token, asked)
        except _GrantEnded:
            return INVALID_GRANT
        if holder.token.ended_at is None and holder.token.is_reused(now):
            return await self._refuse_reuse(holder.token)
        return INVALID_GRANT

    async def _exchange(self, turn: TokenTurn, code: Code, asked: ExchangeCode) -> TokenAnswer:
        now = self.clock.now()
        is_right = (
            code.expires_at > now
            and code.redirect_uri == asked.redirect_uri
            and hmac.compare_digest(code.challenge.encode(), asked.challenge.encode())
        )
        if not is_right:
            return INVALID_GRANT
        await turn.use_code(code, now)
        scopes = (await turn.grant(code.grant_id)).scopes
        family = _Family(code.org_id, code.grant_id, code.code_id)
        return await self._give(turn, family, asked.access, asked.refresh, scopes=scopes, all_scopes=scopes)

    async def _rotate(self, turn: TokenTurn, token: Token, asked: RefreshTokens) -> TokenAnswer:
        scopes = token.scopes if asked.scopes is None else frozenset(asked.scopes)
        if not scopes or scopes - token.scopes:
            return INVALID_SCOPE
        await turn.replace_refresh(token.family_id, self.clock.now())
        family = _Family(token.org_id, token.grant_id, token.family_id)
        return await self._give(turn, family, asked.access, asked.refresh, scopes=scopes, all_scopes=token.scopes)

    async def _give(
        self, turn: TokenTurn, family: "_Family", access: KeyDigest, refresh: KeyDigest, *,
        scopes: frozenset[str], all_scopes: frozenset[str],
    ) -> TokenAnswer:  # fmt: skip
        """The refresh token keeps `all_scopes`: an access token with fewer does not narrow what comes after it (RFC 6749 section 6)."""
        now = self.clock.now()
        for kind, mark, granted, life in (
            (TokenKind.ACCESS, access, scopes, ACCESS_LIFE),
            (TokenKind.REFRESH, refresh, all_scopes, REFRESH_LIFE),
        ):
            await turn.add(
                Token(
                    token_id=uuid7(), kind=kind, digest=mark.digest, pepper=mark.pepper, org_id=family.org_id,
                    grant_id=family.grant_id, family_id=family.family_id, scopes=granted, created_at=now,
                    expires_at=now + life,
                )
            )  # fmt: skip
        # Asked after the write, under the grant's lock: an answer that gives tokens gives tokens that work.
        holder = await turn.holder([access.digest])
        if holder is None or not grant_stands(holder):
            raise _GrantEnded
        return TokenAnswer(scopes=tuple(sorted(scopes)), expires_in_s=int(ACCESS_LIFE.total_seconds()))

    async def _refuse_replay(self, code: Code) -> TokenAnswer:
        async with self.accounts.change(code.org_id, SYSTEM) as change:
            grant = await change.grant(code.grant_id)
            if grant.revoked_at is not None:
                return INVALID_GRANT
            await change.revoke_grant(grant, self.clock.now(), reason="its code was used twice")
            return _with(INVALID_GRANT, code.org_id, change.av)

    async def _refuse_reuse(self, token: Token) -> TokenAnswer:
        try:
            async with self.accounts.change(token.org_id, SYSTEM) as change:
                ended = await change.end_tokens(token.grant_id, token.family_id, None, self.clock.now())
                return _with(INVALID_GRANT, token.org_id, change.av) if ended else INVALID_GRANT
        except NotFound:  # the organization was deleted, and all with it
            return INVALID_GRANT


@dataclass(frozen=True, slots=True)
class _Family:
    org_id: uuid.UUID
    grant_id: uuid.UUID
    family_id: uuid.UUID


def _is_refresh_of(client: KnownClient, holder: TokenHolder) -> bool:
    return holder.token.kind is TokenKind.REFRESH and holder.grant.app_id == client.app.app_id


def _with(answer: TokenAnswer, org_id: uuid.UUID, av: int) -> TokenAnswer:
    return TokenAnswer(error=answer.error, description=answer.description, moved=(Moved(org_id=org_id, av=av),))

"""An app asks what a token of its own is worth (RFC 7662), or gives it back (RFC 7009)."""

from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.apps import IntrospectToken, RevokeToken, TokenAnswer, TokenShown
from libs.common.contracts.auth import Moved
from services.auth.domain.app_ports import AppAccounts, Tokens
from services.auth.domain.grant import TokenKind, grant_stands
from services.auth.usecases.client import AuthenticateClient
from services.auth.usecases.give_tokens import INVALID_CLIENT

NOT_ACTIVE: Final = TokenShown()


@dataclass(frozen=True, slots=True)
class IntrospectTokens:
    """To confidential clients, of their own tokens; anything else is not active, and nobody is told why."""

    tokens: Tokens
    clients: AuthenticateClient
    clock: Clock

    async def __call__(self, asked: IntrospectToken) -> TokenShown:
        client = await self.clients(asked.client)
        if client is None or not client.app.is_confidential:
            return TokenShown(error=INVALID_CLIENT.error, description=INVALID_CLIENT.description)
        holder = await self.tokens.find([each.digest for each in asked.token])
        if holder is None or holder.grant.app_id != client.app.app_id:
            return NOT_ACTIVE
        token = holder.token
        if not token.is_live(self.clock.now()) or not grant_stands(holder):
            return NOT_ACTIVE
        return TokenShown(
            is_active=True,
            kind=token.kind,
            scopes=tuple(sorted(token.scopes)),
            user_id=holder.grant.user_id,
            model_id=holder.grant.model_id,
            issued_at=token.created_at,
            expires_at=token.expires_at,
        )


@dataclass(frozen=True, slots=True)
class EndTokens:
    """A refresh token ends with its family, an access token alone; unknown and foreign ones are left as they are."""

    accounts: AppAccounts
    tokens: Tokens
    clients: AuthenticateClient
    clock: Clock

    async def __call__(self, asked: RevokeToken) -> TokenAnswer:
        client = await self.clients(asked.client)
        if client is None:
            return INVALID_CLIENT
        holder = await self.tokens.find([each.digest for each in asked.token])
        if holder is None or holder.grant.app_id != client.app.app_id:
            return TokenAnswer()
        token = holder.token
        only = token.token_id if token.kind is TokenKind.ACCESS else None
        async with self.accounts.change(token.org_id) as change:
            if not await change.end_tokens(token.grant_id, token.family_id, only, self.clock.now()):
                return TokenAnswer()
            return TokenAnswer(moved=(Moved(org_id=token.org_id, av=change.av),))

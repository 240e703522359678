"""Grants: what a user allowed an app to do with a model, and the codes and tokens that follow from it. Rules as pure functions."""

import enum
import re
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from libs.common.contracts.auth import Limits, Principal
from services.auth.domain.app import KnownClient
from services.auth.domain.errors import InvalidApiKey, InvalidRequest
from services.auth.domain.key import EPOCH, KEY_PER_MINUTE_PERSONAL
from services.auth.domain.organization import Organization, OrganizationState, UserState
from services.auth.domain.permission import SELF_READ, permissions_of_scopes
from services.auth.domain.role import Role
from services.auth.domain.scope import SCOPES

CODE_LIFE: Final = timedelta(seconds=60)
ACCESS_LIFE: Final = timedelta(hours=1)
REFRESH_LIFE: Final = timedelta(days=60)
REUSE_LEEWAY: Final = timedelta(seconds=30)  # an answer can be lost: what was replaced works this much longer
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # of S256: 32 bytes in base64url


class TokenKind(enum.StrEnum):
    """What a token is for."""

    ACCESS = "access"
    REFRESH = "refresh"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What `user_id`, of `org_id`, allowed an app; it stays as it was granted."""

    grant_id: uuid.UUID
    app_id: uuid.UUID
    org_id: uuid.UUID
    user_id: uuid.UUID
    model_id: uuid.UUID
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None = None


class ListedGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant with the names that people know."""

    grant: Grant
    app: str
    owner: str
    domains: tuple[str, ...]
    email: str


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization code, by its SHA-256; bound to client, redirect and challenge. `code_id` names the family of its tokens."""

    digest: str
    code_id: uuid.UUID
    app_id: uuid.UUID
    org_id: uuid.UUID
    grant_id: uuid.UUID
    redirect_uri: str
    challenge: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access or refresh token's row."""

    token_id: uuid.UUID
    kind: TokenKind
    digest: str  # 64 hex digits, under `pepper`
    pepper: str
    org_id: uuid.UUID
    grant_id: uuid.UUID
    family_id: uuid.UUID
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime
    replaced_at: datetime | None = None
    ended_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it opens anything; one that was replaced does for a moment longer."""
        return self.ended_at is None and self.expires_at > now and not self.is_reused(now)

    def is_reused(self, now: datetime) -> bool:
        """Whether presenting it now means that two have it."""
        return self.replaced_at is not None and self.replaced_at + REUSE_LEEWAY <= now


class TokenHolder(msgspec.Struct, frozen=True, kw_only=True):
    """A token with all that it speaks for, read in one instant."""

    token: Token
    grant: Grant
    organization: Organization  # of the user who granted
    user_state: UserState
    role: Role  # the user's: nobody grants more than they have
    client: KnownClient


def token_principal_of(holder: TokenHolder, now: datetime) -> Principal:
    """Who calls with this access token. InvalidApiKey if it opens nothing any more."""
    token, grant, organization = holder.token, holder.grant, holder.organization
    if token.kind is not TokenKind.ACCESS or not token.is_live(now):
        raise InvalidApiKey(detail=f"token {token.token_id} is no access token that lives")
    if not grant_stands(holder):
        raise InvalidApiKey(detail=f"grant {grant.grant_id} ended, or its user, organization or app")
    plan = organization.subscription
    return Principal(
        key_id=grant.grant_id,  # of all its tokens: a new token has no new window
        kind="oauth_access",
        org_id=organization.org_id,
        av=organization.av,
        user_id=grant.user_id,
        permissions=(permissions_of_scopes(token.scopes) & holder.role.permissions) | {SELF_READ},
        limits=Limits(per_minute=plan.per_minute, per_day=plan.per_day, key_per_minute=KEY_PER_MINUTE_PERSONAL),
        org_state=organization.state,
        subscription=plan.status,
        expires_at_ms=(token.expires_at - EPOCH) // timedelta(milliseconds=1),
        model_id=grant.model_id,
        read_only=organization.read_only,
        features=organization.features,
    )


def grant_stands(holder: TokenHolder) -> bool:
    """Whether nobody on either side has ended it. A suspended organization of the user's is told so at the call, as with keys."""
    return (
        holder.grant.revoked_at is None
        and holder.organization.state is not OrganizationState.DELETED
        and holder.user_state is UserState.ACTIVE
        and holder.client.may_act
        and holder.client.serves(holder.grant.user_id)
    )


def checked_grant_scopes(names: Iterable[str]) -> frozenset[str]:
    """`names` as a set if they are scopes; else InvalidRequest. None is given unasked."""
    wanted = frozenset(names)
    if not wanted or wanted - SCOPES:
        raise InvalidRequest(f"No such scope: {', '.join(sorted(wanted - SCOPES)[:5]) or 'none was asked for'}")
    return wanted


def checked_challenge(challenge: str) -> str:
    """`challenge` if it is one of S256; else InvalidRequest."""
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequest("code_challenge: 43 characters of base64url")
    return challenge

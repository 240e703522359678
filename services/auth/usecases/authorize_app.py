"""A user allows an app to act with a model, and takes that back."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import APPS, Actor, KeyDigest
from libs.common.ids import uuid7
from services.auth.domain.app import KnownClient
from services.auth.domain.app_ports import AppAccounts, AppChange, AppsRead
from services.auth.domain.errors import InvalidRequest, NotEnabled, NotFound, PermissionDenied
from services.auth.domain.grant import CODE_LIFE, Code, Grant, checked_challenge, checked_grant_scopes
from services.auth.usecases.session import ShowSession


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """What the user agreed to; `code` is the SHA-256 of the code that the app will get."""

    session: Sequence[KeyDigest]
    client_id: uuid.UUID
    redirect_uri: str
    scopes: Collection[str]
    model_id: uuid.UUID
    challenge: str
    code: bytes
    address: str


class Authorized(msgspec.Struct, frozen=True, kw_only=True):
    """Done; `av` holds from now on."""

    org_id: uuid.UUID
    grant_id: uuid.UUID
    av: int


@dataclass(frozen=True, slots=True)
class AuthorizeApp:
    """Grant an app what it asked for, and keep the code that it fetches its tokens with. The same again is the same grant; other
    scopes take its place. Everything that the consent page checked is checked again: it was another moment.

    Raises InvalidRequest, NotEnabled, PermissionDenied (the session ended, the app is in development and another's).
    """

    accounts: AppAccounts
    apps: AppsRead
    sessions: ShowSession
    clock: Clock

    async def __call__(self, wanted: Authorization) -> Authorized:
        scopes, challenge = checked_grant_scopes(wanted.scopes), checked_challenge(wanted.challenge)
        signed_in = await self.sessions(wanted.session)
        if signed_in is None:
            raise PermissionDenied("You are not signed in any more")
        user, now = signed_in.user, self.clock.now()
        client = await self.apps.client(wanted.client_id)
        if client is None or not client.may_act or not client.is_redirect(wanted.redirect_uri):
            raise InvalidRequest("There is no such app, or it does not send anybody there")
        if not client.serves(user.user_id):
            raise PermissionDenied("This app is in development: it serves its owner only")
        by = Actor(user_id=user.user_id, address=wanted.address)
        async with self.accounts.change(user.org_id, by) as change:
            if APPS not in change.organization.features:
                raise NotEnabled("Apps are not enabled for this organization: ask the operator")
            grant = await self._granted(change, client, user.user_id, wanted.model_id, scopes)
            await change.add_code(
                Code(
                    digest=wanted.code.hex(),
                    code_id=uuid7(),
                    app_id=client.app.app_id,
                    org_id=user.org_id,
                    grant_id=grant.grant_id,
                    redirect_uri=wanted.redirect_uri,
                    challenge=challenge,
                    created_at=now,
                    expires_at=now + CODE_LIFE,
                )
            )
            av = change.av if grant.created_at == now else change.organization.av
        return Authorized(org_id=user.org_id, grant_id=grant.grant_id, av=av)

    async def _granted(
        self, change: AppChange, client: KnownClient, user_id: uuid.UUID, model_id: uuid.UUID, scopes: frozenset[str]
    ) -> Grant:
        now, app_id = self.clock.now(), client.app.app_id
        known = await change.live_grant(app_id, user_id, model_id)
        if known is not None and known.scopes == scopes:
            return known
        if known is not None:
            await change.revoke_grant(known, now, reason="another grant took its place")
        grant = Grant(
            grant_id=uuid7(), app_id=app_id, org_id=change.organization.org_id, user_id=user_id, model_id=model_id,
            scopes=scopes, created_at=now,
        )  # fmt: skip
        await change.add_grant(grant)
        return grant


@dataclass(frozen=True, slots=True)
class RevokeGrant:
    """End a grant with all its tokens (R182); repeating it is safe. `user_id`: only if it is this user's.

    Returns the auth version that shuts them out. Raises NotFound, also for another organization's.
    """

    accounts: AppAccounts
    clock: Clock

    async def __call__(
        self, org_id: uuid.UUID, grant_id: uuid.UUID, *, user_id: uuid.UUID | None = None, by: Actor | None = None
    ) -> int:
        async with self.accounts.change(org_id, by) as change:
            grant = await change.grant(grant_id)
            if user_id not in {None, grant.user_id}:
                raise NotFound("Grant not found")
            if grant.revoked_at is not None:
                return change.organization.av
            await change.revoke_grant(grant, self.clock.now())
            return change.av

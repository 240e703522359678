"""The commands about apps of third parties: the own routes `/api/apps` and `/api/grants`, and the OAuth endpoints."""

import uuid

from libs.common.bus import Consumer
from libs.common.clock import Clock
from libs.common.contracts import apps
from libs.common.contracts.envelope import Context
from services.auth.domain.app import AppState, Domain, ListedApp
from services.auth.domain.app_ports import AppsRead
from services.auth.domain.grant import ListedGrant
from services.auth.entry.shown_once import shown_once
from services.auth.usecases import AppUseCases
from services.auth.usecases.authorize_app import Authorization
from services.auth.usecases.create_app import AppOrder


class AppDesk:
    """One method a command."""

    def __init__(self, do: AppUseCases, read: AppsRead, clock: Clock) -> None:
        self._do = do
        self._read = read
        self._clock = clock

    def serving(self, consumer: Consumer) -> Consumer:
        """`consumer` with a handler for each command."""
        return (
            consumer.on(apps.ListApps, self.list_apps)
            .on(apps.GetApp, self.get_app)
            .on(apps.CreateApp, self.create_app)
            .on(apps.UpdateApp, self.update_app)
            .on(apps.DeleteApp, self.delete_app)
            .on(apps.RotateAppSecret, self.rotate_secret)
            .on(apps.VerifyDomain, self.verify_domain)
            .on(apps.ListGrants, self.list_grants)
            .on(apps.RevokeGrant, self.revoke_grant)
            .on(apps.GetClient, self.get_client)
            .on(apps.Authorize, self.authorize)
            .on(apps.ExchangeCode, self.exchange)
            .on(apps.RefreshTokens, self.refresh)
            .on(apps.RevokeToken, self.revoke_token)
            .on(apps.IntrospectToken, self.introspect)
        )

    async def list_apps(self, message: apps.ListApps, _context: Context) -> apps.Apps:
        page, total = await self._read.page(message.org_id, limit=message.limit, offset=message.offset)
        return apps.Apps(apps=tuple(self._shown(each) for each in page), total=total)

    async def get_app(self, message: apps.GetApp, _context: Context) -> apps.AppFound:
        return apps.AppFound(app=await self._app(message.org_id, message.app_id))

    async def create_app(self, message: apps.CreateApp, _context: Context) -> apps.AppCreated:
        made = await self._do.create_app(
            AppOrder(
                org_id=message.org_id,
                owner_id=message.owner_id,
                name=message.name,
                redirect_uris=message.redirect_uris,
                webhook_urls=message.webhook_urls,
                is_confidential=message.is_confidential,
                by=message.by,
            )
        )
        told = shown_once(made.secret, message.reply_key, bound_to=made.app_id)
        return apps.AppCreated(app=await self._app(message.org_id, made.app_id), text=told.text, sealed=told.sealed)

    async def update_app(self, message: apps.UpdateApp, _context: Context) -> apps.AppUpdated:
        await self._do.update_app(
            message.org_id,
            message.app_id,
            name=message.name,
            redirect_uris=message.redirect_uris,
            webhook_urls=message.webhook_urls,
            stage=message.stage,
            by=message.by,
        )
        return apps.AppUpdated(app=await self._app(message.org_id, message.app_id))

    async def delete_app(self, message: apps.DeleteApp, _context: Context) -> apps.AppUpdated:
        moved = await self._do.end_app(message.org_id, message.app_id, AppState.DELETED, by=message.by)
        return apps.AppUpdated(moved=moved, app=self._shown(await self._read.app(message.org_id, message.app_id)))

    async def rotate_secret(self, message: apps.RotateAppSecret, _context: Context) -> apps.AppCreated:
        made = await self._do.rotate_app_secret(
            message.org_id, message.app_id, overlap_seconds=message.overlap_seconds, by=message.by
        )
        told = shown_once(made.secret, message.reply_key, bound_to=message.app_id)
        return apps.AppCreated(app=await self._app(message.org_id, message.app_id), text=told.text, sealed=told.sealed)

    async def verify_domain(self, message: apps.VerifyDomain, _context: Context) -> apps.DomainAnswer:
        domain = await self._do.verify_domain(
            message.org_id, message.app_id, domain=message.domain, method=message.method, by=message.by
        )
        return apps.DomainAnswer(domain=_shown_domain(domain))

    async def list_grants(self, message: apps.ListGrants, _context: Context) -> apps.Grants:
        page, total = await self._read.grant_page(
            message.org_id,
            limit=message.limit,
            offset=message.offset,
            user_id=message.user_id,
            is_live=message.is_live,
        )
        return apps.Grants(grants=tuple(_shown_grant(each) for each in page), total=total)

    async def revoke_grant(self, message: apps.RevokeGrant, _context: Context) -> apps.GrantRevoked:
        av = await self._do.revoke_grant(message.org_id, message.grant_id, user_id=message.user_id, by=message.by)
        grant = await self._read.grant(message.org_id, message.grant_id)
        return apps.GrantRevoked(av=av, grant=_shown_grant(grant))

    async def get_client(self, message: apps.GetClient, _context: Context) -> apps.ClientAnswer:
        found = await self._read.client(message.client_id)
        if found is None or not found.may_act or not found.is_redirect(message.redirect_uri):
            return apps.ClientAnswer()
        return apps.ClientAnswer(
            client=apps.Client(
                app_id=found.app.app_id,
                name=found.app.name,
                owner=found.owner,
                domains=found.domains,
                stage=found.app.stage,
                serves_user=found.serves(message.user_id),
            )
        )

    async def authorize(self, message: apps.Authorize, _context: Context) -> apps.Authorized:
        done = await self._do.authorize_app(
            Authorization(
                session=message.session,
                client_id=message.client_id,
                redirect_uri=message.redirect_uri,
                scopes=message.scopes,
                model_id=message.model_id,
                challenge=message.challenge,
                code=message.code,
                address=message.address,
            )
        )
        return apps.Authorized(av=done.av, org_id=done.org_id, grant_id=done.grant_id)

    async def exchange(self, message: apps.ExchangeCode, _context: Context) -> apps.TokenAnswer:
        return await self._do.give_tokens.for_code(message)

    async def refresh(self, message: apps.RefreshTokens, _context: Context) -> apps.TokenAnswer:
        return await self._do.give_tokens.for_refresh(message)

    async def revoke_token(self, message: apps.RevokeToken, _context: Context) -> apps.TokenAnswer:
        return await self._do.end_tokens(message)

    async def introspect(self, message: apps.IntrospectToken, _context: Context) -> apps.TokenShown:
        return await self._do.introspect_tokens(message)

    async def _app(self, org_id: uuid.UUID, app_id: uuid.UUID) -> apps.App:
        return self._shown(await self._read.app(org_id, app_id))

    def _shown(self, listed: ListedApp) -> apps.App:
        app, now = listed.app, self._clock.now()
        return apps.App(
            app_id=app.app_id,
            owner_id=app.user_id,
            name=app.name,
            type="confidential" if app.is_confidential else "public",
            stage=app.stage,
            state=app.state,
            redirect_uris=app.redirect_uris,
            webhook_urls=app.webhook_urls,
            domains=tuple(_shown_domain(each) for each in listed.domains),
            secrets=tuple(
                apps.AppSecret(
                    secret_id=each.secret_id, start=each.start, created_at=each.created_at, expires_at=each.expires_at
                )
                for each in listed.secrets
                if each.is_live(now)
            ),
            created_at=app.created_at,
        )


def _shown_domain(domain: Domain) -> apps.Domain:
    return apps.Domain(
        domain=domain.domain,
        state="pending" if domain.verified_at is None else "verified",
        token=domain.token,
        method=domain.method,
        verified_at=domain.verified_at,
    )


def _shown_grant(listed: ListedGrant) -> apps.Grant:
    grant = listed.grant
    return apps.Grant(
        grant_id=grant.grant_id,
        app_id=grant.app_id,
        app=listed.app,
        owner=listed.owner,
        domains=listed.domains,
        user_id=grant.user_id,
        email=listed.email,
        model_id=grant.model_id,
        scopes=tuple(sorted(grant.scopes)),
        state="active" if grant.revoked_at is None else "revoked",
        created_at=grant.created_at,
        revoked_at=grant.revoked_at,
    )

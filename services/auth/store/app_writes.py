"""The writes of a change that are about apps and what users granted to them. `PostgresChange` brings the transaction."""

import abc
import uuid
from datetime import datetime
from typing import Final

from libs.common.db.pool import Record, Tx
from libs.common.db.queries import load_queries
from services.auth.domain import app_audit
from services.auth.domain.app import App, Domain, Method, Secret
from services.auth.domain.audit import Deed
from services.auth.domain.errors import NotFound
from services.auth.domain.grant import Code, Grant
from services.auth.store.app_rows import app_of, domain_of, grant_of, secret_of

APPS: Final = load_queries(__package__, "apps.sql")


class AppWrites(abc.ABC):
    """Part of a change."""

    _tx: Tx
    _org_id: uuid.UUID

    @abc.abstractmethod
    async def _write(self, sql: str, *args: object, deed: Deed | None) -> None:
        """Move rights."""

    @abc.abstractmethod
    async def _note(self, sql: str, *args: object, deed: Deed | None) -> None:
        """Write what moves nobody's rights."""

    @abc.abstractmethod
    def did(self, deed: Deed, *, entry_id: uuid.UUID | None = None) -> None: ...

    async def app(self, app_id: uuid.UUID) -> App:
        return app_of(_found(await self._tx.fetchrow(APPS.lock_app, self._org_id, app_id), "App not found"))

    async def count_apps(self, user_id: uuid.UUID) -> int:
        return int(await self._tx.fetchval(APPS.count_apps_of_user, self._org_id, user_id))

    async def add_app(self, app: App) -> None:
        await self._note(
            APPS.add_app, app.app_id, self._org_id, app.user_id, app.name, app.is_confidential, str(app.stage),
            app.redirect_uris, app.webhook_urls, app.created_at, deed=app_audit.app_created(app),
        )  # fmt: skip

    async def update_app(self, old: App, new: App) -> None:
        await self._note(
            APPS.update_app, self._org_id, old.app_id, new.name, str(new.stage), new.redirect_uris, new.webhook_urls,
            str(new.state), deed=app_audit.app_updated(old, new),
        )  # fmt: skip

    async def domains(self, app_id: uuid.UUID) -> list[Domain]:
        return [domain_of(row) for row in await self._tx.fetch(APPS.list_domains, app_id)]

    async def add_domain(self, app_id: uuid.UUID, domain: Domain) -> None:
        await self._note(
            APPS.add_domain, app_id, self._org_id, domain.domain, domain.token, domain.created_at, deed=None
        )

    async def verify_domain(self, app_id: uuid.UUID, domain: str, method: Method, at: datetime) -> None:
        deed = app_audit.domain_verified(app_id, domain, method)
        await self._note(APPS.verify_domain, self._org_id, app_id, domain, str(method), at, deed=deed)

    async def secrets(self, app_id: uuid.UUID) -> list[Secret]:
        return [secret_of(row) for row in await self._tx.fetch(APPS.list_secrets, app_id)]

    async def add_secret(self, app_id: uuid.UUID, secret: Secret) -> None:
        await self._note(
            APPS.add_secret, secret.secret_id, app_id, self._org_id, bytes.fromhex(secret.digest), secret.pepper,
            secret.start, secret.created_at, deed=app_audit.secret_made(app_id, secret),
        )  # fmt: skip

    async def end_secret(self, secret: Secret, at: datetime) -> None:
        await self._note(APPS.end_secret, self._org_id, secret.secret_id, at, deed=None)

    async def live_grant(self, app_id: uuid.UUID, user_id: uuid.UUID, model_id: uuid.UUID) -> Grant | None:
        row = await self._tx.fetchrow(APPS.find_live_grant, self._org_id, app_id, user_id, model_id)
        return None if row is None else grant_of(row)

    async def grant(self, grant_id: uuid.UUID) -> Grant:
        return grant_of(_found(await self._tx.fetchrow(APPS.get_grant, self._org_id, grant_id), "Grant not found"))

    async def grants_of_app(self, app_id: uuid.UUID) -> list[Grant]:
        return [grant_of(row) for row in await self._tx.fetch(APPS.list_grants_of_app, self._org_id, app_id)]

    async def add_grant(self, grant: Grant) -> None:
        await self._write(
            APPS.add_grant, grant.grant_id, grant.app_id, self._org_id, grant.user_id, grant.model_id,
            sorted(grant.scopes), grant.created_at, deed=app_audit.grant_given(grant),
        )  # fmt: skip

    async def revoke_grant(self, grant: Grant, at: datetime, *, reason: str = "") -> None:
        deed = app_audit.grant_revoked(grant, reason)
        await self._write(APPS.revoke_grant, self._org_id, grant.grant_id, at, deed=deed)
        await self._write(APPS.end_tokens_of_grant, self._org_id, grant.grant_id, at, deed=None)

    async def end_tokens(
        self, grant_id: uuid.UUID, family_id: uuid.UUID, token_id: uuid.UUID | None, at: datetime
    ) -> bool:
        await self._tx.execute(APPS.lock_grant, grant_id)
        if not await self._tx.fetch(APPS.end_tokens, self._org_id, family_id, token_id, at):
            return False
        self.touch()
        self.did(app_audit.tokens_ended(grant_id, whole_family=token_id is None))
        return True

    @abc.abstractmethod
    def touch(self) -> None: ...

    async def add_code(self, code: Code) -> None:
        await self._note(
            APPS.add_code, bytes.fromhex(code.digest), code.code_id, code.app_id, self._org_id, code.grant_id,
            code.redirect_uri, code.challenge, code.created_at, code.expires_at, deed=None,
        )  # fmt: skip


def _found(row: Record | None, message: str) -> Record:
    if row is None:
        raise NotFound(message)
    return row

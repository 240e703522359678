"""Apps, grants and tokens on Postgres: what is looked up, and the turn in which tokens follow one another."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from libs.common.db.pool import Database, Record, Tx
from services.auth.domain.app import KnownClient, ListedApp, Secret
from services.auth.domain.errors import NotFound
from services.auth.domain.grant import Code, Grant, ListedGrant, Token, TokenHolder
from services.auth.store.app_rows import (
    app_of,
    client_of,
    code_of,
    domain_of,
    grant_of,
    listed_grant_of,
    secret_of,
    token_holder_of,
)
from services.auth.store.app_writes import APPS


class PostgresApps:
    """The port `AppsRead`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def organization_of_app(self, app_id: uuid.UUID) -> uuid.UUID:
        found: uuid.UUID | None = await self._db.fetchval(APPS.find_organization_of_app, app_id)
        if found is None:
            raise NotFound("App not found")
        return found

    async def app(self, org_id: uuid.UUID, app_id: uuid.UUID) -> ListedApp:
        row = await self._db.fetchrow(APPS.get_app, org_id, app_id)
        if row is None:
            raise NotFound("App not found")
        return await self._listed(row)

    async def page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[list[ListedApp], int]:
        rows = await self._db.fetch(APPS.page_apps, org_id, limit, offset)
        total = int(await self._db.fetchval(APPS.count_all_apps, org_id))
        return [await self._listed(row) for row in rows], total

    async def _listed(self, row: Record) -> ListedApp:
        domains = await self._db.fetch(APPS.list_domains, row["app_id"])
        secrets = await self._db.fetch(APPS.list_secrets, row["app_id"])
        return ListedApp(
            app=app_of(row),
            domains=tuple(domain_of(each) for each in domains),
            secrets=tuple(secret_of(each) for each in secrets),
        )

    async def client(self, app_id: uuid.UUID) -> KnownClient | None:
        row = await self._db.fetchrow(APPS.find_client, app_id)
        if row is None:
            return None
        return client_of(row, [secret_of(each) for each in await self._db.fetch(APPS.list_secrets, app_id)])

    async def rewrite_secret(self, secret: Secret, *, pepper: str, digest: str) -> None:
        await self._db.execute(APPS.rewrite_secret, secret.secret_id, secret.pepper, pepper, bytes.fromhex(digest))

    async def grant(self, org_id: uuid.UUID, grant_id: uuid.UUID) -> ListedGrant:
        row = await self._db.fetchrow(APPS.get_listed_grant, org_id, grant_id)
        if row is None:
            raise NotFound("Grant not found")
        return listed_grant_of(row)

    async def grant_page(
        self, org_id: uuid.UUID, *, limit: int, offset: int, user_id: uuid.UUID | None, is_live: bool
    ) -> tuple[list[ListedGrant], int]:
        rows = await self._db.fetch(APPS.page_grants, org_id, limit, offset, user_id, is_live)
        total = int(await self._db.fetchval(APPS.count_grants, org_id, user_id, is_live))
        return [listed_grant_of(row) for row in rows], total

    async def organizations_granting(self, app_id: uuid.UUID) -> list[uuid.UUID]:
        return [row["org_id"] for row in await self._db.fetch(APPS.list_organizations_granting, app_id)]

    async def apps_behind(self, org_id: uuid.UUID, user_id: uuid.UUID | None) -> list[uuid.UUID]:
        return [row["app_id"] for row in await self._db.fetch(APPS.apps_behind, org_id, user_id)]

    async def dead_grants(self) -> list[tuple[uuid.UUID, uuid.UUID]]:
        return [(row["org_id"], row["grant_id"]) for row in await self._db.fetch(APPS.list_dead_grants)]


class PostgresTokenTurn:
    """The port `TokenTurn`, inside its transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def holder(self, digests: Sequence[str]) -> TokenHolder | None:
        return _holder(await self._tx.fetchrow(APPS.find_token, _raw(digests)))

    async def grant(self, grant_id: uuid.UUID) -> Grant:
        row = await self._tx.fetchrow(APPS.lock_grant, grant_id)
        assert row is not None
        return grant_of(row)

    async def code(self, digest: str) -> Code | None:
        return _code(await self._tx.fetchrow(APPS.find_code, bytes.fromhex(digest)))

    async def use_code(self, code: Code, at: datetime) -> None:
        await self._tx.execute(APPS.use_code, bytes.fromhex(code.digest), at)

    async def replace_refresh(self, family_id: uuid.UUID, at: datetime) -> None:
        await self._tx.execute(APPS.replace_refresh, family_id, at)

    async def add(self, token: Token) -> None:
        await self._tx.execute(
            APPS.add_token, token.token_id, str(token.kind), bytes.fromhex(token.digest), token.pepper, token.org_id,
            token.grant_id, token.family_id, sorted(token.scopes), token.created_at, token.expires_at,
        )  # fmt: skip


class PostgresTokens:
    """The port `Tokens`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(self, digests: Sequence[str]) -> TokenHolder | None:
        return _holder(await self._db.fetchrow(APPS.find_token, _raw(digests)))

    async def find_code(self, digest: str) -> Code | None:
        return _code(await self._db.fetchrow(APPS.find_code, bytes.fromhex(digest)))

    @contextlib.asynccontextmanager
    async def turn(self, grant_id: uuid.UUID) -> AsyncIterator[PostgresTokenTurn]:
        async with self._db.transaction() as tx:
            await tx.execute(APPS.lock_grant, grant_id)
            yield PostgresTokenTurn(tx)

    async def forget(self, codes_before: datetime, tokens_before: datetime) -> int:
        codes = await self._db.fetch(APPS.forget_codes, codes_before)
        return len(codes) + len(await self._db.fetch(APPS.forget_tokens, tokens_before))


def _holder(row: Record | None) -> TokenHolder | None:
    return None if row is None else token_holder_of(row)


def _code(row: Record | None) -> Code | None:
    return None if row is None else code_of(row)


def _raw(digests: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(digest) for digest in digests]

"""The ports of auth on Postgres. All SQL is in `queries.sql`, the way from rows to structs in `rows.py`."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Final

from libs.common.contracts.auth import OrganizationChanged
from libs.common.contracts.envelope import Message
from libs.common.db.errors import UniqueViolation
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from libs.common.db.tx import accept_once
from services.auth.domain.errors import Conflict, NotFound, OrganizationDeleted
from services.auth.domain.key import Key, KeyHolder
from services.auth.domain.organization import Organization, OrganizationState, Subscription, User
from services.auth.domain.role import Role
from services.auth.store.rows import holder_of, key_of, organization_of, role_of

QUERIES: Final = load_queries(__package__)
CONSUMER: Final = "auth.events"  # the name under which messages are remembered

_TAKEN: Final = {
    "organizations_pkey": "An organization with this id exists already",
    "users_email_once": "A user with this e-mail address exists already",
    "roles_name_once": "A role of this name exists already",
    "keys_one_personal": "The user has an active personal key already",
}  # index: what its violation means


class PostgresKeyHolders:
    """The holders of keys, one indexed query a look-up."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(self, digests: Sequence[str]) -> KeyHolder | None:
        row = await self._db.fetchrow(QUERIES.find_holder, [bytes.fromhex(digest) for digest in digests])
        return None if row is None else holder_of(row)

    async def rewrite_digest(self, key: Key, *, pepper: str, digest: str) -> None:
        await self._db.execute(
            QUERIES.rewrite_digest, key.org_id, key.key_id, key.pepper, pepper, bytes.fromhex(digest)
        )

    async def count_by_pepper(self, now: datetime) -> dict[str, int]:
        """How many keys that still open something are stored under each pepper: one with none may leave the ring."""
        rows = await self._db.fetch(QUERIES.count_by_pepper, now)
        return {row["pepper"]: row["keys"] for row in rows}


class PostgresChange:
    """One transaction on one organization. The row lock makes `av` known before it is written."""

    def __init__(self, tx: Tx, organization: Organization) -> None:
        self.organization = organization
        self.av = organization.av + 1
        self._tx = tx
        self._org_id = organization.org_id
        self._has_written = False
        self._events: list[Message] = []
        self._cause: uuid.UUID | None = None

    async def accept_once(self, message_id: uuid.UUID) -> bool:
        self._cause = message_id
        return await accept_once(self._tx, CONSUMER, message_id)

    async def set_state(self, state: OrganizationState) -> None:
        await self._write(QUERIES.set_state, self._org_id, str(state))

    async def set_subscription(self, subscription: Subscription) -> None:
        await self._write(
            QUERIES.set_subscription,
            self._org_id,
            subscription.version,
            subscription.plan,
            subscription.status,
            subscription.per_minute,
            subscription.per_day,
            subscription.period_start,
            subscription.period_end,
        )

    async def add_user(self, user: User) -> None:
        await self._write(QUERIES.add_user, user.user_id, self._org_id, user.email, user.role_id)

    async def role_named(self, name: str) -> Role:
        row = await self._tx.fetchrow(QUERIES.find_role, self._org_id, name)
        return role_of(_found(row, "Role not found"))

    async def add_role(self, role: Role) -> None:
        await self._write(
            QUERIES.add_role, role.role_id, self._org_id, role.name, role.is_built_in, sorted(role.granted)
        )

    async def set_permissions(self, role: Role, permissions: frozenset[str]) -> None:
        await self._write(QUERIES.set_permissions, self._org_id, role.role_id, sorted(permissions))

    async def key(self, key_id: uuid.UUID) -> Key:
        row = await self._tx.fetchrow(QUERIES.get_key, self._org_id, key_id)
        return key_of(_found(row, "Key not found"))

    async def add_key(self, key: Key) -> None:
        await self._write(
            QUERIES.add_key,
            key.key_id,
            self._org_id,
            str(key.kind),
            bytes.fromhex(key.digest),
            key.pepper,
            key.start,
            key.label,
            key.role_id,
            None if key.scopes is None else sorted(key.scopes),
            key.user_id,
            key.model_id,
            key.api_version,
            key.key_per_minute,
            key.read_only,
            key.created_at,
            key.expires_at,
        )

    async def revoke_key(self, key_id: uuid.UUID, at: datetime) -> None:
        await self._write(QUERIES.revoke_key, self._org_id, key_id, at)

    def announce(self, event: Message) -> None:
        self._events.append(event)

    async def finish(self, outbox: Outbox) -> None:
        """Raise the auth version if anything was written, and put what is to be said into the outbox."""
        if self._has_written:
            await self._tx.execute(QUERIES.set_av, self._org_id, self.av)
            self._events.append(OrganizationChanged(org_id=self._org_id, av=self.av))
        for event in self._events:
            await outbox.add(self._tx, event, org_id=self._org_id, cause=self._cause)

    async def _write(self, sql: str, *args: object) -> None:
        self._has_written = True
        with _conflicts():
            await self._tx.execute(sql, *args)


class PostgresAccounts:
    """The organizations and what belongs to each."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def create(self, organization: Organization, roles: Sequence[Role], owner: User) -> None:
        async with self._db.transaction() as tx:
            with _conflicts():
                await tx.execute(
                    QUERIES.add_organization, organization.org_id, organization.name, organization.is_sandbox
                )
            change = PostgresChange(tx, organization)
            for role in roles:
                await change.add_role(role)
            await change.add_user(owner)
            await change.finish(self._outbox)

    @contextlib.asynccontextmanager
    async def change(self, org_id: uuid.UUID) -> AsyncIterator[PostgresChange]:
        async with self._db.transaction() as tx:
            change = PostgresChange(tx, _alive(await tx.fetchrow(QUERIES.lock_organization, org_id)))
            yield change
            await change.finish(self._outbox)

    async def organization(self, org_id: uuid.UUID) -> Organization:
        return _alive(await self._db.fetchrow(QUERIES.get_organization, org_id))

    async def organizations(self) -> list[Organization]:
        return [organization_of(row) for row in await self._db.fetch(QUERIES.list_organizations)]

    async def roles(self, org_id: uuid.UUID) -> list[Role]:
        return [role_of(row) for row in await self._db.fetch(QUERIES.list_roles, org_id)]

    async def keys(self, org_id: uuid.UUID) -> list[Key]:
        return [key_of(row) for row in await self._db.fetch(QUERIES.list_keys, org_id)]

    async def organization_of_key(self, key_id: uuid.UUID) -> uuid.UUID:
        row = await self._db.fetchrow(QUERIES.find_organization_of_key, key_id)
        found: uuid.UUID = _found(row, "Key not found")["org_id"]
        return found


def _found(row: Record | None, message: str) -> Record:
    if row is None:
        raise NotFound(message)
    return row


def _alive(row: Record | None) -> Organization:
    organization = organization_of(_found(row, "Organization not found"))
    if organization.state is OrganizationState.DELETED:
        raise OrganizationDeleted
    return organization


@contextlib.contextmanager
def _conflicts() -> Iterator[None]:
    try:
        yield
    except UniqueViolation as exc:
        if exc.constraint not in _TAKEN:
            raise
        raise Conflict(_TAKEN[exc.constraint]) from exc

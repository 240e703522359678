"""The ports of auth on Postgres. All SQL is in `queries.sql`, the way from rows to structs in `rows.py`."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from libs.common.contracts.auth import Actor, AuditEntry, OrganizationChanged
from libs.common.contracts.envelope import Message
from libs.common.db.errors import UniqueViolation
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from libs.common.db.tx import accept_once
from libs.common.ids import id_ms, uuid7
from services.auth.domain import audit
from services.auth.domain.audit import Deed
from services.auth.domain.errors import Conflict, NotFound, OrganizationDeleted
from services.auth.domain.grant import TokenHolder
from services.auth.domain.key import Key, KeyHolder, ListedKey
from services.auth.domain.organization import Organization, OrganizationState, Subscription, User, UserState
from services.auth.domain.role import OWNER, Role
from services.auth.domain.user import Invitation, InvitationView, ListedUser
from services.auth.store.app_rows import token_holder_of
from services.auth.store.app_writes import APPS, AppWrites
from services.auth.store.rows import (
    entry_of,
    holder_of,
    invitation_of,
    key_of,
    listed_key_of,
    listed_user_of,
    organization_of,
    role_of,
    user_of,
)
from services.auth.store.sign_in_writes import SignInWrites

QUERIES: Final = load_queries(__package__)
CONSUMER: Final = "auth.events"  # the name under which messages are remembered

_NO_PERSONAL_KEY: Final = "There is no personal key"
_TAKEN: Final = {
    "organizations_pkey": "An organization with this id exists already",
    "users_email_once": "A user with this e-mail address exists already",
    "users_email_in_organization": "A user with this e-mail address exists already",
    "roles_name_once": "A role of this name exists already",
    "keys_one_personal": "The user has an active personal key already",
    "app_domains_pkey": "The domain was named already",
}  # index: what its violation means


class PostgresKeyHolders:
    """The holders of keys, one indexed query a look-up."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(self, digests: Sequence[str]) -> KeyHolder | None:
        row = await self._db.fetchrow(QUERIES.find_holder, [bytes.fromhex(digest) for digest in digests])
        return None if row is None else holder_of(row)

    async def find_token(self, digests: Sequence[str]) -> TokenHolder | None:
        row = await self._db.fetchrow(APPS.find_token, [bytes.fromhex(digest) for digest in digests])
        return None if row is None else token_holder_of(row)

    async def rewrite_digest(self, key: Key, *, pepper: str, digest: str) -> None:
        await self._db.execute(
            QUERIES.rewrite_digest, key.org_id, key.key_id, key.pepper, pepper, bytes.fromhex(digest)
        )

    async def count_by_pepper(self, now: datetime) -> dict[str, int]:
        """How many keys that still open something are stored under each pepper: one with none may leave the ring."""
        rows = await self._db.fetch(QUERIES.count_by_pepper, now)
        return {row["pepper"]: row["keys"] for row in rows}


class PostgresChange(AppWrites, SignInWrites):
    """One transaction on one organization. The row lock makes `av` known before it is written."""

    def __init__(self, tx: Tx, organization: Organization, by: Actor | None) -> None:
        self.organization = organization
        self.av = organization.av + 1
        self._tx = tx
        self._by = by
        self._org_id = organization.org_id
        self._has_written = False
        self._deeds: list[tuple[uuid.UUID | None, Deed]] = []
        self._events: list[Message] = []
        self._cause: uuid.UUID | None = None

    @property
    def tx(self) -> Tx:
        """The transaction itself, for stores that write beside it."""
        return self._tx

    async def accept_once(self, message_id: uuid.UUID) -> bool:
        self._cause = message_id
        return await accept_once(self._tx, CONSUMER, message_id)

    async def set_state(self, state: OrganizationState) -> None:
        await self._write(QUERIES.set_state, self._org_id, str(state), deed=audit.state_set(self.organization, state))

    async def rename(self, name: str) -> None:
        deed = audit.organization_renamed(self.organization, name)
        await self._write(QUERIES.rename_organization, self._org_id, name, deed=deed)

    async def set_features(self, features: frozenset[str]) -> None:
        deed = audit.features_set(self.organization, features)
        await self._write(QUERIES.set_features, self._org_id, sorted(features), deed=deed)

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
            deed=None,
        )

    async def add_user(self, user: User) -> None:
        await self._write(
            QUERIES.add_user,
            user.user_id,
            self._org_id,
            user.email,
            user.role_id,
            str(user.state),
            deed=None if user.state is UserState.INVITED else audit.user_added(user),
        )

    async def user(self, user_id: uuid.UUID) -> User:
        row = await self._tx.fetchrow(QUERIES.get_user, self._org_id, user_id)
        return user_of(_found(row, "User not found"))

    async def user_with_email(self, email: str) -> User | None:
        row = await self._tx.fetchrow(QUERIES.find_user, self._org_id, email)
        return None if row is None else user_of(row)

    async def count_users(self) -> int:
        return int(await self._tx.fetchval(QUERIES.count_users, self._org_id))

    async def owners(self) -> list[User]:
        return [user_of(row) for row in await self._tx.fetch(QUERIES.list_owners, self._org_id, OWNER)]

    async def update_user(self, old: User, new: User) -> None:
        deed = audit.user_updated(old, new)
        await self._write(QUERIES.update_user, self._org_id, old.user_id, new.role_id, str(new.state), deed=deed)

    async def add_invitation(self, invitation: Invitation) -> None:
        await self._write(
            QUERIES.add_invitation,
            bytes.fromhex(invitation.digest),
            self._org_id,
            invitation.user_id,
            invitation.created_at,
            invitation.expires_at,
            deed=audit.user_invited(invitation),
        )

    async def end_invitation(self, user_id: uuid.UUID, at: datetime, *, digest: str | None = None) -> bool:
        wanted = None if digest is None else bytes.fromhex(digest)
        return bool(await self._tx.fetch(QUERIES.end_invitation, self._org_id, user_id, at, wanted))

    async def personal_keys(self, user_id: uuid.UUID) -> list[Key]:
        return [key_of(row) for row in await self._tx.fetch(QUERIES.list_personal_keys, self._org_id, user_id)]

    async def role_named(self, name: str) -> Role:
        row = await self._tx.fetchrow(QUERIES.find_role, self._org_id, name)
        return role_of(_found(row, "Role not found"))

    async def add_role(self, role: Role) -> None:
        await self._write(
            QUERIES.add_role,
            role.role_id,
            self._org_id,
            role.name,
            role.is_built_in,
            sorted(role.granted),
            deed=None if role.is_built_in else audit.role_created(role),
        )

    async def role(self, role_id: uuid.UUID) -> Role:
        row = await self._tx.fetchrow(QUERIES.get_role, self._org_id, role_id)
        return role_of(_found(row, "Role not found"))

    async def count_roles(self) -> int:
        return int(await self._tx.fetchval(QUERIES.count_roles, self._org_id))

    async def replace_role(self, old: Role, new: Role) -> None:
        deed = audit.role_replaced(old, new)
        await self._write(QUERIES.replace_role, self._org_id, old.role_id, new.name, sorted(new.granted), deed=deed)

    async def is_in_use(self, role: Role, now: datetime) -> bool:
        return bool(await self._tx.fetchval(QUERIES.role_is_in_use, self._org_id, role.role_id, now))

    async def remove_role(self, role: Role, at: datetime) -> None:
        await self._write(QUERIES.remove_role, self._org_id, role.role_id, at, deed=audit.role_removed(role))

    async def holder(self, key_id: uuid.UUID) -> KeyHolder:
        row = await self._tx.fetchrow(QUERIES.get_holder, self._org_id, key_id)
        return holder_of(_found(row, "Key not found"))

    async def count_keys(self, now: datetime) -> int:
        return int(await self._tx.fetchval(QUERIES.count_keys, self._org_id, now))

    async def key(self, key_id: uuid.UUID) -> Key:
        row = await self._tx.fetchrow(QUERIES.get_key, self._org_id, key_id)
        return key_of(_found(row, "Key not found"))

    async def add_key(self, key: Key, *, replaces: uuid.UUID | None = None) -> None:
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
            key.addresses,
            deed=audit.key_created(key, replaces),
        )

    async def update_key(self, old: Key, new: Key) -> None:
        await self._write(
            QUERIES.update_key,
            self._org_id,
            old.key_id,
            new.label,
            new.role_id,
            new.expires_at,
            new.addresses,
            deed=audit.key_updated(old, new),
        )

    async def revoke_key(self, key_id: uuid.UUID, at: datetime) -> None:
        await self._write(QUERIES.revoke_key, self._org_id, key_id, at, deed=audit.key_revoked(key_id))

    def announce(self, event: Message) -> None:
        self._events.append(event)

    async def finish(self, outbox: Outbox) -> None:
        """Raise the auth version if anything was written, log the deeds, and put what is to be said into the outbox."""
        for entry_id, deed in self._deeds:
            await self._log(entry_id or uuid7(), deed)
        if self._has_written:
            await self._tx.execute(QUERIES.set_av, self._org_id, self.av)
            self._events.append(OrganizationChanged(org_id=self._org_id, av=self.av))
        for event in self._events:
            await outbox.add(self._tx, event, org_id=self._org_id, cause=self._cause)

    def did(self, deed: Deed, *, entry_id: uuid.UUID | None = None) -> None:
        self._deeds.append((entry_id, deed))

    def touch(self) -> None:
        self._has_written = True

    async def _write(self, sql: str, *args: object, deed: Deed | None) -> None:
        self._has_written = True
        await self._note(sql, *args, deed=deed)

    async def _note(self, sql: str, *args: object, deed: Deed | None) -> None:
        with _conflicts():
            await self._tx.execute(sql, *args)
        if deed is not None:
            self.did(deed)

    async def _log(self, entry_id: uuid.UUID, deed: Deed) -> None:
        by = self._by or Actor()
        await self._tx.execute(
            QUERIES.add_audit, entry_id, self._org_id, deed.action, deed.object_id, audit.actor_of(by), by.key_id, by.user_id,
            by.address, deed.details, datetime.fromtimestamp(id_ms(entry_id) / 1_000, UTC),
        )  # fmt: skip


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
            change = PostgresChange(tx, organization, None)
            change.did(audit.organization_created(organization))
            for role in roles:
                await change.add_role(role)
            await change.add_user(owner)
            await change.finish(self._outbox)

    @contextlib.asynccontextmanager
    async def change(self, org_id: uuid.UUID, by: Actor | None = None) -> AsyncIterator[PostgresChange]:
        async with self._db.transaction() as tx:
            change = PostgresChange(tx, _alive(await tx.fetchrow(QUERIES.lock_organization, org_id)), by)
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

    async def listed_key(self, org_id: uuid.UUID, key_id: uuid.UUID) -> ListedKey:
        row = await self._db.fetchrow(QUERIES.get_listed_key, org_id, key_id)
        return listed_key_of(_found(row, "Key not found"))

    async def key_page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[list[ListedKey], int]:
        rows = await self._db.fetch(QUERIES.page_keys, org_id, limit, offset)
        total = int(await self._db.fetchval(QUERIES.count_all_keys, org_id))
        return [listed_key_of(row) for row in rows], total

    async def personal_key(self, org_id: uuid.UUID, user_id: uuid.UUID) -> Key:
        row = await self._db.fetchrow(QUERIES.list_personal_keys, org_id, user_id)
        return key_of(_found(row, _NO_PERSONAL_KEY))

    async def user_page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[list[ListedUser], int]:
        rows = await self._db.fetch(QUERIES.page_users, org_id, limit, offset)
        total = int(await self._db.fetchval(QUERIES.count_users, org_id))
        return [listed_user_of(row) for row in rows], total

    async def listed_user(self, org_id: uuid.UUID, user_id: uuid.UUID) -> ListedUser:
        row = await self._db.fetchrow(QUERIES.get_listed_user, org_id, user_id)
        return listed_user_of(_found(row, "User not found"))

    async def find_invitation(self, digest: str, now: datetime) -> InvitationView | None:
        row = await self._db.fetchrow(QUERIES.find_invitation, bytes.fromhex(digest), now)
        return None if row is None else invitation_of(row)

    async def audit_page(self, org_id: uuid.UUID, *, limit: int, before: uuid.UUID | None) -> list[AuditEntry]:
        rows = await self._db.fetch(QUERIES.page_audit, org_id, limit, before)
        return [entry_of(row) for row in rows]

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

"""For tests of auth: its ports in memory, valid objects with one thing changed, and a clock that stands still."""

import asyncio
import contextlib
import copy
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from libs.common.contracts.auth import Actor, AuditEntry, KeyDigest, OrganizationChanged
from libs.common.contracts.envelope import Message
from libs.common.ids import uuid7
from libs.common.peppers import PepperRing
from services.auth.domain import audit
from services.auth.domain.audit import Deed
from services.auth.domain.errors import Conflict, NotFound, OrganizationDeleted
from services.auth.domain.key import Key, KeyHolder, KeyKind, KeyState, ListedKey
from services.auth.domain.organization import Organization, OrganizationState, Subscription, User, UserState
from services.auth.domain.role import BUILT_IN_ROLES, Role

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RING_TEXT = "b:" + "b0" * 32 + ",a:" + "a0" * 32
RING = PepperRing.parse(RING_TEXT)
OLD_RING = PepperRing.parse("a:" + "a0" * 32)


class StandingClock:
    """The time that the test says it is."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def now_ms(self) -> int:
        return int(self.time.timestamp() * 1000)

    def stopwatch_ms(self) -> int:
        return self.now_ms()

    def pass_time(self, **parts: int) -> None:
        """`pass_time(days=1)`."""
        self.time += timedelta(**parts)


def digests_of(text: str, ring: PepperRing = RING) -> tuple[KeyDigest, ...]:
    """What an edge with `ring` asks about the key `text`."""
    return tuple(KeyDigest(pepper=pepper, digest=digest) for pepper, digest in ring.digests(text))


def a_key(org_id: uuid.UUID, role: Role | None, **changed: object) -> Key:
    """An active organization key (a personal one if `role` is None and a user and scopes are given)."""
    key = Key(
        key_id=uuid7(),
        org_id=org_id,
        kind=KeyKind.ORGANIZATION if role else KeyKind.PERSONAL,
        digest=uuid.uuid4().hex * 2,
        pepper="b",
        start="fgk_Abcd" if role else "fgu_Abcd",
        label="a label",
        created_at=NOW,
        role_id=role.role_id if role else None,
    )
    return msgspec.structs.replace(key, **changed)


async def an_organization(accounts: "MemoryAccounts | object", **changed: object) -> Organization:
    """A new, active organization in `accounts`, with the built-in roles and an owner."""
    organization = msgspec.structs.replace(Organization(org_id=uuid7(), name="Example"), **changed)
    roles = [Role(role_id=uuid7(), org_id=organization.org_id, name=name, is_built_in=True) for name in BUILT_IN_ROLES]
    owner = User(
        user_id=uuid7(),
        org_id=organization.org_id,
        email=f"{organization.org_id}@example.test",
        role_id=roles[0].role_id,
    )
    await accounts.create(organization, roles, owner)  # type: ignore[union-attr]
    return organization


class _Tables(msgspec.Struct, kw_only=True):
    organizations: dict[uuid.UUID, Organization] = {}
    users: dict[uuid.UUID, User] = {}
    roles: dict[uuid.UUID, Role] = {}
    keys: dict[uuid.UUID, Key] = {}
    inbox: set[uuid.UUID] = set()
    events: list[Message] = []
    removed_roles: dict[uuid.UUID, datetime] = {}
    audit: list[AuditEntry] = []
    audit_of: dict[uuid.UUID, uuid.UUID] = {}  # entry -> organization


def _holder_of(tables: _Tables, key: Key) -> KeyHolder:
    return KeyHolder(
        key=key,
        organization=tables.organizations[key.org_id],
        role=None if key.role_id is None else tables.roles[key.role_id],
        user_state=None if key.user_id is None else tables.users[key.user_id].state,
    )


class MemoryChange:
    """A change works on a copy of the tables, which takes their place at the commit."""

    def __init__(self, tables: _Tables, organization: Organization, by: Actor | None = None) -> None:
        self._by = by or Actor()
        self.organization = organization
        self.av = organization.av + 1
        self._tables = tables
        self._org_id = organization.org_id
        self._has_written = False

    async def accept_once(self, message_id: uuid.UUID) -> bool:
        is_new = message_id not in self._tables.inbox
        self._tables.inbox.add(message_id)
        return is_new

    async def set_state(self, state: OrganizationState) -> None:
        self._replace(state=state)
        self.did(audit.state_set(self.organization, state))

    async def rename(self, name: str) -> None:
        self._replace(name=name)
        self.did(audit.organization_renamed(self.organization, name))

    async def set_subscription(self, subscription: Subscription) -> None:
        self._replace(subscription=subscription)

    async def add_user(self, user: User) -> None:
        taken = {each.email.lower() for each in self._tables.users.values() if each.state is not UserState.REMOVED}
        if user.email.lower() in taken:
            raise Conflict
        self._tables.users[user.user_id] = user
        self.did(audit.user_added(user))
        self._has_written = True

    async def role_named(self, name: str) -> Role:
        for role in self._tables.roles.values():
            if role.org_id == self._org_id and role.name.lower() == name.lower() and self._stands(role):
                return role
        raise NotFound("Role not found")

    async def add_role(self, role: Role) -> None:
        with contextlib.suppress(NotFound):
            await self.role_named(role.name)
            raise Conflict
        self._tables.roles[role.role_id] = role
        self._has_written = True
        if not role.is_built_in:
            self.did(audit.role_created(role))

    async def role(self, role_id: uuid.UUID) -> Role:
        role = self._tables.roles.get(role_id)
        if role is None or role.org_id != self._org_id or not self._stands(role):
            raise NotFound("Role not found")
        return role

    async def count_roles(self) -> int:
        return sum(role.org_id == self._org_id and self._stands(role) for role in self._tables.roles.values())

    async def replace_role(self, old: Role, new: Role) -> None:
        with contextlib.suppress(NotFound):
            if (await self.role_named(new.name)).role_id != old.role_id:
                raise Conflict
        self._tables.roles[old.role_id] = new
        self._has_written = True
        self.did(audit.role_replaced(old, new))

    async def is_in_use(self, role: Role, now: datetime) -> bool:
        keys = any(
            key.role_id == role.role_id and key.state(now) is KeyState.ACTIVE for key in self._tables.keys.values()
        )
        return keys or any(
            user.role_id == role.role_id and user.state is not UserState.REMOVED for user in self._tables.users.values()
        )

    async def remove_role(self, role: Role, at: datetime) -> None:
        self._tables.removed_roles[role.role_id] = at
        self._has_written = True
        self.did(audit.role_removed(role))

    async def holder(self, key_id: uuid.UUID) -> KeyHolder:
        return _holder_of(self._tables, await self.key(key_id))

    async def count_keys(self, now: datetime) -> int:
        mine = [key for key in self._tables.keys.values() if key.org_id == self._org_id]
        return sum(key.state(now) is KeyState.ACTIVE for key in mine)

    def _stands(self, role: Role) -> bool:
        return role.role_id not in self._tables.removed_roles

    async def key(self, key_id: uuid.UUID) -> Key:
        key = self._tables.keys.get(key_id)
        if key is None or key.org_id != self._org_id:
            raise NotFound("Key not found")
        return key

    async def add_key(self, key: Key, *, replaces: uuid.UUID | None = None) -> None:
        if key.kind is KeyKind.PERSONAL and any(
            each.user_id == key.user_id and each.kind is KeyKind.PERSONAL and each.revoked_at is None
            for each in self._tables.keys.values()
        ):
            raise Conflict
        self._tables.keys[key.key_id] = key
        self._has_written = True
        self.did(audit.key_created(key, replaces))

    async def update_key(self, old: Key, new: Key) -> None:
        self._tables.keys[old.key_id] = new
        self._has_written = True
        self.did(audit.key_updated(old, new))

    async def revoke_key(self, key_id: uuid.UUID, at: datetime) -> None:
        key = await self.key(key_id)
        if key.revoked_at is None:
            self._tables.keys[key_id] = msgspec.structs.replace(key, revoked_at=at)
        self._has_written = True
        self.did(audit.key_revoked(key_id))

    def announce(self, event: Message) -> None:
        self._tables.events.append(event)

    def did(self, deed: Deed) -> None:
        """One more line of the audit log."""
        self._tables.audit.append(
            AuditEntry(
                entry_id=uuid7(),
                at=NOW,
                action=deed.action,
                object_id=deed.object_id,
                by="operator" if self._by.key_id is None else "key",
                key_id=self._by.key_id,
                user_id=self._by.user_id,
                address=self._by.address,
                details=deed.details,
            )
        )
        self._tables.audit_of[self._tables.audit[-1].entry_id] = self._org_id

    def finish(self) -> None:
        if self._has_written:
            self._replace(av=self.av)
            self._tables.events.append(OrganizationChanged(org_id=self._org_id, av=self.av))

    def _replace(self, **fields: object) -> None:
        row = self._tables.organizations[self._org_id]
        self._tables.organizations[self._org_id] = msgspec.structs.replace(row, **fields)
        self._has_written = True


class MemoryAccounts:
    """`Accounts` and `KeyHolders` in memory; `events` is what would be on the bus, in order."""

    def __init__(self) -> None:
        self._tables = _Tables()
        self._lock = asyncio.Lock()

    @property
    def events(self) -> list[Message]:
        return self._tables.events

    async def create(self, organization: Organization, roles: Sequence[Role], owner: User) -> None:
        async with self._transaction() as tables:
            if organization.org_id in tables.organizations:
                raise Conflict
            tables.organizations[organization.org_id] = organization
            change = MemoryChange(tables, organization)
            change.did(audit.organization_created(organization))
            for role in roles:
                await change.add_role(role)
            await change.add_user(owner)
            change.finish()

    @contextlib.asynccontextmanager
    async def change(self, org_id: uuid.UUID, by: Actor | None = None) -> AsyncIterator[MemoryChange]:
        async with self._transaction() as tables:
            change = MemoryChange(tables, self._alive(org_id), by)
            yield change
            change.finish()

    async def organization(self, org_id: uuid.UUID) -> Organization:
        return self._alive(org_id)

    async def organizations(self) -> list[Organization]:
        return list(reversed(self._tables.organizations.values()))

    async def roles(self, org_id: uuid.UUID) -> list[Role]:
        removed = self._tables.removed_roles
        own = [role for role in self._tables.roles.values() if role.org_id == org_id and role.role_id not in removed]
        return sorted(own, key=lambda role: (not role.is_built_in, role.name.lower()))

    async def keys(self, org_id: uuid.UUID) -> list[Key]:
        own = [key for key in self._tables.keys.values() if key.org_id == org_id]
        return sorted(own, key=lambda key: (key.created_at, key.key_id), reverse=True)

    async def listed_key(self, org_id: uuid.UUID, key_id: uuid.UUID) -> ListedKey:
        key = self._tables.keys.get(key_id)
        if key is None or key.org_id != org_id:
            raise NotFound("Key not found")
        return ListedKey(key=key, role_name=None if key.role_id is None else self._tables.roles[key.role_id].name)

    async def key_page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[list[ListedKey], int]:
        own = await self.keys(org_id)
        return [await self.listed_key(org_id, key.key_id) for key in own[offset : offset + limit]], len(own)

    async def audit_page(self, org_id: uuid.UUID, *, limit: int, before: uuid.UUID | None) -> list[AuditEntry]:
        own = [each for each in reversed(self._tables.audit) if self._tables.audit_of[each.entry_id] == org_id]
        return [each for each in own if before is None or each.entry_id < before][:limit]

    async def organization_of_key(self, key_id: uuid.UUID) -> uuid.UUID:
        if key_id not in self._tables.keys:
            raise NotFound("Key not found")
        return self._tables.keys[key_id].org_id

    async def find(self, digests: Sequence[str]) -> KeyHolder | None:
        for key in self._tables.keys.values():
            if key.digest in digests:
                return _holder_of(self._tables, key)
        return None

    async def rewrite_digest(self, key: Key, *, pepper: str, digest: str) -> None:
        stored = self._tables.keys[key.key_id]
        if stored.pepper == key.pepper:
            self._tables.keys[key.key_id] = msgspec.structs.replace(stored, pepper=pepper, digest=digest)

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[_Tables]:
        async with self._lock:
            copied = copy.deepcopy(self._tables)
            yield copied
            self._tables = copied

    def _alive(self, org_id: uuid.UUID) -> Organization:
        organization = self._tables.organizations.get(org_id)
        if organization is None:
            raise NotFound("Organization not found")
        if organization.state is OrganizationState.DELETED:
            raise OrganizationDeleted
        return organization

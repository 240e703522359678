"""The ports of auth in memory: a change works on a copy, which takes the place of what was there at the commit."""

import asyncio
import contextlib
import copy
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec

from libs.common.contracts.auth import Actor, AuditEntry, OrganizationChanged
from libs.common.contracts.envelope import Message
from libs.common.contracts.webhooks import Announcement, Attempt
from libs.common.ids import id_ms, uuid7
from services.auth.domain import app_audit, audit
from services.auth.domain.app import App, Domain, Secret
from services.auth.domain.audit import Deed
from services.auth.domain.errors import Conflict, NotFound, OrganizationDeleted
from services.auth.domain.grant import Code, Grant, Token, TokenHolder
from services.auth.domain.key import Key, KeyHolder, KeyKind, KeyState, ListedKey
from services.auth.domain.organization import Organization, OrganizationState, Subscription, User, UserState
from services.auth.domain.role import Role
from services.auth.domain.sign_in import BrowserSession, PasswordLink
from services.auth.domain.user import Invitation, InvitationView, ListedUser, is_owner
from services.auth.domain.webhook import Endpoint
from services.auth.domain.webhook_events import Event
from tests.support.auth import NOW


class Signer(msgspec.Struct):
    """A secret of an endpoint."""

    secret: str
    created_at: datetime
    ends_at: datetime | None = None


class Underway(msgspec.Struct):
    """A delivery's row."""

    delivery_id: uuid.UUID
    webhook_id: uuid.UUID
    event_id: uuid.UUID
    state: str
    created_at: datetime
    finished_at: datetime | None = None
    begun_at: datetime | None = None
    tries: int = 0  # of this ladder
    attempts: list[Attempt] = []


class Line(msgspec.Struct):
    """What waits for an endpoint about one entity."""

    line_id: int
    due_at: datetime
    claimed_until: datetime | None = None


class Tables(msgspec.Struct, kw_only=True):
    """All that is kept."""

    organizations: dict[uuid.UUID, Organization] = {}
    users: dict[uuid.UUID, User] = {}
    roles: dict[uuid.UUID, Role] = {}
    keys: dict[uuid.UUID, Key] = {}
    inbox: set[uuid.UUID] = set()
    events: list[Message] = []
    invitations: dict[uuid.UUID, Invitation] = {}  # open ones, by user
    passwords: dict[uuid.UUID, str] = {}
    removed_roles: dict[uuid.UUID, datetime] = {}
    audit: list[AuditEntry] = []
    audit_of: dict[uuid.UUID, uuid.UUID] = {}  # entry -> organization
    # of apps and sign-in (`auth_app_memory.py`)
    apps: dict[uuid.UUID, App] = {}
    domains: dict[uuid.UUID, dict[str, Domain]] = {}  # by app
    secrets: dict[uuid.UUID, tuple[uuid.UUID, Secret]] = {}  # with the app
    grants: dict[uuid.UUID, Grant] = {}
    codes: dict[str, Code] = {}
    tokens: dict[uuid.UUID, Token] = {}
    password_links: dict[str, PasswordLink] = {}  # open ones
    sessions: dict[uuid.UUID, BrowserSession] = {}
    # of webhooks (`auth_webhook_memory.py`)
    endpoints: dict[uuid.UUID, Endpoint] = {}
    signers: dict[uuid.UUID, list[Signer]] = {}  # by endpoint, oldest first
    heralded: dict[uuid.UUID, Event] = {}
    deliveries: dict[uuid.UUID, Underway] = {}
    heralded_at: dict[uuid.UUID, datetime] = {}
    lines: dict[tuple[uuid.UUID, str], Line] = {}
    last_line: int = 0
    announcements: list[Announcement] = []


def _holder_of(tables: Tables, key: Key) -> KeyHolder:
    return KeyHolder(
        key=key,
        organization=tables.organizations[key.org_id],
        role=None if key.role_id is None else tables.roles[key.role_id],
        user_state=None if key.user_id is None else tables.users[key.user_id].state,
    )


class MemoryChange:
    """A change works on a copy of the tables, which takes their place at the commit."""

    def __init__(self, tables: Tables, organization: Organization, by: Actor | None = None) -> None:
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

    async def set_features(self, features: frozenset[str]) -> None:
        self._replace(features=features)
        self.did(audit.features_set(self.organization, features))

    async def set_subscription(self, subscription: Subscription) -> None:
        self._replace(subscription=subscription)

    async def add_user(self, user: User) -> None:
        if await self.user_with_email(user.email) is not None:
            raise Conflict
        self._check_address(user)
        self._tables.users[user.user_id] = user
        if user.state is not UserState.INVITED:
            self.did(audit.user_added(user))
        self._has_written = True

    async def user(self, user_id: uuid.UUID) -> User:
        user = self._tables.users.get(user_id)
        if user is None or user.org_id != self._org_id or user.state is UserState.REMOVED:
            raise NotFound("User not found")
        return user

    async def user_with_email(self, email: str) -> User | None:
        return next((user for user in self._users() if user.email.lower() == email.lower()), None)

    async def count_users(self) -> int:
        return len(self._users())

    async def owners(self) -> list[User]:
        return [user for user in self._users() if is_owner(user, self._tables.roles[user.role_id])]

    async def update_user(self, old: User, new: User) -> None:
        self._check_address(new)
        self._tables.users[old.user_id] = new
        self.did(audit.user_updated(old, new))
        self._has_written = True

    async def add_invitation(self, invitation: Invitation) -> None:
        self._tables.invitations[invitation.user_id] = invitation
        self.did(audit.user_invited(invitation))
        self._has_written = True

    async def end_invitation(self, user_id: uuid.UUID, at: datetime, *, digest: str | None = None) -> bool:
        found = self._tables.invitations.get(user_id)
        if found is None or (digest is not None and (found.digest != digest or found.expires_at <= at)):
            return False
        del self._tables.invitations[user_id]
        return True

    async def set_password(self, user_id: uuid.UUID, digest: str, at: datetime) -> None:
        self._tables.passwords[user_id] = digest
        self.did(app_audit.password_set(user_id))

    async def personal_keys(self, user_id: uuid.UUID) -> list[Key]:
        return [
            key
            for key in self._tables.keys.values()
            if key.user_id == user_id and key.kind is KeyKind.PERSONAL and key.revoked_at is None
        ]

    def _users(self) -> list[User]:
        mine = [user for user in self._tables.users.values() if user.org_id == self._org_id]
        return [user for user in mine if user.state is not UserState.REMOVED]

    def _check_address(self, wanted: User) -> None:
        """An address is one active or suspended user's, whichever organization's."""
        here = {UserState.ACTIVE, UserState.SUSPENDED}
        if wanted.state in here and any(
            user.email.lower() == wanted.email.lower() and user.state in here and user.user_id != wanted.user_id
            for user in self._tables.users.values()
        ):
            raise Conflict

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

    def did(self, deed: Deed, *, entry_id: uuid.UUID | None = None) -> None:
        self._tables.audit.append(
            AuditEntry(
                entry_id=entry_id or uuid7(),
                at=NOW if entry_id is None else datetime.fromtimestamp(id_ms(entry_id) / 1_000, UTC),
                action=deed.action,
                object_id=deed.object_id,
                by=audit.actor_of(self._by),
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
        self._tables = Tables()
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

    async def personal_key(self, org_id: uuid.UUID, user_id: uuid.UUID) -> Key:
        for key in self._tables.keys.values():
            if (key.org_id, key.user_id, key.revoked_at) == (org_id, user_id, None):
                return key
        raise NotFound("There is no personal key")

    async def user_page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[list[ListedUser], int]:
        own = [user for user in self._tables.users.values() if user.org_id == org_id]
        own = [user for user in own if user.state is not UserState.REMOVED]
        return [await self.listed_user(org_id, user.user_id) for user in own[offset : offset + limit]], len(own)

    async def listed_user(self, org_id: uuid.UUID, user_id: uuid.UUID) -> ListedUser:
        user = self._tables.users.get(user_id)
        if user is None or user.org_id != org_id:
            raise NotFound("User not found")
        link = self._tables.invitations.get(user_id)
        return ListedUser(
            user=user,
            role_name=self._tables.roles[user.role_id].name,
            created_at=NOW,
            invited_until=None if link is None else link.expires_at,
        )

    async def find_invitation(self, digest: str, now: datetime) -> InvitationView | None:
        for link in self._tables.invitations.values():
            organization = self._tables.organizations[link.org_id]
            if link.digest == digest and link.expires_at > now and organization.state is OrganizationState.ACTIVE:
                listed = await self.listed_user(link.org_id, link.user_id)
                return InvitationView(
                    invitation=link,
                    organization=organization.name,
                    email=listed.user.email,
                    role_name=listed.role_name,
                )
        return None

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

    async def find_token(self, digests: Sequence[str]) -> TokenHolder | None:
        return None  # of a memory without apps

    async def rewrite_digest(self, key: Key, *, pepper: str, digest: str) -> None:
        stored = self._tables.keys[key.key_id]
        if stored.pepper == key.pepper:
            self._tables.keys[key.key_id] = msgspec.structs.replace(stored, pepper=pepper, digest=digest)

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Tables]:
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

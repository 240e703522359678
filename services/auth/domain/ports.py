"""What the use cases of auth need from outside: who holds a key, and the organizations with all that belongs to them."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from libs.common.contracts.auth import Actor, AuditEntry
from libs.common.contracts.edge import CallsCounted
from libs.common.contracts.envelope import Message
from libs.common.contracts.personal_keys import CallSeen
from services.auth.domain.audit import Deed
from services.auth.domain.grant import TokenHolder
from services.auth.domain.key import Key, KeyHolder, ListedKey
from services.auth.domain.organization import Organization, OrganizationState, Subscription, User
from services.auth.domain.role import Role
from services.auth.domain.user import Invitation, InvitationView, ListedUser


class KeyHolders(Protocol):
    """Finding who is behind a key. The one look-up that starts without an organization: the key tells which."""

    async def find(self, digests: Sequence[str]) -> KeyHolder | None:
        """The holder of the key stored under one of `digests`, whatever its state; all of it as of one instant."""
        ...

    async def find_token(self, digests: Sequence[str]) -> TokenHolder | None:
        """The same of an app's token; there is none of both."""
        ...

    async def rewrite_digest(self, key: Key, *, pepper: str, digest: str) -> None:
        """Store `key` under another pepper. Idempotent: of several callers at once one writes. Leaves `av` alone."""
        ...


class Change(Protocol):
    """One transaction on one organization, whose row it holds: changes of an organization happen one after another.

    Every write leaves its line in the audit log, in the same transaction (`audit.py`), but for billing's word on the plan.
    Writing anything raises the organization's auth version by one, once, and says so on the bus (`auth.org.changed.v1`);
    a change that writes nothing does neither. Everything is inside the organization: a foreign object is not found.
    """

    organization: Organization  # as it was found
    av: int  # the auth version that holds once something was written

    async def accept_once(self, message_id: uuid.UUID) -> bool:
        """Whether the message that led here is new; False = it had its effect before."""
        ...

    async def set_state(self, state: OrganizationState) -> None: ...

    async def rename(self, name: str) -> None: ...

    async def set_features(self, features: frozenset[str]) -> None: ...

    async def set_subscription(self, subscription: Subscription) -> None: ...

    async def add_user(self, user: User) -> None:
        """Raises Conflict when a user, of whichever organization, has the address, or somebody invited here."""
        ...

    async def user(self, user_id: uuid.UUID) -> User:
        """Raises NotFound, also for a user of another organization or one that was removed."""
        ...

    async def user_with_email(self, email: str) -> User | None:
        """Who has the address here, in any case of letters, invited or not; removed ones have none."""
        ...

    async def count_users(self) -> int:
        """Users that were not removed, invited ones among them."""
        ...

    async def owners(self) -> list[User]:
        """Active users with the built-in role of owners."""
        ...

    async def update_user(self, old: User, new: User) -> None:
        """Role and state of `new` from now on. Raises Conflict when somebody joins whose address another user has."""
        ...

    async def add_invitation(self, invitation: Invitation) -> None:
        """A link for a user who has no open one."""
        ...

    async def end_invitation(self, user_id: uuid.UUID, at: datetime, *, digest: str | None = None) -> bool:
        """The user's open link, or the one with this digest, works no more. False: there was none, or it had expired."""
        ...

    async def set_password(self, user_id: uuid.UUID, digest: str, at: datetime) -> None:
        """Moves nobody's rights."""
        ...

    async def personal_keys(self, user_id: uuid.UUID) -> list[Key]:
        """The user's own keys that were not revoked."""
        ...

    async def role_named(self, name: str) -> Role:
        """The role called so, in any case of letters. Raises NotFound."""
        ...

    async def add_role(self, role: Role) -> None:
        """Raises Conflict when the organization has a role of that name, in any case of letters."""
        ...

    async def role(self, role_id: uuid.UUID) -> Role:
        """Raises NotFound, also for a role of another organization or one that was removed."""
        ...

    async def count_roles(self) -> int:
        """Roles there are, built-in ones among them."""
        ...

    async def replace_role(self, old: Role, new: Role) -> None:
        """Name and permissions of `new` from now on. Raises Conflict for a name in use."""
        ...

    async def is_in_use(self, role: Role, now: datetime) -> bool:
        """Whether a key that still opens something, or a user who was not removed, has the role."""
        ...

    async def remove_role(self, role: Role, at: datetime) -> None: ...

    async def holder(self, key_id: uuid.UUID) -> KeyHolder:
        """A key of the organization with all that it speaks for, as of now. Raises NotFound."""
        ...

    async def count_keys(self, now: datetime) -> int:
        """Keys that still open something."""
        ...

    async def key(self, key_id: uuid.UUID) -> Key:
        """Raises NotFound, also for a key of another organization."""
        ...

    async def add_key(self, key: Key, *, replaces: uuid.UUID | None = None) -> None:
        """Raises Conflict for a second active personal key of one user."""
        ...

    async def update_key(self, old: Key, new: Key) -> None:
        """Label, role, expiry and addresses of `new` from now on."""
        ...

    async def revoke_key(self, key_id: uuid.UUID, at: datetime) -> None:
        """The key opens nothing from the commit on. A key revoked earlier keeps its date."""
        ...

    def did(self, deed: Deed, *, entry_id: uuid.UUID | None = None) -> None:
        """Log something that no write here tells. `entry_id`, a UUIDv7, is its id and time; else it happened now."""
        ...

    def announce(self, event: Message) -> None:
        """Publish `event` if, and only if, this change commits."""
        ...


class Accounts(Protocol):
    """The organizations and what belongs to each: users, roles, keys."""

    async def create(self, organization: Organization, roles: Sequence[Role], owner: User) -> None:
        """Store a new organization whole, and announce it. Raises Conflict when its id or its owner's address is taken."""
        ...

    def change(self, org_id: uuid.UUID, by: Actor | None = None) -> AbstractAsyncContextManager[Change]:
        """A transaction on one organization: commits when the block ends, rolls back when it raises. `by` is whom the audit
        log names; None: the operator.

        Raises NotFound on entry; OrganizationDeleted, a NotFound too, when it is there no more.
        """
        ...

    async def organization(self, org_id: uuid.UUID) -> Organization:
        """Raises NotFound; OrganizationDeleted when it is there no more."""
        ...

    async def organizations(self) -> list[Organization]:
        """All of them, deleted ones too, newest first. For the operator only."""
        ...

    async def roles(self, org_id: uuid.UUID) -> list[Role]:
        """Built-in ones first, then by name."""
        ...

    async def listed_key(self, org_id: uuid.UUID, key_id: uuid.UUID) -> ListedKey:
        """Raises NotFound, also for a key of another organization."""
        ...

    async def key_page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[list[ListedKey], int]:
        """Newest first, revoked ones too; and how many there are on all pages."""
        ...

    async def personal_key(self, org_id: uuid.UUID, user_id: uuid.UUID) -> Key:
        """The one key of a user that was not revoked. Raises NotFound."""
        ...

    async def user_page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[list[ListedUser], int]:
        """Oldest first, without removed ones; and how many there are on all pages."""
        ...

    async def listed_user(self, org_id: uuid.UUID, user_id: uuid.UUID) -> ListedUser:
        """Removed ones too. Raises NotFound, also for a user of another organization."""
        ...

    async def find_invitation(self, digest: str, now: datetime) -> InvitationView | None:
        """The open link with this digest that has not expired by `now`. The token is the caller's only word: no organization."""
        ...

    async def audit_page(self, org_id: uuid.UUID, *, limit: int, before: uuid.UUID | None) -> list[AuditEntry]:
        """The audit log, newest first: entries before the entry `before`."""
        ...

    async def keys(self, org_id: uuid.UUID) -> list[Key]:
        """Newest first, revoked ones too."""
        ...

    async def organization_of_key(self, key_id: uuid.UUID) -> uuid.UUID:
        """Whose key it is. Raises NotFound. For the operator only: everybody else names the organization first."""
        ...


class CallRecords(Protocol):
    """What edges told of calls; seconds late, and nothing is charged by it."""

    async def record(self, message: CallsCounted, message_id: uuid.UUID) -> None:
        """Add it up, once for each message. What belongs to no key that is known here is left out."""
        ...

    async def page(
        self, org_id: uuid.UUID, key_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
    ) -> list[CallSeen]:
        """A key's single calls, newest first: those before the call `before`."""
        ...

    async def forget(self, before: datetime) -> int:
        """Drop a portion of the single calls from before a date; how many."""
        ...

"""From rows to the structs of the domain; the column names are those that `queries.sql` gives."""

from libs.common.contracts.auth import AuditEntry
from libs.common.db.pool import Record
from services.auth.domain.key import Key, KeyHolder, KeyKind, ListedKey
from services.auth.domain.organization import Organization, OrganizationState, Subscription, User, UserState
from services.auth.domain.role import Role
from services.auth.domain.user import Invitation, InvitationView, ListedUser


def organization_of(row: Record) -> Organization:
    """The organization in a row."""
    return Organization(
        org_id=row["org_id"],
        name=row["org_name"],
        state=OrganizationState(row["org_state"]),
        is_sandbox=row["is_sandbox"],
        read_only=row["org_read_only"],
        features=frozenset(row["features"]),
        av=row["av"],
        subscription=Subscription(
            version=row["subscription_version"],
            plan=row["plan"],
            status=row["subscription"],
            per_minute=row["per_minute"],
            per_day=row["per_day"],
            period_start=row["period_start"],
            period_end=row["period_end"],
        ),
    )


def role_of(row: Record) -> Role:
    """The role in a row."""
    return Role(
        role_id=row["role_id"],
        org_id=row["org_id"],
        name=row["role_name"],
        is_built_in=row["is_built_in"],
        granted=frozenset(row["permissions"]),
    )


def key_of(row: Record) -> Key:
    """The key in a row."""
    return Key(
        key_id=row["key_id"],
        org_id=row["org_id"],
        kind=KeyKind(row["kind"]),
        digest=row["digest"].hex(),
        pepper=row["pepper"],
        start=row["start"],
        label=row["label"],
        created_at=row["created_at"],
        role_id=row["role_id"],
        scopes=None if row["scopes"] is None else frozenset(row["scopes"]),
        user_id=row["user_id"],
        model_id=row["model_id"],
        api_version=row["api_version"],
        key_per_minute=row["key_per_minute"],
        read_only=row["read_only"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        addresses=tuple(str(network) for network in row["addresses"]),
        last_used_at=row["last_used_at"],
    )


def user_of(row: Record) -> User:
    """The user in a row."""
    return User(
        user_id=row["user_id"],
        org_id=row["org_id"],
        email=row["email"],
        role_id=row["role_id"],
        state=UserState(row["state"]),
    )


def listed_user_of(row: Record) -> ListedUser:
    """The user in a row, with the role's name and the open link's end."""
    return ListedUser(
        user=user_of(row),
        role_name=row["role_name"],
        created_at=row["created_at"],
        invited_until=row["invited_until"],
    )


def invitation_of(row: Record) -> InvitationView:
    """The link in a row and what it says."""
    return InvitationView(
        invitation=Invitation(
            digest=row["digest"].hex(),
            org_id=row["org_id"],
            user_id=row["user_id"],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
        ),
        organization=row["org_name"],
        email=row["email"],
        role_name=row["role_name"],
    )


def listed_key_of(row: Record) -> ListedKey:
    """The key in a row and its role's name."""
    return ListedKey(key=key_of(row), role_name=row["role_name"])


def entry_of(row: Record) -> AuditEntry:
    """The line of the audit log in a row."""
    return AuditEntry(
        entry_id=row["entry_id"],
        at=row["at"],
        action=row["action"],
        object_id=row["object_id"],
        by=row["actor"],
        key_id=row["key_id"],
        user_id=row["user_id"],
        address=row["address"],
        details=row["details"],
    )


def holder_of(row: Record) -> KeyHolder:
    """The key in a row and all that it speaks for."""
    return KeyHolder(
        key=key_of(row),
        organization=organization_of(row),
        role=None if row["role_id"] is None else role_of(row),
        user_state=None if row["user_state"] is None else UserState(row["user_state"]),
    )

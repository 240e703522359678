"""Organizations and their users: states, limits, and the plan as billing last told it."""

import enum
import re
import uuid
from datetime import datetime
from typing import Final

import msgspec

from services.auth.domain.errors import InvalidRequest

NAME_CHARACTERS_MAX: Final = 200
_EMAIL: Final = re.compile(r"[^\s@<>\"(),:;\\]{1,64}@[^\s@<>\"(),:;\\]{1,255}")


class OrganizationState(enum.StrEnum):
    """Whether an organization may act. Deleted is final: its keys are unknown keys."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class UserState(enum.StrEnum):
    """Whether a user's own keys open anything; those of active users only."""

    INVITED = "invited"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What billing last said about an organization's plan. Version 0 = it never said anything."""

    version: int = 0
    plan: str = ""
    status: str = "none"  # none | active | past_due | cancelled
    per_minute: int = 1_000  # R44
    per_day: int = 50_000  # R45
    period_start: datetime | None = None
    period_end: datetime | None = None


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant. `av`, its auth version, rises with every change that a caller's principal is made of."""

    org_id: uuid.UUID
    name: str
    state: OrganizationState = OrganizationState.ACTIVE
    is_sandbox: bool = False
    read_only: bool = False
    features: frozenset[str] = frozenset()
    av: int = 1
    subscription: Subscription = Subscription()


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person of an organization. An address belongs to one user only, whatever its case."""

    user_id: uuid.UUID
    org_id: uuid.UUID
    email: str
    role_id: uuid.UUID
    state: UserState = UserState.ACTIVE


def checked_name(name: str) -> str:
    """`name` without blanks around it, if it has 1 to 200 printable characters; else InvalidRequest."""
    name = name.strip()
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise InvalidRequest(f"A name has 1 to {NAME_CHARACTERS_MAX} printable characters")
    return name


def checked_email(email: str) -> str:
    """`email` without blanks around it, if it looks like an address; else InvalidRequest. Mail is the real check."""
    email = email.strip()
    if not _EMAIL.fullmatch(email):
        raise InvalidRequest("Not a valid e-mail address")
    return email


def placeholder_email(org_id: uuid.UUID) -> str:
    """The address of an owner whom nobody has named yet; mail to it goes nowhere (RFC 2606 section 2)."""
    return f"owner@{org_id}.invalid"

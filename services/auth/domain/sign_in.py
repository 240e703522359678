"""People at a browser: what a password may be, and how long a session lives."""

import uuid
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.auth.domain.errors import InvalidRequest
from services.auth.domain.organization import Organization, OrganizationState, User, UserState

PASSWORD_CHARACTERS_MIN: Final = 12
PASSWORD_BYTES_MAX: Final = 256
PASSWORD_LINK_LIFE: Final = timedelta(hours=24)
SESSION_LIFE: Final = timedelta(days=7)
SESSION_IDLE: Final = timedelta(hours=12)
SEEN_GRAIN: Final = timedelta(minutes=1)  # a session's last use is written down no finer than this
_DIFFERENT_MIN: Final = 5  # characters


class PasswordLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link that sets the password of a user who has joined. `digest` is the SHA-256 of its token, 64 hex digits."""

    digest: str
    org_id: uuid.UUID
    user_id: uuid.UUID
    created_at: datetime
    expires_at: datetime


class PasswordLinkView(msgspec.Struct, frozen=True, kw_only=True):
    """What an open link says to whoever follows it."""

    link: PasswordLink
    organization: str
    email: str


class BrowserSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session's row; the cookie cannot be read back."""

    session_id: uuid.UUID
    digest: str  # 64 hex digits, under `pepper`
    pepper: str
    org_id: uuid.UUID
    user_id: uuid.UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    address: str = ""

    def is_live(self, now: datetime) -> bool:
        return self.ended_at is None and self.expires_at > now and self.seen_at + SESSION_IDLE > now


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session with whom it speaks for, read in one instant."""

    session: BrowserSession
    user: User
    organization: Organization
    role_name: str

    def stands(self, now: datetime) -> bool:
        return (
            self.session.is_live(now)
            and self.user.state is UserState.ACTIVE
            and self.organization.state is OrganizationState.ACTIVE
        )


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Who has an address, and the digest of their password, if they ever set one."""

    user: User
    org_state: OrganizationState
    digest: str | None


def checked_password(password: str, *, email: str) -> str:
    """`password` if one may be: long, not made of a few characters, not the address. Nothing else is asked of it. Raises
    InvalidRequest.
    """
    if len(password) < PASSWORD_CHARACTERS_MIN or len(password.encode()) > PASSWORD_BYTES_MAX:
        raise InvalidRequest(
            f"A password has {PASSWORD_CHARACTERS_MIN} characters or more, and {PASSWORD_BYTES_MAX} bytes at most"
        )
    if len(set(password)) < _DIFFERENT_MIN or password.casefold() in {
        email.casefold(),
        email.partition("@")[0].casefold(),
    }:
        raise InvalidRequest("This password is guessed too easily: take another one")
    return password

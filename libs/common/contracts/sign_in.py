"""Messages that `auth` owns about people at a browser: passwords, sessions, and the key that a signed-in user makes.

Passwords travel as sealed forms only (`libs/common/sealing.py`, to auth's own key), a session's cookie as digests under the ring of
peppers, links as the SHA-256 of their token.
"""

import uuid
from datetime import datetime

import msgspec

from libs.common.contracts.auth import Changed, KeyDigest
from libs.common.contracts.envelope import Message


class GetPasswordKey(Message, frozen=True, kw_only=True):
    """The public key that passwords are sealed to."""


class PasswordKey(Message, frozen=True, kw_only=True):
    """X25519; `name` is its name in auth's ring."""

    name: str
    public: bytes


class PasswordForm(msgspec.Struct, frozen=True):
    """What is sealed: bound to the digest of the session or of the link that it is typed for."""

    password: str

    def __repr__(self) -> str:
        return "PasswordForm(***)"


class SessionShown(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in."""

    session_id: uuid.UUID
    org_id: uuid.UUID
    user_id: uuid.UUID
    email: str
    role: str
    organization: str
    is_sandbox: bool
    features: frozenset[str]
    expires_at: datetime


class SignIn(Message, frozen=True, kw_only=True):
    """Begin a session with the digest `session` (active pepper first), for whom the address and the sealed password are right."""

    email: str
    sealed: bytes
    session: tuple[KeyDigest, ...]
    address: str


class GetSession(Message, frozen=True, kw_only=True):
    """Who is signed in by the cookie with one of these digests?"""

    digests: tuple[KeyDigest, ...]


class SessionAnswer(Message, frozen=True, kw_only=True):
    """None: nobody, or the address and the password are not right; it is not said which."""

    session: SessionShown | None = None


class SignOut(Message, frozen=True, kw_only=True):
    """End a session, or all of its user's; repeating it is safe."""

    digests: tuple[KeyDigest, ...]
    is_everywhere: bool = False


class SignedOut(Message, frozen=True, kw_only=True):
    """They open nothing any more."""


class GetPasswordLink(Message, frozen=True, kw_only=True):
    """What stands behind the link with this digest. Fails with LINK_GONE: unknown, expired or used, nobody is told which."""

    link: bytes


class SetPassword(Message, frozen=True, kw_only=True):
    """The link was followed from `address`: its user has this password from now on, and no session that began before. Fails with
    LINK_GONE, INVALID_REQUEST (the password).
    """

    link: bytes
    sealed: bytes
    address: str


class PasswordLinkShown(Message, frozen=True, kw_only=True):
    """Whose password is set."""

    organization: str
    email: str
    expires_at: datetime


class IssueOwnKey(Message, frozen=True, kw_only=True):
    """A personal key for who is signed in; the one before ends. The password is typed once more. Fails as
    `personal_keys.IssuePersonalKey`; with PERMISSION_DENIED for a wrong password, and for scopes beyond the user's role.
    """

    session: tuple[KeyDigest, ...]
    sealed: bytes
    label: str
    scopes: tuple[str, ...]
    model_id: uuid.UUID | None
    address: str
    reply_key: bytes = b""  # X25519, public, made for this request: what the reply shows once is sealed to it


class OwnKeyIssued(Changed, frozen=True, kw_only=True):
    """The key itself is said this once, `sealed` to the `reply_key` of the command and bound to the key's id."""

    org_id: uuid.UUID
    key_id: uuid.UUID
    text: str = ""  # in clear: of an auth that knows no `reply_key`
    sealed: bytes = b""

    def __repr__(self) -> str:
        return f"OwnKeyIssued(key_id={self.key_id}, text='***')"

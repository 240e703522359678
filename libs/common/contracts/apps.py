"""Messages that `auth` owns about apps of third parties: their registration, users' grants to them, and the tokens that follow.

Codes, tokens and secrets of clients travel as digests only: the edge makes codes and tokens itself, and tells auth how to
recognise them. Errors of the token endpoint (RFC 6749 section 5.2) are answers here, not failures, for they may move rights too.
"""

import uuid
from datetime import datetime

import msgspec

from libs.common.contracts.auth import Actor, Changed, KeyDigest, Moving
from libs.common.contracts.envelope import Message


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """A domain that the owner of an app controls, or says so. `token` is what is to be found there."""

    domain: str
    state: str  # pending | verified
    token: str
    method: str | None = None  # dns | well_known
    verified_at: datetime | None = None


class AppSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A client secret, but for the secret itself."""

    secret_id: uuid.UUID
    start: str
    created_at: datetime
    expires_at: datetime | None = None  # when its successor alone is left


class App(msgspec.Struct, frozen=True, kw_only=True):
    """An app as its owner sees it; `app_id` is its client id."""

    app_id: uuid.UUID
    owner_id: uuid.UUID
    name: str
    type: str  # confidential | public
    stage: str  # development | production
    state: str  # active | suspended
    redirect_uris: tuple[str, ...]
    webhook_urls: tuple[str, ...]
    domains: tuple[Domain, ...]
    secrets: tuple[AppSecret, ...]
    created_at: datetime


class ListApps(Message, frozen=True, kw_only=True):
    """A page of an organization's apps, oldest first; deleted ones are gone."""

    org_id: uuid.UUID
    limit: int = 50
    offset: int = 0


class Apps(Message, frozen=True, kw_only=True):
    """One page and the number of apps on all pages."""

    apps: tuple[App, ...]
    total: int


class GetApp(Message, frozen=True, kw_only=True):
    """One app of an organization. Fails with NOT_FOUND."""

    org_id: uuid.UUID
    app_id: uuid.UUID


class AppFound(Message, frozen=True, kw_only=True):
    """The app asked for."""

    app: App


class CreateApp(Message, frozen=True, kw_only=True):
    """Register an app, in development, for which the user `owner_id` answers. Fails with INVALID_REQUEST, NOT_FOUND (the user),
    CONFLICT (too many apps of this user), NOT_ENABLED.
    """

    org_id: uuid.UUID
    by: Actor
    owner_id: uuid.UUID
    name: str
    redirect_uris: tuple[str, ...]
    webhook_urls: tuple[str, ...] = ()
    is_confidential: bool = True
    reply_key: bytes = b""  # X25519, public, made for this request: what the reply shows once is sealed to it


class AppCreated(Message, frozen=True, kw_only=True):
    """The client secret is said this once, `sealed` to the `reply_key` of the command and bound to the app's id; empty for an app
    that cannot keep one.
    """

    app: App
    text: str = ""  # in clear: of an auth that knows no `reply_key`
    sealed: bytes = b""

    def __repr__(self) -> str:
        return f"AppCreated(app_id={self.app.app_id}, text='***')"


class UpdateApp(Message, frozen=True, kw_only=True):
    """Change what is given (None: unchanged). In production every host lies under a verified domain. Fails as `CreateApp`; with
    CONFLICT for an app that is suspended, or hosts that are nobody's yet.
    """

    org_id: uuid.UUID
    by: Actor
    app_id: uuid.UUID
    name: str | None = None
    redirect_uris: tuple[str, ...] | None = None
    webhook_urls: tuple[str, ...] | None = None
    stage: str | None = None


class AppUpdated(Moving, frozen=True, kw_only=True):
    """The app as it is now. `moved`: organizations whose users' grants ended with the change."""

    app: App


class DeleteApp(Message, frozen=True, kw_only=True):
    """End an app with all its grants and tokens; repeating it is safe. Fails with NOT_FOUND."""

    org_id: uuid.UUID
    by: Actor
    app_id: uuid.UUID


class RotateAppSecret(Message, frozen=True, kw_only=True):
    """Another client secret; the ones before end after `overlap_seconds` (0 to 24 h). Two at most live. Fails with INVALID_REQUEST,
    NOT_FOUND, CONFLICT (a public or suspended app).
    """

    org_id: uuid.UUID
    by: Actor
    app_id: uuid.UUID
    overlap_seconds: int = 0
    reply_key: bytes = b""  # X25519, public, made for this request: what the reply shows once is sealed to it


class VerifyDomain(Message, frozen=True, kw_only=True):
    """Name a domain, or prove it by `method` (dns, well_known; None: only name it). Fails with INVALID_REQUEST, NOT_FOUND, CONFLICT
    (the proof was not found, with what was found instead).
    """

    org_id: uuid.UUID
    by: Actor
    app_id: uuid.UUID
    domain: str
    method: str | None = None


class DomainAnswer(Message, frozen=True, kw_only=True):
    """The domain as it stands."""

    domain: Domain


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a user allowed an app to do with a model."""

    grant_id: uuid.UUID
    app_id: uuid.UUID
    app: str  # its name
    owner: str  # the organization behind it
    domains: tuple[str, ...]
    user_id: uuid.UUID
    email: str
    model_id: uuid.UUID
    scopes: tuple[str, ...]
    state: str  # active | revoked
    created_at: datetime
    revoked_at: datetime | None = None


class ListGrants(Message, frozen=True, kw_only=True):
    """A page of what an organization's users (or one) allowed, newest first. `is_live`: without what ended."""

    org_id: uuid.UUID
    limit: int = 50
    offset: int = 0
    user_id: uuid.UUID | None = None
    is_live: bool = False


class Grants(Message, frozen=True, kw_only=True):
    """One page and the number of grants on all pages."""

    grants: tuple[Grant, ...]
    total: int


class RevokeGrant(Message, frozen=True, kw_only=True):
    """End a grant with all its tokens; repeating it is safe. `user_id`: only if it is this user's. Fails with NOT_FOUND."""

    org_id: uuid.UUID
    by: Actor
    grant_id: uuid.UUID
    user_id: uuid.UUID | None = None


class GrantRevoked(Changed, frozen=True, kw_only=True):
    """The grant as it is now."""

    grant: Grant


class GetClient(Message, frozen=True, kw_only=True):
    """The app that asks for authorization, if there is an active one and `redirect_uri` is its own. `user_id`: who is signed in."""

    client_id: uuid.UUID
    redirect_uri: str
    user_id: uuid.UUID | None = None


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """An app as users see it before they decide."""

    app_id: uuid.UUID
    name: str
    owner: str  # the organization behind it
    domains: tuple[str, ...]  # verified ones
    stage: str
    serves_user: bool  # an app in development serves its owner only


class ClientAnswer(Message, frozen=True, kw_only=True):
    """None: no such app, or the redirect is not its own; nobody is sent anywhere."""

    client: Client | None = None


class Authorize(Message, frozen=True, kw_only=True):
    """The user behind this session allows an app to act with a model; `code` is the SHA-256 of the code that the app gets. Fails with
    INVALID_REQUEST (scopes, redirect), NOT_ENABLED, PERMISSION_DENIED (an app in development, a session that ended), CONFLICT.
    """

    session: tuple[KeyDigest, ...]
    client_id: uuid.UUID
    redirect_uri: str
    scopes: tuple[str, ...]
    model_id: uuid.UUID
    challenge: str
    code: bytes
    address: str


class Authorized(Changed, frozen=True, kw_only=True):
    """The code works, for a minute, once."""

    org_id: uuid.UUID
    grant_id: uuid.UUID


class ClientProof(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls the token endpoint; `secret` are the digests of what it presented, none for a public client."""

    client_id: uuid.UUID
    secret: tuple[KeyDigest, ...] = ()


class ExchangeCode(Message, frozen=True, kw_only=True):
    """Tokens for a code. `challenge` is what the presented verifier amounts to (S256)."""

    client: ClientProof
    code: bytes
    redirect_uri: str
    challenge: str
    access: KeyDigest
    refresh: KeyDigest


class RefreshTokens(Message, frozen=True, kw_only=True):
    """New tokens for a refresh token, which works once (and a moment longer). `scopes`: fewer than before, or None."""

    client: ClientProof
    token: tuple[KeyDigest, ...]
    scopes: tuple[str, ...] | None
    access: KeyDigest
    refresh: KeyDigest


class TokenAnswer(Moving, frozen=True, kw_only=True):
    """`error` as in RFC 6749 section 5.2, or empty: the tokens work. `moved`: rights that ended with the question."""

    error: str = ""
    description: str = ""
    scopes: tuple[str, ...] = ()
    expires_in_s: int = 0


class RevokeToken(Message, frozen=True, kw_only=True):
    """End an access token, or a refresh token with its whole family. Unknown and foreign ones change nothing."""

    client: ClientProof
    token: tuple[KeyDigest, ...]


class IntrospectToken(Message, frozen=True, kw_only=True):
    """What is known of a token, to the client that it was issued to."""

    client: ClientProof
    token: tuple[KeyDigest, ...]


class TokenShown(Message, frozen=True, kw_only=True):
    """`error` as in `TokenAnswer`. Not active: unknown, ended, or another client's; nobody is told which."""

    error: str = ""
    description: str = ""
    is_active: bool = False
    kind: str = ""  # access | refresh
    scopes: tuple[str, ...] = ()
    user_id: uuid.UUID | None = None
    model_id: uuid.UUID | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None

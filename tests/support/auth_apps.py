"""Valid objects of apps, grants and sign-in, with one thing changed."""

import uuid
from datetime import timedelta

import msgspec

from libs.common.contracts.auth import APPS
from libs.common.ids import uuid7
from services.auth.domain.app import App, Secret
from services.auth.domain.app_ports import AppAccounts
from services.auth.domain.grant import CODE_LIFE, REFRESH_LIFE, Code, Grant, Token, TokenKind
from services.auth.domain.organization import Organization, User
from services.auth.domain.sign_in import SESSION_LIFE, BrowserSession, PasswordLink
from tests.support.auth import NOW, an_organization

REDIRECT = "https://app.example.com/callback"


def an_app_of(owner: User, **changed: object) -> App:
    """A confidential app in development; `owner` answers for it."""
    app = App(
        app_id=uuid7(), org_id=owner.org_id, user_id=owner.user_id, name="Chat Helper", is_confidential=True,
        redirect_uris=(REDIRECT,), created_at=NOW,
    )  # fmt: skip
    return msgspec.structs.replace(app, **changed)


def a_digest() -> str:
    """Of something that nobody knows."""
    return uuid.uuid4().hex * 2


def a_secret(**changed: object) -> Secret:
    secret = Secret(secret_id=uuid7(), digest=a_digest(), pepper="b", start="fgs_Abcd", created_at=NOW)
    return msgspec.structs.replace(secret, **changed)


def a_grant(app: App, user: User, **changed: object) -> Grant:
    """`user` allowed `app` to read the chats of a model."""
    grant = Grant(
        grant_id=uuid7(), app_id=app.app_id, org_id=user.org_id, user_id=user.user_id, model_id=uuid.uuid4(),
        scopes=frozenset({"read:chat"}), created_at=NOW,
    )  # fmt: skip
    return msgspec.structs.replace(grant, **changed)


def a_code(grant: Grant, **changed: object) -> Code:
    code = Code(
        digest=a_digest(), code_id=uuid7(), app_id=grant.app_id, org_id=grant.org_id, grant_id=grant.grant_id,
        redirect_uri=REDIRECT, challenge="c" * 43, created_at=NOW, expires_at=NOW + CODE_LIFE,
    )  # fmt: skip
    return msgspec.structs.replace(code, **changed)


def a_token(grant: Grant, kind: TokenKind = TokenKind.REFRESH, **changed: object) -> Token:
    token = Token(
        token_id=uuid7(), kind=kind, digest=a_digest(), pepper="b", org_id=grant.org_id, grant_id=grant.grant_id,
        family_id=uuid7(), scopes=grant.scopes, created_at=NOW, expires_at=NOW + REFRESH_LIFE,
    )  # fmt: skip
    return msgspec.structs.replace(token, **changed)


def a_session(user: User, **changed: object) -> BrowserSession:
    session = BrowserSession(
        session_id=uuid7(), digest=a_digest(), pepper="b", org_id=user.org_id, user_id=user.user_id, created_at=NOW,
        seen_at=NOW, expires_at=NOW + SESSION_LIFE, address="203.0.113.7",
    )  # fmt: skip
    return msgspec.structs.replace(session, **changed)


def a_password_link(user: User, **changed: object) -> PasswordLink:
    link = PasswordLink(
        digest=a_digest(),
        org_id=user.org_id,
        user_id=user.user_id,
        created_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )
    return msgspec.structs.replace(link, **changed)


async def an_owner(accounts: AppAccounts, **changed: object) -> tuple[Organization, User]:
    """An organization that may have apps, and who owns it."""
    organization = await an_organization(accounts, **({"features": frozenset({APPS})} | changed))
    async with accounts.change(organization.org_id) as change:
        (owner,) = await change.owners()
    return await accounts.organization(organization.org_id), owner


async def a_registered_app(accounts: AppAccounts, owner: User, **changed: object) -> App:
    """An app of `owner`'s that is there."""
    app = an_app_of(owner, **changed)
    async with accounts.change(owner.org_id) as change:
        await change.add_app(app)
    return app


async def a_given_grant(accounts: AppAccounts, app: App, user: User, **changed: object) -> Grant:
    """A grant that stands."""
    grant = a_grant(app, user, **changed)
    async with accounts.change(user.org_id) as change:
        await change.add_grant(grant)
    return grant

"""From rows to the structs of apps, grants, tokens and sign-in; the column names are those of `apps.sql` and `sign_in.sql`."""

from collections.abc import Iterable

from libs.common.db.pool import Record
from services.auth.domain.app import App, AppState, Domain, KnownClient, Method, Secret, Stage
from services.auth.domain.grant import Code, Grant, ListedGrant, Token, TokenHolder, TokenKind
from services.auth.domain.organization import OrganizationState, User, UserState
from services.auth.domain.sign_in import BrowserSession, Login, PasswordLink, PasswordLinkView, SignedIn
from services.auth.store.rows import organization_of, role_of, user_of


def app_of(row: Record) -> App:
    """The app in a row."""
    return App(
        app_id=row["app_id"],
        org_id=row["app_org_id"],
        user_id=row["app_user_id"],
        name=row["app_name"],
        is_confidential=row["is_confidential"],
        redirect_uris=tuple(row["redirect_uris"]),
        created_at=row["app_created_at"],
        webhook_urls=tuple(row["webhook_urls"]),
        stage=Stage(row["stage"]),
        state=AppState(row["app_state"]),
    )


def client_of(row: Record, secrets: Iterable[Secret] = ()) -> KnownClient:
    """The app in a row with the states of those behind it."""
    return KnownClient(
        app=app_of(row),
        owner=row["owner_name"],
        org_state=OrganizationState(row["owner_org_state"]),
        user_state=UserState(row["owner_user_state"]),
        domains=tuple(row["domains"]),
        secrets=tuple(secrets),
    )


def secret_of(row: Record) -> Secret:
    """The client secret in a row."""
    return Secret(
        secret_id=row["secret_id"],
        digest=row["digest"].hex(),
        pepper=row["pepper"],
        start=row["start"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def domain_of(row: Record) -> Domain:
    """The domain in a row."""
    return Domain(
        domain=row["domain"],
        token=row["token"],
        created_at=row["created_at"],
        method=None if row["method"] is None else Method(row["method"]),
        verified_at=row["verified_at"],
    )


def grant_of(row: Record) -> Grant:
    """The grant in a row."""
    return Grant(
        grant_id=row["grant_id"],
        app_id=row["app_id"],
        org_id=row["org_id"],
        user_id=row["user_id"],
        model_id=row["model_id"],
        scopes=frozenset(row["grant_scopes"]),
        created_at=row["granted_at"],
        revoked_at=row["revoked_at"],
    )


def listed_grant_of(row: Record) -> ListedGrant:
    """The grant in a row with the names that people know."""
    return ListedGrant(
        grant=grant_of(row),
        app=row["app_name"],
        owner=row["owner_name"],
        domains=tuple(row["domains"]),
        email=row["email"],
    )


def code_of(row: Record) -> Code:
    """The code in a row."""
    return Code(
        digest=row["digest"].hex(),
        code_id=row["code_id"],
        app_id=row["app_id"],
        org_id=row["org_id"],
        grant_id=row["grant_id"],
        redirect_uri=row["redirect_uri"],
        challenge=row["challenge"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
    )


def token_holder_of(row: Record) -> TokenHolder:
    """The token in a row and all that it speaks for."""
    return TokenHolder(
        token=Token(
            token_id=row["token_id"],
            kind=TokenKind(row["kind"]),
            digest=row["digest"].hex(),
            pepper=row["pepper"],
            org_id=row["org_id"],
            grant_id=row["grant_id"],
            family_id=row["family_id"],
            scopes=frozenset(row["token_scopes"]),
            created_at=row["issued_at"],
            expires_at=row["expires_at"],
            replaced_at=row["replaced_at"],
            ended_at=row["ended_at"],
        ),
        grant=grant_of(row),
        organization=organization_of(row),
        user_state=UserState(row["user_state"]),
        role=role_of(row),
        client=client_of(row),
    )


def login_of(row: Record) -> Login:
    """Who signs in."""
    return Login(user=user_of(row), org_state=OrganizationState(row["org_state"]), digest=row["digest"])


def signed_in_of(row: Record) -> SignedIn:
    """The session in a row with whom it speaks for."""
    return SignedIn(
        session=BrowserSession(
            session_id=row["session_id"],
            digest=row["digest"].hex(),
            pepper=row["pepper"],
            org_id=row["org_id"],
            user_id=row["user_id"],
            created_at=row["created_at"],
            seen_at=row["seen_at"],
            expires_at=row["expires_at"],
            ended_at=row["ended_at"],
            address=row["address"],
        ),
        user=User(
            user_id=row["user_id"],
            org_id=row["org_id"],
            email=row["email"],
            role_id=row["role_id"],
            state=UserState(row["state"]),
        ),
        organization=organization_of(row),
        role_name=row["role_name"],
    )


def password_link_of(row: Record) -> PasswordLinkView:
    """The link in a row and what it says."""
    return PasswordLinkView(
        link=PasswordLink(
            digest=row["digest"].hex(),
            org_id=row["org_id"],
            user_id=row["user_id"],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
        ),
        organization=row["org_name"],
        email=row["email"],
    )

"""The ports of apps and sign-in in memory, on the tables of `auth_memory.py`: the least that keeps the promises of `app_ports.py`."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from libs.common.contracts.auth import Actor
from libs.common.errors import Unavailable
from services.auth.domain import app_audit
from services.auth.domain.app import App, AppState, Domain, KnownClient, ListedApp, Method, Secret
from services.auth.domain.errors import Conflict, InvalidRequest, NotFound
from services.auth.domain.grant import Code, Grant, ListedGrant, Token, TokenHolder, TokenKind
from services.auth.domain.organization import OrganizationState, UserState
from services.auth.domain.sign_in import BrowserSession, Login, PasswordLink, PasswordLinkView, SignedIn
from tests.support.auth_memory import MemoryAccounts, MemoryChange, Tables

_SIGNS_IN = {UserState.ACTIVE, UserState.SUSPENDED}


class MemoryAppChange(MemoryChange):
    """The port `AppChange`."""

    async def app(self, app_id: uuid.UUID) -> App:
        app = self._tables.apps.get(app_id)
        if app is None or app.org_id != self._org_id or app.state is AppState.DELETED:
            raise NotFound("App not found")
        return app

    async def count_apps(self, user_id: uuid.UUID) -> int:
        return sum(
            (app.org_id, app.user_id) == (self._org_id, user_id) and app.state is not AppState.DELETED
            for app in self._tables.apps.values()
        )

    async def add_app(self, app: App) -> None:
        self._tables.apps[app.app_id] = app
        self.did(app_audit.app_created(app))

    async def update_app(self, old: App, new: App) -> None:
        self._tables.apps[old.app_id] = new
        self.did(app_audit.app_updated(old, new))

    async def domains(self, app_id: uuid.UUID) -> list[Domain]:
        return _domains(self._tables, app_id)

    async def add_domain(self, app_id: uuid.UUID, domain: Domain) -> None:
        known = self._tables.domains.setdefault(app_id, {})
        if domain.domain in known:
            raise Conflict
        known[domain.domain] = domain

    async def verify_domain(self, app_id: uuid.UUID, domain: str, method: Method, at: datetime) -> None:
        known = self._tables.domains[app_id]
        if known[domain].verified_at is None:
            known[domain] = msgspec.structs.replace(known[domain], method=method, verified_at=at)
        self.did(app_audit.domain_verified(app_id, domain, method))

    async def secrets(self, app_id: uuid.UUID) -> list[Secret]:
        return _secrets(self._tables, app_id)

    async def add_secret(self, app_id: uuid.UUID, secret: Secret) -> None:
        self._tables.secrets[secret.secret_id] = (app_id, secret)
        self.did(app_audit.secret_made(app_id, secret))

    async def end_secret(self, secret: Secret, at: datetime) -> None:
        app_id, kept = self._tables.secrets[secret.secret_id]
        ends = at if kept.expires_at is None else min(at, kept.expires_at)
        self._tables.secrets[secret.secret_id] = (app_id, msgspec.structs.replace(kept, expires_at=ends))

    async def live_grant(self, app_id: uuid.UUID, user_id: uuid.UUID, model_id: uuid.UUID) -> Grant | None:
        for grant in await self.grants_of_app(app_id):
            if (grant.user_id, grant.model_id) == (user_id, model_id):
                return grant
        return None

    async def grant(self, grant_id: uuid.UUID) -> Grant:
        grant = self._tables.grants.get(grant_id)
        if grant is None or grant.org_id != self._org_id:
            raise NotFound("Grant not found")
        return grant

    async def grants_of_app(self, app_id: uuid.UUID) -> list[Grant]:
        return [
            grant
            for grant in self._tables.grants.values()
            if (grant.org_id, grant.app_id, grant.revoked_at) == (self._org_id, app_id, None)
        ]

    async def add_grant(self, grant: Grant) -> None:
        assert await self.live_grant(grant.app_id, grant.user_id, grant.model_id) is None, "one stands already"
        self._tables.grants[grant.grant_id] = grant
        self._has_written = True
        self.did(app_audit.grant_given(grant))

    async def revoke_grant(self, grant: Grant, at: datetime, *, reason: str = "") -> None:
        kept = self._tables.grants[grant.grant_id]
        if kept.revoked_at is None:
            self._tables.grants[grant.grant_id] = msgspec.structs.replace(kept, revoked_at=at)
        for token in list(self._tables.tokens.values()):
            if token.grant_id == grant.grant_id:
                _end(self._tables, token, at)
        self._has_written = True
        self.did(app_audit.grant_revoked(grant, reason))

    async def end_tokens(
        self, grant_id: uuid.UUID, family_id: uuid.UUID, token_id: uuid.UUID | None, at: datetime
    ) -> bool:
        ended = [
            _end(self._tables, token, at)
            for token in list(self._tables.tokens.values())
            if (token.org_id, token.family_id) == (self._org_id, family_id) and token_id in {None, token.token_id}
        ]
        if not any(ended):
            return False
        self.touch()
        self.did(app_audit.tokens_ended(grant_id, whole_family=token_id is None))
        return True

    async def add_code(self, code: Code) -> None:
        self._tables.codes[code.digest] = code

    def touch(self) -> None:
        self._has_written = True

    async def password(self, user_id: uuid.UUID) -> str | None:
        return self._tables.passwords.get(user_id)

    async def add_password_link(self, link: PasswordLink) -> None:
        _forget_links(self._tables, link.user_id)
        self._tables.password_links[link.digest] = link
        self.did(app_audit.password_link_made(link.user_id, link.expires_at))

    async def end_password_link(self, user_id: uuid.UUID, at: datetime, digest: str) -> bool:
        link = self._tables.password_links.get(digest)
        if link is None or link.user_id != user_id or link.expires_at <= at:
            return False
        del self._tables.password_links[digest]
        return True

    async def add_session(self, session: BrowserSession) -> None:
        self._tables.sessions[session.session_id] = session
        self.did(app_audit.signed_in(session.session_id))

    async def end_sessions(self, user_id: uuid.UUID, at: datetime) -> None:
        for session in list(self._tables.sessions.values()):
            if session.user_id == user_id:
                _end_session(self._tables, session, at)


class MemoryAppAccounts(MemoryAccounts):
    """The ports `AppAccounts`, `SignIns` and, by `apps` and `tokens`, `AppsRead` and `Tokens`; and `KeyHolders` with tokens."""

    @contextlib.asynccontextmanager
    async def change(self, org_id: uuid.UUID, by: Actor | None = None) -> AsyncIterator[MemoryAppChange]:
        async with self._transaction() as tables:
            change = MemoryAppChange(tables, self._alive(org_id), by)
            yield change
            change.finish()

    @property
    def tables(self) -> Tables:
        """As of the last commit."""
        return self._tables

    async def find_token(self, digests: Sequence[str]) -> TokenHolder | None:
        return _token_holder(self._tables, digests)

    # -- SignIns

    async def login(self, email: str) -> Login | None:
        for user in self._tables.users.values():
            if user.email.lower() == email.lower() and user.state in _SIGNS_IN:
                state = self._tables.organizations[user.org_id].state
                return Login(user=user, org_state=state, digest=self._tables.passwords.get(user.user_id))
        return None

    async def session(self, digests: Sequence[str]) -> SignedIn | None:
        for session in self._tables.sessions.values():
            if session.digest in digests:
                user = self._tables.users[session.user_id]
                return SignedIn(
                    session=session, user=user, organization=self._tables.organizations[user.org_id],
                    role_name=self._tables.roles[user.role_id].name,
                )  # fmt: skip
        return None

    async def saw(self, session: BrowserSession, at: datetime) -> None:
        kept = self._tables.sessions[session.session_id]
        if kept.seen_at < at:
            self._tables.sessions[session.session_id] = msgspec.structs.replace(kept, seen_at=at)

    async def end(self, session: BrowserSession, at: datetime) -> None:
        _end_session(self._tables, session, at)

    async def find_link(self, digest: str, now: datetime) -> PasswordLinkView | None:
        link = self._tables.password_links.get(digest)
        if link is None or link.expires_at <= now:
            return None
        user, organization = self._tables.users[link.user_id], self._tables.organizations[link.org_id]
        if user.state is not UserState.ACTIVE or organization.state is not OrganizationState.ACTIVE:
            return None
        return PasswordLinkView(link=link, organization=organization.name, email=user.email)

    async def organization_of_user(self, user_id: uuid.UUID) -> uuid.UUID:
        user = self._tables.users.get(user_id)
        if user is None or user.state is UserState.REMOVED:
            raise NotFound("User not found")
        return user.org_id

    async def forget(self, before: datetime) -> int:
        old = [each.session_id for each in self._tables.sessions.values() if each.expires_at < before]
        for session_id in old:
            del self._tables.sessions[session_id]
        return len(old)


class MemoryApps:
    """The port `AppsRead`."""

    def __init__(self, accounts: MemoryAppAccounts) -> None:
        self._accounts = accounts

    @property
    def _tables(self) -> Tables:
        return self._accounts.tables

    async def organization_of_app(self, app_id: uuid.UUID) -> uuid.UUID:
        if app_id not in self._tables.apps:
            raise NotFound("App not found")
        return self._tables.apps[app_id].org_id

    async def app(self, org_id: uuid.UUID, app_id: uuid.UUID) -> ListedApp:
        app = self._tables.apps.get(app_id)
        if app is None or app.org_id != org_id:
            raise NotFound("App not found")
        domains, secrets = _domains(self._tables, app_id), _secrets(self._tables, app_id)
        return ListedApp(app=app, domains=tuple(domains), secrets=tuple(secrets))

    async def page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[list[ListedApp], int]:
        own = [app for app in self._tables.apps.values() if app.org_id == org_id and app.state is not AppState.DELETED]
        own.sort(key=lambda app: (app.created_at, app.app_id))
        return [await self.app(org_id, app.app_id) for app in own[offset : offset + limit]], len(own)

    async def client(self, app_id: uuid.UUID) -> KnownClient | None:
        return _client(self._tables, app_id, _secrets(self._tables, app_id), _verified(self._tables, app_id))

    async def rewrite_secret(self, secret: Secret, *, pepper: str, digest: str) -> None:
        app_id, kept = self._tables.secrets[secret.secret_id]
        if kept.pepper == secret.pepper:
            moved = msgspec.structs.replace(kept, pepper=pepper, digest=digest)
            self._tables.secrets[secret.secret_id] = (app_id, moved)

    async def grant(self, org_id: uuid.UUID, grant_id: uuid.UUID) -> ListedGrant:
        grant = self._tables.grants.get(grant_id)
        if grant is None or grant.org_id != org_id:
            raise NotFound("Grant not found")
        app = self._tables.apps[grant.app_id]
        return ListedGrant(
            grant=grant, app=app.name, owner=self._tables.organizations[app.org_id].name,
            domains=_verified(self._tables, grant.app_id), email=self._tables.users[grant.user_id].email,
        )  # fmt: skip

    async def grant_page(
        self, org_id: uuid.UUID, *, limit: int, offset: int, user_id: uuid.UUID | None, is_live: bool
    ) -> tuple[list[ListedGrant], int]:
        own = [
            grant
            for grant in self._tables.grants.values()
            if grant.org_id == org_id and user_id in {None, grant.user_id} and not (is_live and grant.revoked_at)
        ]
        own.sort(key=lambda grant: (grant.created_at, grant.grant_id), reverse=True)
        return [await self.grant(org_id, grant.grant_id) for grant in own[offset : offset + limit]], len(own)

    async def organizations_granting(self, app_id: uuid.UUID) -> list[uuid.UUID]:
        live = [each for each in self._tables.grants.values() if (each.app_id, each.revoked_at) == (app_id, None)]
        return list({grant.org_id for grant in live})

    async def apps_behind(self, org_id: uuid.UUID, user_id: uuid.UUID | None) -> list[uuid.UUID]:
        return [
            app.app_id
            for app in self._tables.apps.values()
            if app.org_id == org_id and user_id in {None, app.user_id} and app.state is not AppState.DELETED
        ]

    async def dead_grants(self) -> list[tuple[uuid.UUID, uuid.UUID]]:
        return [
            (grant.org_id, grant.grant_id)
            for grant in self._tables.grants.values()
            if grant.revoked_at is None
            and self._tables.organizations[grant.org_id].state is not OrganizationState.DELETED
            and (
                self._tables.apps[grant.app_id].state is not AppState.ACTIVE
                or self._tables.users[grant.user_id].state is UserState.REMOVED
            )
        ]


class MemoryTokenTurn:
    """The port `TokenTurn`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def holder(self, digests: Sequence[str]) -> TokenHolder | None:
        return _token_holder(self._tables, digests)

    async def grant(self, grant_id: uuid.UUID) -> Grant:
        return self._tables.grants[grant_id]

    async def code(self, digest: str) -> Code | None:
        return self._tables.codes.get(digest)

    async def use_code(self, code: Code, at: datetime) -> None:
        if self._tables.codes[code.digest].used_at is None:
            self._tables.codes[code.digest] = msgspec.structs.replace(code, used_at=at)

    async def replace_refresh(self, family_id: uuid.UUID, at: datetime) -> None:
        for token in list(self._tables.tokens.values()):
            is_current = token.kind is TokenKind.REFRESH and (token.replaced_at, token.ended_at) == (None, None)
            if token.family_id == family_id and is_current:
                self._tables.tokens[token.token_id] = msgspec.structs.replace(token, replaced_at=at)

    async def add(self, token: Token) -> None:
        self._tables.tokens[token.token_id] = token


class MemoryTokens:
    """The port `Tokens`."""

    def __init__(self, accounts: MemoryAppAccounts) -> None:
        self._accounts = accounts

    async def find(self, digests: Sequence[str]) -> TokenHolder | None:
        return _token_holder(self._accounts.tables, digests)

    async def find_code(self, digest: str) -> Code | None:
        return self._accounts.tables.codes.get(digest)

    @contextlib.asynccontextmanager
    async def turn(self, grant_id: uuid.UUID) -> AsyncIterator[MemoryTokenTurn]:
        async with self._accounts._transaction() as tables:
            yield MemoryTokenTurn(tables)

    async def forget(self, codes_before: datetime, tokens_before: datetime) -> int:
        tables = self._accounts.tables
        codes = [code.digest for code in tables.codes.values() if code.expires_at < codes_before]
        tokens = [token.token_id for token in tables.tokens.values() if token.expires_at < tokens_before]
        for digest in codes:
            del tables.codes[digest]
        for token_id in tokens:
            del tables.tokens[token_id]
        return len(codes) + len(tokens)


class MemoryPasswords:
    """The port `Passwords`: a digest is the password with its parameters before it. `outdated` are those of yesterday."""

    def __init__(self) -> None:
        self.parameters, self.asked = "new", 0
        self.is_busy = False

    async def digest(self, password: str) -> str:
        return f"$argon2id${self.parameters}${password}"

    async def is_right(self, digest: str | None, password: str) -> bool:
        self.asked += 1
        if self.is_busy:
            raise Unavailable
        return digest is not None and digest.split("$", 3)[3] == password

    def is_outdated(self, digest: str) -> bool:
        return digest.split("$", 3)[2] != self.parameters


class OpenPasswords:
    """The port `SealedPasswords`: the seal is what it is bound to, before the password."""

    def password(self, sealed: bytes, *, bound_to: bytes) -> str:
        if not sealed.startswith(bound_to):
            raise InvalidRequest("The form cannot be opened")
        return sealed.removeprefix(bound_to).decode()


class ToldProofs:
    """The port `DomainProofs`: what stands where."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.files: dict[str, str] = {}

    async def texts(self, name: str) -> list[str]:
        if name not in self.records:
            raise Conflict(f"{name} has no TXT record that can be read")
        return self.records[name]

    async def well_known(self, domain: str) -> str:
        if domain not in self.files:
            raise Conflict(f"{domain} cannot be read")
        return self.files[domain]


def _domains(tables: Tables, app_id: uuid.UUID) -> list[Domain]:
    return sorted(tables.domains.get(app_id, {}).values(), key=lambda each: each.domain)


def _verified(tables: Tables, app_id: uuid.UUID) -> tuple[str, ...]:
    return tuple(each.domain for each in _domains(tables, app_id) if each.verified_at is not None)


def _secrets(tables: Tables, app_id: uuid.UUID) -> list[Secret]:
    own = [secret for of, secret in tables.secrets.values() if of == app_id]
    return sorted(own, key=lambda each: (each.created_at, each.secret_id))


def _client(
    tables: Tables, app_id: uuid.UUID, secrets: Sequence[Secret], domains: tuple[str, ...]
) -> KnownClient | None:
    app = tables.apps.get(app_id)
    if app is None:
        return None
    organization = tables.organizations[app.org_id]
    return KnownClient(
        app=app, owner=organization.name, org_state=organization.state, user_state=tables.users[app.user_id].state,
        domains=domains, secrets=tuple(secrets),
    )  # fmt: skip


def _token_holder(tables: Tables, digests: Sequence[str]) -> TokenHolder | None:
    for token in tables.tokens.values():
        if token.digest in digests:
            grant = tables.grants[token.grant_id]
            user, client = tables.users[grant.user_id], _client(tables, grant.app_id, (), ())
            assert client is not None
            return TokenHolder(
                token=token, grant=grant, organization=tables.organizations[grant.org_id], user_state=user.state,
                role=tables.roles[user.role_id], client=client,
            )  # fmt: skip
    return None


def _end(tables: Tables, token: Token, at: datetime) -> bool:
    """False: it had ended."""
    if tables.tokens[token.token_id].ended_at is not None:
        return False
    tables.tokens[token.token_id] = msgspec.structs.replace(token, ended_at=at)
    return True


def _end_session(tables: Tables, session: BrowserSession, at: datetime) -> None:
    kept = tables.sessions[session.session_id]
    if kept.ended_at is None:
        tables.sessions[session.session_id] = msgspec.structs.replace(kept, ended_at=at)


def _forget_links(tables: Tables, user_id: uuid.UUID) -> None:
    for digest, link in list(tables.password_links.items()):
        if link.user_id == user_id:
            del tables.password_links[digest]

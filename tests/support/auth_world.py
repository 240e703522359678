"""Every use case of apps, sign-in and webhooks on memory, in time that passes when the test says so."""

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.contracts.apps import ClientProof, ExchangeCode, RefreshTokens, TokenAnswer
from libs.common.contracts.auth import AuditEntry, KeyDigest
from libs.common.ids import new_key
from services.auth.domain.app import App, KnownClient
from services.auth.domain.errors import InvalidApiKey
from services.auth.domain.grant import TokenHolder, token_principal_of
from services.auth.domain.organization import Organization, User
from services.auth.domain.sign_in import SignedIn
from services.auth.usecases.authorize_app import Authorization, AuthorizeApp, Authorized
from services.auth.usecases.client import AuthenticateClient
from services.auth.usecases.create_app import AppOrder, CreateApp
from services.auth.usecases.give_tokens import GiveTokens
from services.auth.usecases.session import ShowSession, SignIn
from tests.support.auth import RING, StandingClock, digests_of
from tests.support.auth_app_memory import (
    MemoryAppAccounts,
    MemoryApps,
    MemoryPasswords,
    MemoryTokens,
    OpenPasswords,
    ToldProofs,
)
from tests.support.auth_apps import REDIRECT, an_owner

PASSWORD = "correct horse battery"
CHALLENGE = "c" * 43


@dataclass(frozen=True)
class Client:
    """An app, and the secret that it presents."""

    app: App
    secret: str

    @property
    def proof(self) -> ClientProof:
        return ClientProof(client_id=self.app.app_id, secret=digests_of(self.secret) if self.secret else ())


@dataclass(frozen=True)
class Pair:
    """Tokens as an app holds them, and what auth said."""

    access: str
    refresh: str
    answer: TokenAnswer


@dataclass
class World:
    """One auth, without a database."""

    accounts: MemoryAppAccounts = field(default_factory=MemoryAppAccounts)
    clock: StandingClock = field(default_factory=StandingClock)
    passwords: MemoryPasswords = field(default_factory=MemoryPasswords)
    sealed: OpenPasswords = field(default_factory=OpenPasswords)
    proofs: ToldProofs = field(default_factory=ToldProofs)

    def __post_init__(self) -> None:
        self.apps, self.tokens = MemoryApps(self.accounts), MemoryTokens(self.accounts)
        self.clients = AuthenticateClient(self.apps, RING.active, self.clock)
        self.sessions = ShowSession(self.accounts, self.clock)
        self.give = GiveTokens(self.accounts, self.tokens, self.clients, self.clock)

    async def owner(self, **changed: object) -> tuple[Organization, User]:
        """An organization with apps, and its owner, who has a password."""
        organization, owner = await an_owner(self.accounts, **changed)
        async with self.accounts.change(organization.org_id) as change:
            await change.set_password(owner.user_id, await self.passwords.digest(PASSWORD), self.clock.now())
        return organization, owner

    async def client(self, owner: User, **changed: object) -> Client:
        """An app of `owner`'s, in development."""
        order = {"name": "Chat Helper", "redirect_uris": (REDIRECT,)} | changed
        made = await CreateApp(self.accounts, RING, self.clock)(
            AppOrder(org_id=owner.org_id, owner_id=owner.user_id, **order)  # type: ignore[arg-type]
        )
        return Client((await self.apps.app(owner.org_id, made.app_id)).app, made.secret)

    async def sign_in(self, user: User, password: str = PASSWORD) -> tuple[str, SignedIn | None]:
        """The cookie, and who is signed in by it."""
        cookie = new_key("fgs_")
        mark = digests_of(cookie)
        do = SignIn(self.accounts, self.accounts, self.passwords, self.sealed, self.clock)
        sealed = bytes.fromhex(mark[0].digest) + password.encode()
        return cookie, await do(email=user.email, sealed=sealed, session=mark, address="192.0.2.1")

    async def allow(self, user: User, client: Client, **changed: object) -> tuple[bytes, Authorized]:
        """`user` allows what the app asks for; the digest of the code, and the grant."""
        cookie, _ = await self.sign_in(user)
        code = secrets.token_bytes(32)
        asked = {
            "session": digests_of(cookie), "client_id": client.app.app_id, "redirect_uri": REDIRECT,
            "scopes": ["read:chat"], "model_id": uuid.uuid4(), "challenge": CHALLENGE, "code": code,
            "address": "192.0.2.1",
        }  # fmt: skip
        do = AuthorizeApp(self.accounts, self.apps, self.sessions, self.clock)
        return code, await do(Authorization(**(asked | changed)))  # type: ignore[arg-type]

    async def exchange(self, client: Client, code: bytes, **changed: object) -> Pair:
        access, refresh = new_key("fgo_"), new_key("fgr_")
        asked = {
            "client": client.proof, "code": code, "redirect_uri": REDIRECT, "challenge": CHALLENGE,
            "access": _mark(access), "refresh": _mark(refresh),
        }  # fmt: skip
        return Pair(access, refresh, await self.give.for_code(ExchangeCode(**(asked | changed))))  # type: ignore[arg-type]

    async def refresh(self, client: Client, token: str, scopes: Sequence[str] | None = None) -> Pair:
        access, refresh = new_key("fgo_"), new_key("fgr_")
        asked = RefreshTokens(
            client=client.proof, token=digests_of(token), scopes=None if scopes is None else tuple(scopes),
            access=_mark(access), refresh=_mark(refresh),
        )  # fmt: skip
        return Pair(access, refresh, await self.give.for_refresh(asked))

    async def pair(self, user: User, client: Client, **changed: object) -> Pair:
        """The first tokens of a fresh grant."""
        code, _ = await self.allow(user, client, **changed)
        return await self.exchange(client, code)

    async def holder(self, token: str) -> TokenHolder | None:
        return await self.tokens.find([each.digest for each in digests_of(token)])

    async def works(self, token: str) -> bool:
        """Whether a call with this token would be let in."""
        holder = await self.holder(token)
        try:
            return holder is not None and bool(token_principal_of(holder, self.clock.now()))
        except InvalidApiKey:
            return False

    async def known(self, client: Client) -> KnownClient:
        found = await self.apps.client(client.app.app_id)
        assert found is not None
        return found

    async def last_entry(self, org_id: uuid.UUID) -> AuditEntry:
        return (await self.accounts.audit_page(org_id, limit=1, before=None))[0]

    async def av(self, org_id: uuid.UUID) -> int:
        return (await self.accounts.organization(org_id)).av


def _mark(text: str) -> KeyDigest:
    return digests_of(text)[0]

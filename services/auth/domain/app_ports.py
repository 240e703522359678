"""What the use cases of apps and of sign-in need from outside. `Accounts` and `Change` are in `ports.py`; these are wider."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from libs.common.contracts.auth import Actor
from services.auth.domain.app import App, Domain, KnownClient, ListedApp, Method, Secret
from services.auth.domain.grant import Code, Grant, ListedGrant, Token, TokenHolder
from services.auth.domain.ports import Accounts, Change
from services.auth.domain.sign_in import BrowserSession, Login, PasswordLink, PasswordLinkView, SignedIn


class AppChange(Change, Protocol):
    """A change with the writes of apps, grants and sign-in. What moves nobody's rights leaves the auth version alone, and says so."""

    async def app(self, app_id: uuid.UUID) -> App:
        """Raises NotFound, also for an app of another organization or one that was deleted."""
        ...

    async def count_apps(self, user_id: uuid.UUID) -> int:
        """Apps that a user answers for."""
        ...

    async def add_app(self, app: App) -> None: ...

    async def update_app(self, old: App, new: App) -> None:
        """Name, stage, URLs and state of `new` from now on."""
        ...

    async def domains(self, app_id: uuid.UUID) -> list[Domain]: ...

    async def add_domain(self, app_id: uuid.UUID, domain: Domain) -> None: ...

    async def verify_domain(self, app_id: uuid.UUID, domain: str, method: Method, at: datetime) -> None: ...

    async def secrets(self, app_id: uuid.UUID) -> list[Secret]:
        """Oldest first, ended ones too."""
        ...

    async def add_secret(self, app_id: uuid.UUID, secret: Secret) -> None: ...

    async def end_secret(self, secret: Secret, at: datetime) -> None:
        """It works until `at`, which may lie ahead."""
        ...

    async def live_grant(self, app_id: uuid.UUID, user_id: uuid.UUID, model_id: uuid.UUID) -> Grant | None: ...

    async def grant(self, grant_id: uuid.UUID) -> Grant:
        """Raises NotFound, also for a grant of another organization's user."""
        ...

    async def grants_of_app(self, app_id: uuid.UUID) -> list[Grant]:
        """Those of this organization's users that were not revoked."""
        ...

    async def add_grant(self, grant: Grant) -> None: ...

    async def revoke_grant(self, grant: Grant, at: datetime, *, reason: str = "") -> None:
        """It ends with all its tokens from the commit on. One revoked earlier keeps its date."""
        ...

    async def end_tokens(
        self, grant_id: uuid.UUID, family_id: uuid.UUID, token_id: uuid.UUID | None, at: datetime
    ) -> bool:
        """A family of tokens ends, or one of it. False: all that had ended before."""
        ...

    async def add_code(self, code: Code) -> None:
        """Moves nobody's rights."""
        ...

    def touch(self) -> None:
        """Raise the auth version although no row here changed: what principals are made of changed elsewhere."""
        ...

    async def password(self, user_id: uuid.UUID) -> str | None:
        """The digest of a user's password."""
        ...

    async def add_password_link(self, link: PasswordLink) -> None:
        """In the place of an earlier one. Moves nobody's rights."""
        ...

    async def end_password_link(self, user_id: uuid.UUID, at: datetime, digest: str) -> bool:
        """False: it was not open any more."""
        ...

    async def add_session(self, session: BrowserSession) -> None:
        """Moves nobody's rights."""
        ...

    async def end_sessions(self, user_id: uuid.UUID, at: datetime) -> None:
        """All sessions of a user end. They are asked about at every page, so no auth version moves."""
        ...


class AppAccounts(Accounts, Protocol):
    """Accounts whose changes know apps and sign-in."""

    def change(self, org_id: uuid.UUID, by: Actor | None = None) -> AbstractAsyncContextManager[AppChange]: ...


class AppsRead(Protocol):
    """Apps and grants, to look at."""

    async def organization_of_app(self, app_id: uuid.UUID) -> uuid.UUID:
        """Raises NotFound. For the operator, and for who holds the client id."""
        ...

    async def app(self, org_id: uuid.UUID, app_id: uuid.UUID) -> ListedApp:
        """Deleted ones too. Raises NotFound, also for an app of another organization."""
        ...

    async def page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[list[ListedApp], int]:
        """Oldest first, without deleted ones; and how many there are on all pages."""
        ...

    async def client(self, app_id: uuid.UUID) -> KnownClient | None:
        """An app as the OAuth endpoints meet it, whatever its state."""
        ...

    async def rewrite_secret(self, secret: Secret, *, pepper: str, digest: str) -> None:
        """Store a secret under another pepper. Idempotent."""
        ...

    async def grant(self, org_id: uuid.UUID, grant_id: uuid.UUID) -> ListedGrant:
        """Raises NotFound."""
        ...

    async def grant_page(
        self, org_id: uuid.UUID, *, limit: int, offset: int, user_id: uuid.UUID | None, is_live: bool
    ) -> tuple[list[ListedGrant], int]:
        """Newest first; and how many there are on all pages."""
        ...

    async def organizations_granting(self, app_id: uuid.UUID) -> list[uuid.UUID]:
        """Whose users have grants to an app that were not revoked."""
        ...

    async def apps_behind(self, org_id: uuid.UUID, user_id: uuid.UUID | None) -> list[uuid.UUID]:
        """Apps of an organization (or of one user of it) that were not deleted."""
        ...

    async def dead_grants(self) -> list[tuple[uuid.UUID, uuid.UUID]]:
        """(organization, grant) that were not revoked though the app, or the user, is no more. A portion."""
        ...


class TokenTurn(Protocol):
    """One transaction that holds a grant's row: what happens to its tokens happens one after another."""

    async def holder(self, digests: Sequence[str]) -> TokenHolder | None: ...

    async def grant(self, grant_id: uuid.UUID) -> Grant: ...

    async def code(self, digest: str) -> Code | None: ...

    async def use_code(self, code: Code, at: datetime) -> None: ...

    async def replace_refresh(self, family_id: uuid.UUID, at: datetime) -> None:
        """The family's refresh token works a moment longer, and no more."""
        ...

    async def add(self, token: Token) -> None: ...


class Tokens(Protocol):
    """Codes and tokens of apps."""

    async def find(self, digests: Sequence[str]) -> TokenHolder | None:
        """The holder of the token stored under one of `digests`, whatever its state; all of it as of one instant."""
        ...

    async def find_code(self, digest: str) -> Code | None: ...

    def turn(self, grant_id: uuid.UUID) -> AbstractAsyncContextManager[TokenTurn]:
        """Commits when the block ends, rolls back when it raises."""
        ...

    async def forget(self, codes_before: datetime, tokens_before: datetime) -> int:
        """Drop a portion of what expired before; how many."""
        ...


class SignIns(Protocol):
    """Sessions and log-ins, to look up."""

    async def login(self, email: str) -> Login | None:
        """The active or suspended user with an address, in any case of letters."""
        ...

    async def session(self, digests: Sequence[str]) -> SignedIn | None:
        """Whatever its state."""
        ...

    async def saw(self, session: BrowserSession, at: datetime) -> None:
        """It is in use."""
        ...

    async def end(self, session: BrowserSession, at: datetime) -> None: ...

    async def find_link(self, digest: str, now: datetime) -> PasswordLinkView | None:
        """The open link with this digest that has not expired by `now`."""
        ...

    async def organization_of_user(self, user_id: uuid.UUID) -> uuid.UUID:
        """Raises NotFound. For the operator only."""
        ...

    async def forget(self, before: datetime) -> int:
        """Drop a portion of the sessions that expired before; how many."""
        ...


class Passwords(Protocol):
    """Digests of passwords. Slow on purpose; raises Unavailable when too many wait."""

    async def digest(self, password: str) -> str: ...

    async def is_right(self, digest: str | None, password: str) -> bool:
        """None takes as long, and is wrong."""
        ...

    def is_outdated(self, digest: str) -> bool:
        """Whether today's parameters are others."""
        ...


class DomainProofs(Protocol):
    """What stands at a domain. Both raise Conflict, saying what was met, where it cannot be read."""

    async def texts(self, name: str) -> list[str]:
        """The TXT records of a name."""
        ...

    async def well_known(self, domain: str) -> str:
        """The beginning of what `https://<domain>/.well-known/fangate-domain-verification` answers."""
        ...


class SealedPasswords(Protocol):
    """Opens what the edge sealed."""

    def password(self, sealed: bytes, *, bound_to: bytes) -> str:
        """Raises InvalidRequest: sealed to a key that is gone, or for something else."""
        ...

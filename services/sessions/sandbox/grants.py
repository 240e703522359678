"""Consents of the sandbox platform, as an authorization server keeps them: codes, families of tokens, one client. No HTTP here.

A refresh token works once. One that comes a second time means that two hold it, so its whole family ends (RFC 9700 §4.14); the
same goes for a code that comes twice.
"""

import base64
import hashlib
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from services.sessions.sandbox.data.account import Account

TOKEN_SECONDS: Final = 3_600.0
GRACE_SECONDS: Final = 30.0  # how long the access token before a renewal still works: calls on their way keep theirs
CODE_SECONDS: Final = 60.0
GRANTS_MAX: Final = 20_000
CODES_MAX: Final = 10_000

GrantError = Literal["invalid_grant", "invalid_request"]


class GrantRefusedError(Exception):
    """An error of the token endpoint (RFC 6749 §5.2)."""

    def __init__(self, error: GrantError, why: str) -> None:
        self.error, self.why = error, why
        super().__init__(f"{error}: {why}")


@dataclass(frozen=True, slots=True)
class Client:
    """The one app that is registered here; empty = none is."""

    client_id: str = ""
    client_secret: str = ""
    redirect_url: str = ""

    def is_it(self, client_id: str, client_secret: str) -> bool:
        """Whether these are its id and secret."""
        ours = f"{self.client_id} {self.client_secret}".encode()
        return bool(self.client_id) and secrets.compare_digest(ours, f"{client_id} {client_secret}".encode())


@dataclass(eq=False, slots=True)
class Grant:
    """What one account allowed, once: a family of tokens."""

    account: Account
    scopes: tuple[str, ...]
    refresh: str = ""
    access: dict[str, float] = field(default_factory=dict)  # token -> its end
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A code that was given out, and what it was asked with."""

    account: Account
    scopes: tuple[str, ...]
    redirect_url: str
    challenge: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """The answer of the token endpoint."""

    access: str
    refresh: str
    seconds: int
    scopes: tuple[str, ...]


class Grants:
    """Those of this process. `now` counts seconds; `counts` is told of renewals, reuses and revocations."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.client = Client()
        self.issuer = ""  # who this server says it is (RFC 9207)
        self.token_seconds = TOKEN_SECONDS
        self.counts: Counter[str] = Counter()
        self._codes: dict[str, Asked] = {}
        self._used_codes: dict[str, Grant] = {}
        self._by_access: dict[str, Grant] = {}
        self._by_refresh: dict[str, Grant] = {}  # used ones too, to know them again
        self._grants: list[Grant] = []

    def give_code(self, account: Account, scopes: tuple[str, ...], redirect_url: str, challenge: str) -> str:
        """A code for what was just allowed."""
        if len(self._codes) >= CODES_MAX:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(32)
        self._codes[code] = Asked(account, scopes, redirect_url, challenge, self._now() + CODE_SECONDS)
        return code

    def exchange(self, code: str, redirect_url: str, verifier: str) -> Tokens:
        """Tokens for a code. Raises GrantRefusedError."""
        if code in self._used_codes:
            self.counts["reuses"] += 1
            self._end(self._used_codes[code])
            raise GrantRefusedError("invalid_grant", "the code was used before")
        asked = self._codes.pop(code, None)
        if asked is None or asked.ends_at < self._now():
            raise GrantRefusedError("invalid_grant", "the code is not known, or too old")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if asked.redirect_url != redirect_url or not secrets.compare_digest(challenge, asked.challenge):
            raise GrantRefusedError("invalid_grant", "redirect_uri or code_verifier do not match")
        self._make_room()
        grant = Grant(asked.account, asked.scopes)
        self._grants.append(grant)
        self._used_codes[code] = grant
        self.counts["exchanges"] += 1
        return self._issue(grant)

    def renew(self, refresh: str) -> Tokens:
        """Fresh tokens for a refresh token, which is used up by that. Raises GrantRefusedError."""
        grant = self._by_refresh.get(refresh)
        if grant is None or grant.is_over:
            raise GrantRefusedError("invalid_grant", "the refresh token is not known")
        if grant.refresh != refresh:
            self.counts["reuses"] += 1
            self._end(grant)
            raise GrantRefusedError("invalid_grant", "the refresh token was used before")
        self.counts["renewals"] += 1
        soon = self._now() + GRACE_SECONDS
        grant.access = {token: min(end, soon) for token, end in grant.access.items()}
        return self._issue(grant)

    def revoke(self, token: str) -> None:
        """End the family of a token; one that is not known is fine (RFC 7009 §2.2)."""
        grant = self._by_refresh.get(token) or self._by_access.get(token)
        if grant is not None and not grant.is_over:
            self.counts["revocations"] += 1
            self._end(grant)

    def grant_of(self, access: str) -> Grant | None:
        """The living grant of an access token."""
        grant = self._by_access.get(access)
        if grant is None or grant.is_over or grant.access.get(access, 0.0) < self._now():
            return None
        return grant

    def expire(self, account: int | None = None) -> int:
        """End the access tokens of one account, or all; the grants live on. Returns how many grants that were."""
        hit = [grant for grant in self._living() if account in (None, grant.account.id)]
        for grant in hit:
            grant.access = dict.fromkeys(grant.access, 0.0)
        return len(hit)

    def withdraw(self, account: int | None = None) -> int:
        """The user of one account, or every user, ends the consents at the platform. Returns how many."""
        hit = [grant for grant in self._living() if account in (None, grant.account.id)]
        for grant in hit:
            self._end(grant)
        return len(hit)

    def living(self) -> int:
        """How many grants there are."""
        return len(self._living())

    def _living(self) -> list[Grant]:
        return [grant for grant in self._grants if not grant.is_over]

    def _issue(self, grant: Grant) -> Tokens:
        access, refresh = f"at_{secrets.token_urlsafe(32)}", f"rt_{secrets.token_urlsafe(32)}"
        grant.access[access] = self._now() + self.token_seconds
        grant.refresh = refresh
        self._by_access[access] = self._by_refresh[refresh] = grant
        return Tokens(access, refresh, max(1, int(self.token_seconds)), grant.scopes)

    def _end(self, grant: Grant) -> None:
        grant.is_over = True
        grant.access.clear()

    def _make_room(self) -> None:
        """Forget the oldest grant of a full book, and its tokens."""
        if len(self._grants) < GRANTS_MAX:
            return
        oldest = self._grants.pop(0)
        for book in (self._by_access, self._by_refresh, self._used_codes):
            for token in [token for token, grant in book.items() if grant is oldest]:
                del book[token]

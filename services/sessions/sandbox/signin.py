"""Sign-in of the sandbox: passwords, two-factor challenges, sessions with an end. The dialect `session` of a platform."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.sessions.sandbox.calls import PlatformError
from services.sessions.sandbox.data.account import Account, account_id_of

PASSWORD: Final = "sandbox-demo-password"  # noqa: S105 - printed in the README: it opens nothing but the sandbox
TWO_FACTOR_CODE: Final = "123456"
DOMAIN: Final = "@sandbox.test"
COOKIE: Final = "sandbox_session"

SESSION_SECONDS: Final = 3_600.0
GRACE_SECONDS: Final = 30.0  # how long a renewed session's old cookie still works: calls on their way keep theirs
CHALLENGE_SECONDS: Final = 300.0
ACCOUNTS_MAX: Final = 20_000
SESSIONS_MAX: Final = 100_000
CHALLENGES_MAX: Final = 10_000


@dataclass(slots=True)
class Session:
    """Who a cookie belongs to, and until when."""

    account: Account
    ends_at: float


class SignIn:
    """Accounts and sessions of this process. `now` counts seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._accounts: dict[str, Account] = {}
        self._sessions: dict[str, Session] = {}
        self._challenges: dict[str, tuple[str, float]] = {}  # challenge -> (e-mail, end)
        self.session_seconds = SESSION_SECONDS

    def log_in(self, email: str, password: str) -> tuple[str | None, str]:
        """(cookie, "") or, where a code is asked for, (None, challenge). PlatformError 401 for wrong credentials."""
        account = self.known(email, password)
        if account.email.startswith("two-factor"):
            _make_room(self._challenges, CHALLENGES_MAX)
            challenge = secrets.token_urlsafe(24)
            self._challenges[challenge] = (account.email, self._now() + CHALLENGE_SECONDS)
            return None, challenge
        return self._open(account), ""

    def known(self, email: str, password: str) -> Account:
        """Whose credentials these are. PlatformError 401 for wrong ones."""
        account = self.account(email)
        if account is None or not secrets.compare_digest(password.encode(), PASSWORD.encode()):
            raise PlatformError(401, "invalid_credentials", "E-mail or password is wrong")
        return account

    def account(self, email: str) -> Account | None:
        """The account of an address; None for one that is not the sandbox's."""
        email = email.strip().lower()
        return self._account(email) if email.endswith(DOMAIN) else None

    def confirm(self, challenge: str, code: str) -> str:
        """The cookie for a challenge and its code. PlatformError 410 for an old challenge, 401 for a wrong code."""
        email, ends_at = self._challenges.get(challenge, ("", 0.0))
        if not email or ends_at < self._now():
            self._challenges.pop(challenge, None)
            raise PlatformError(410, "challenge_expired", "Sign in again")
        if not secrets.compare_digest(code.encode(), TWO_FACTOR_CODE.encode()):
            raise PlatformError(401, "wrong_code", "The code is wrong")
        del self._challenges[challenge]
        return self._open(self._account(email))

    def renew(self, cookie: str) -> str:
        """A fresh cookie for a living session; PlatformError 401 for a dead one."""
        if (session := self._living(cookie)) is None:
            raise PlatformError(401, "session_expired", "Sign in again")
        session.ends_at = min(session.ends_at, self._now() + GRACE_SECONDS)
        return self._open(session.account)

    def log_out(self, cookie: str) -> None:
        self._sessions.pop(cookie, None)

    def account_of(self, cookie: str) -> Account | None:
        """Whose living session this is."""
        session = self._living(cookie)
        return session.account if session else None

    def expire(self, account: int | None = None) -> int:
        """End all sessions, or those of one account; returns how many."""
        ended = [
            cookie for cookie, session in self._sessions.items() if account is None or session.account.id == account
        ]
        for cookie in ended:
            del self._sessions[cookie]
        return len(ended)

    def _living(self, cookie: str) -> Session | None:
        session = self._sessions.get(cookie)
        if session is not None and session.ends_at < self._now():
            del self._sessions[cookie]
            return None
        return session

    def _open(self, account: Account) -> str:
        _make_room(self._sessions, SESSIONS_MAX)
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = Session(account, self._now() + self.session_seconds)
        return cookie

    def _account(self, email: str) -> Account:
        if email not in self._accounts:
            if len(self._accounts) >= ACCOUNTS_MAX:
                raise PlatformError(503, "full", f"The sandbox holds {ACCOUNTS_MAX} accounts")
            self._accounts[email] = Account(account_id_of(email), email)
        return self._accounts[email]


def _make_room(kept: dict[str, object] | dict[str, Session] | dict[str, tuple[str, float]], most: int) -> None:
    """Drop the oldest entry of a full table."""
    if len(kept) >= most:
        del kept[next(iter(kept))]

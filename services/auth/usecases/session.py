"""Sessions of browsers: one begins with a password, is asked about at every page, and ends."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor, KeyDigest
from libs.common.ids import uuid7
from services.auth.domain import app_audit
from services.auth.domain.app_ports import AppAccounts, Passwords, SealedPasswords, SignIns
from services.auth.domain.organization import OrganizationState, UserState
from services.auth.domain.sign_in import SEEN_GRAIN, SESSION_LIFE, BrowserSession, Login, SignedIn


@dataclass(frozen=True, slots=True)
class ShowSession:
    """Who is signed in by a cookie, or None. Using it keeps it alive."""

    sign_ins: SignIns
    clock: Clock

    async def __call__(self, digests: Sequence[KeyDigest]) -> SignedIn | None:
        found, now = await self.sign_ins.session([each.digest for each in digests]), self.clock.now()
        if found is None or not found.stands(now):
            return None
        if now - found.session.seen_at >= SEEN_GRAIN:
            await self.sign_ins.saw(found.session, now)
        return found


@dataclass(frozen=True, slots=True)
class SignIn:
    """Begin a session, under an id that nobody had before. None: the address or the password is not right, or its user or organization
    may not act; which, is not told, and takes as long.

    Raises InvalidRequest (the form cannot be opened), Unavailable (too many at once).
    """

    accounts: AppAccounts
    sign_ins: SignIns
    passwords: Passwords
    sealed: SealedPasswords
    clock: Clock

    async def __call__(
        self, *, email: str, sealed: bytes, session: Sequence[KeyDigest], address: str
    ) -> SignedIn | None:
        mark, now = session[0], self.clock.now()
        password = self.sealed.password(sealed, bound_to=bytes.fromhex(mark.digest))
        login = await self.sign_ins.login(email.strip())
        is_right = await self.passwords.is_right(None if login is None else login.digest, password)
        if login is None or not is_right or not _may(login):
            return None
        user = login.user
        renewed = None
        if login.digest is not None and self.passwords.is_outdated(login.digest):
            renewed = await self.passwords.digest(password)
        async with self.accounts.change(user.org_id, Actor(user_id=user.user_id, address=address)) as change:
            await change.add_session(
                BrowserSession(
                    session_id=uuid7(), digest=mark.digest, pepper=mark.pepper, org_id=user.org_id,
                    user_id=user.user_id, created_at=now, seen_at=now, expires_at=now + SESSION_LIFE, address=address,
                )
            )  # fmt: skip
            if renewed is not None:
                await change.set_password(user.user_id, renewed, now)
        return await self.sign_ins.session([mark.digest])


@dataclass(frozen=True, slots=True)
class SignOut:
    """End a session, or all of its user's; repeating it is safe."""

    accounts: AppAccounts
    sign_ins: SignIns
    clock: Clock

    async def __call__(self, digests: Sequence[KeyDigest], *, is_everywhere: bool) -> None:
        found, now = await self.sign_ins.session([each.digest for each in digests]), self.clock.now()
        if found is None:
            return
        if not is_everywhere or not found.stands(now):
            await self.sign_ins.end(found.session, now)
            return
        user = found.user
        async with self.accounts.change(user.org_id, Actor(user_id=user.user_id)) as change:
            await change.end_sessions(user.user_id, now)
            change.did(app_audit.signed_out_everywhere(user.user_id))


def _may(login: Login) -> bool:
    return login.user.state is UserState.ACTIVE and login.org_state is OrganizationState.ACTIVE

"""Sessions and log-ins on Postgres, one indexed query a look-up."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from libs.common.db.pool import Database
from services.auth.domain.errors import NotFound
from services.auth.domain.sign_in import BrowserSession, Login, PasswordLinkView, SignedIn
from services.auth.store.app_rows import login_of, password_link_of, signed_in_of
from services.auth.store.sign_in_writes import SIGN_IN


class PostgresSignIns:
    """The port `SignIns`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def login(self, email: str) -> Login | None:
        row = await self._db.fetchrow(SIGN_IN.find_login, email)
        return None if row is None else login_of(row)

    async def session(self, digests: Sequence[str]) -> SignedIn | None:
        row = await self._db.fetchrow(SIGN_IN.find_session, [bytes.fromhex(digest) for digest in digests])
        return None if row is None else signed_in_of(row)

    async def saw(self, session: BrowserSession, at: datetime) -> None:
        await self._db.execute(SIGN_IN.saw_session, session.session_id, at)

    async def end(self, session: BrowserSession, at: datetime) -> None:
        await self._db.execute(SIGN_IN.end_session, session.session_id, at)

    async def find_link(self, digest: str, now: datetime) -> PasswordLinkView | None:
        row = await self._db.fetchrow(SIGN_IN.find_password_link, bytes.fromhex(digest), now)
        return None if row is None else password_link_of(row)

    async def organization_of_user(self, user_id: uuid.UUID) -> uuid.UUID:
        found: uuid.UUID | None = await self._db.fetchval(SIGN_IN.find_organization_of_user, user_id)
        if found is None:
            raise NotFound("User not found")
        return found

    async def forget(self, before: datetime) -> int:
        return len(await self._db.fetch(SIGN_IN.forget_sessions, before))

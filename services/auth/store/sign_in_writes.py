"""The writes of a change that are about people who sign in. `PostgresChange` brings the transaction."""

import abc
import uuid
from datetime import datetime
from typing import Final

from libs.common.db.pool import Tx
from libs.common.db.queries import load_queries
from services.auth.domain import app_audit
from services.auth.domain.audit import Deed
from services.auth.domain.sign_in import BrowserSession, PasswordLink

SIGN_IN: Final = load_queries(__package__, "sign_in.sql")


class SignInWrites(abc.ABC):
    """Part of a change. None of it moves what a principal is made of: sessions are asked about at every page."""

    _tx: Tx
    _org_id: uuid.UUID

    @abc.abstractmethod
    async def _note(self, sql: str, *args: object, deed: Deed | None) -> None:
        """Write what moves nobody's rights."""

    async def password(self, user_id: uuid.UUID) -> str | None:
        digest: str | None = await self._tx.fetchval(SIGN_IN.get_password, self._org_id, user_id)
        return digest

    async def set_password(self, user_id: uuid.UUID, digest: str, at: datetime) -> None:
        deed = app_audit.password_set(user_id)
        await self._note(SIGN_IN.set_password, self._org_id, user_id, digest, at, deed=deed)

    async def add_password_link(self, link: PasswordLink) -> None:
        await self._note(SIGN_IN.end_password_link, self._org_id, link.user_id, link.created_at, None, deed=None)
        await self._note(
            SIGN_IN.add_password_link, bytes.fromhex(link.digest), self._org_id, link.user_id, link.created_at,
            link.expires_at, deed=app_audit.password_link_made(link.user_id, link.expires_at),
        )  # fmt: skip

    async def end_password_link(self, user_id: uuid.UUID, at: datetime, digest: str) -> bool:
        ended = await self._tx.fetch(SIGN_IN.end_password_link, self._org_id, user_id, at, bytes.fromhex(digest))
        return bool(ended)

    async def add_session(self, session: BrowserSession) -> None:
        await self._note(
            SIGN_IN.add_session, session.session_id, bytes.fromhex(session.digest), session.pepper, self._org_id,
            session.user_id, session.created_at, session.expires_at, session.address,
            deed=app_audit.signed_in(session.session_id),
        )  # fmt: skip

    async def end_sessions(self, user_id: uuid.UUID, at: datetime) -> None:
        await self._note(SIGN_IN.end_sessions, self._org_id, user_id, at, deed=None)

"""An app asks a user for access: who the app is, and what becomes of the user's word."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.apps import Authorize, Authorized, Client, ClientAnswer, GetClient
from libs.common.contracts.sign_in import SessionShown
from services.edge.domain.ports import Services, VersionedAdmission
from services.edge.usecases.bring_versions import bring_to_every_edge
from services.edge.usecases.keep_session import KeepSession

ANSWER_MS: Final = 5_000
CODE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class AuthorizeApp:
    """Both verbs raise Refusal: the service's own (400, 403), 503, 504."""

    services: Services
    sessions: KeepSession
    versions: VersionedAdmission
    clock: Clock

    async def client(self, client_id: UUID, redirect_uri: str, who: SessionShown | None) -> Client | None:
        """The app, if there is such a one and the redirect is its own."""
        command = GetClient(
            client_id=client_id, redirect_uri=redirect_uri, user_id=None if who is None else who.user_id
        )
        reply = await self.services.ask(
            command, org_id=None, deadline_ms=self.clock.now_ms() + ANSWER_MS, may_repeat=True
        )
        assert isinstance(reply, ClientAnswer)
        return reply.client

    async def allow(
        self, cookie: str, client_id: UUID, redirect_uri: str, *, scopes: tuple[str, ...], model_id: UUID, challenge: str,
        address: str,
    ) -> str:  # fmt: skip
        """The code that the app gets. It is made here, and auth knows it by its digest."""
        code = secrets.token_urlsafe(CODE_BYTES)
        command = Authorize(
            session=self.sessions.digests(cookie), client_id=client_id, redirect_uri=redirect_uri, scopes=scopes,
            model_id=model_id, challenge=challenge, code=code_digest(code), address=address,
        )  # fmt: skip
        reply = await self.services.ask(
            command, org_id=None, deadline_ms=self.clock.now_ms() + ANSWER_MS, may_repeat=False
        )
        assert isinstance(reply, Authorized)
        await bring_to_every_edge(self.versions, reply.org_id, reply)  # another grant may have ended by it
        return code


def code_digest(code: str) -> bytes:
    """The name under which auth knows a code."""
    return hashlib.sha256(code.encode()).digest()

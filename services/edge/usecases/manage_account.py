"""What who is signed in does on the pages of the account: the own key, the apps that were allowed something."""

from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.apps import Grant, Grants, ListGrants, RevokeGrant
from libs.common.contracts.auth import Actor, Moving
from libs.common.contracts.envelope import Message
from libs.common.contracts.models import ListModels, ModelPage, ModelShown
from libs.common.contracts.personal_keys import (
    CallSeen,
    CallsSeen,
    GetPersonalKey,
    ListCalls,
    PersonalKey,
    PersonalKeyFound,
    RevokePersonalKey,
)
from libs.common.contracts.sign_in import IssueOwnKey, OwnKeyIssued, SessionShown
from services.edge.domain.ports import SealedPasswords, Services, VersionedAdmission
from services.edge.domain.refusal import Refusal
from services.edge.domain.reply_key import reply_key, secret_of
from services.edge.usecases.bring_versions import bring_to_every_edge
from services.edge.usecases.keep_session import KeepSession

ANSWER_MS: Final = 5_000
CALLS_SHOWN: Final = 20
GRANTS_SHOWN: Final = 200
MODELS_SHOWN: Final = 200  # in a list to choose from


@dataclass(frozen=True, slots=True)
class ManageAccount:
    """Every verb raises Refusal: the service's own (400, 403, 404, 409), 503, 504. What takes rights away is in force everywhere
    when it returns.
    """

    services: Services
    sessions: KeepSession
    passwords: SealedPasswords
    versions: VersionedAdmission
    clock: Clock

    async def key(self, who: SessionShown) -> PersonalKey | None:
        """The key that is not revoked."""
        try:
            reply = await self._ask(GetPersonalKey(org_id=who.org_id, user_id=who.user_id), who)
        except Refusal as exc:
            if exc.code != "NOT_FOUND":
                raise
            return None
        assert isinstance(reply, PersonalKeyFound)
        return reply.key

    async def calls(self, who: SessionShown, key_id: UUID) -> tuple[CallSeen, ...]:
        """What was called with the key lately."""
        reply = await self._ask(ListCalls(org_id=who.org_id, key_id=key_id, limit=CALLS_SHOWN), who)
        assert isinstance(reply, CallsSeen)
        return reply.calls

    async def issue_key(
        self, who: SessionShown, cookie: str, password: str, *, label: str, scopes: tuple[str, ...], model_id: UUID | None,
        address: str,
    ) -> str:  # fmt: skip
        """A key in the place of the one before; the text is known here and to its owner."""
        if model_id is not None and model_id not in {each.model_id for each in await self.models(who)}:
            raise Refusal("INVALID_REQUEST", "Choose one of the models")
        digests = self.sessions.digests(cookie)
        sealed = await self.passwords.seal(password, bound_to=bytes.fromhex(digests[0].digest))
        token = token_urlsafe(32)
        reply = await self._ask(
            IssueOwnKey(
                session=digests, sealed=sealed, label=label, scopes=scopes, model_id=model_id, address=address,
                reply_key=reply_key(token).public,
            ),
            who, may_repeat=False,
        )  # fmt: skip
        assert isinstance(reply, OwnKeyIssued)
        return secret_of(reply, token, bound_to=reply.key_id)

    async def revoke_key(self, who: SessionShown, *, address: str) -> None:
        """The key ends."""
        by = Actor(user_id=who.user_id, address=address)
        await self._ask(RevokePersonalKey(org_id=who.org_id, by=by, user_id=who.user_id), who)

    async def grants(self, who: SessionShown) -> tuple[Grant, ...]:
        """The apps that the user allowed something, and did not take it back."""
        command = ListGrants(org_id=who.org_id, user_id=who.user_id, is_live=True, limit=GRANTS_SHOWN)
        reply = await self._ask(command, who)
        assert isinstance(reply, Grants)
        return reply.grants

    async def revoke_grant(self, who: SessionShown, grant_id: UUID, *, address: str) -> None:
        """An app is allowed nothing any more."""
        by = Actor(user_id=who.user_id, address=address)
        await self._ask(RevokeGrant(org_id=who.org_id, by=by, grant_id=grant_id, user_id=who.user_id), who)

    async def models(self, who: SessionShown) -> tuple[ModelShown, ...]:
        """The organization's models, to choose from."""
        reply = await self._ask(ListModels(org_id=who.org_id, limit=MODELS_SHOWN, sandbox_only=who.is_sandbox), who)
        assert isinstance(reply, ModelPage)
        return reply.models

    async def _ask(self, command: Message, who: SessionShown, *, may_repeat: bool = True) -> Message:
        reply = await self.services.ask(
            command, org_id=who.org_id, deadline_ms=self.clock.now_ms() + ANSWER_MS, may_repeat=may_repeat
        )
        if isinstance(reply, Moving):
            await bring_to_every_edge(self.versions, who.org_id, reply)
        return reply

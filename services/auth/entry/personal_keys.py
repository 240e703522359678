"""The commands behind `/api/personal-key`: a user's own key, and what was called with it."""

import uuid

from libs.common.bus import Consumer
from libs.common.clock import Clock
from libs.common.contracts import personal_keys
from libs.common.contracts.envelope import Context
from services.auth.domain.key import Key, key_window
from services.auth.domain.ports import Accounts, CallRecords
from services.auth.entry.shown_once import shown_once
from services.auth.usecases import UseCases
from services.auth.usecases.issue_personal_key import PersonalKeyOrder


class PersonalKeyDesk:
    """One method a command."""

    def __init__(self, do: UseCases, accounts: Accounts, records: CallRecords, clock: Clock) -> None:
        self._do = do
        self._accounts = accounts
        self._records = records
        self._clock = clock

    def serving(self, consumer: Consumer) -> Consumer:
        """`consumer` with a handler for each command."""
        return (
            consumer.on(personal_keys.GetPersonalKey, self.get)
            .on(personal_keys.IssuePersonalKey, self.issue)
            .on(personal_keys.RevokePersonalKey, self.revoke)
            .on(personal_keys.ListCalls, self.list_calls)
        )

    async def get(self, message: personal_keys.GetPersonalKey, _context: Context) -> personal_keys.PersonalKeyFound:
        return personal_keys.PersonalKeyFound(
            key=self._shown(await self._accounts.personal_key(message.org_id, message.user_id))
        )

    async def issue(
        self, message: personal_keys.IssuePersonalKey, _context: Context
    ) -> personal_keys.PersonalKeyIssued:
        issued = await self._do.issue_personal_key(
            PersonalKeyOrder(
                org_id=message.org_id,
                user_id=message.user_id,
                label=message.label,
                scopes=None if message.scopes is None else frozenset(message.scopes),
                model_id=message.model_id,
                expires_at=message.expires_at,
                key_per_minute=message.per_minute,
                read_only=message.read_only,
                addresses=message.addresses,
                api_version=message.api_version,
                by=message.by,
            )
        )
        told = shown_once(issued.text, message.reply_key, bound_to=issued.key.key_id)
        return personal_keys.PersonalKeyIssued(
            av=issued.av, key=self._shown(issued.key), text=told.text, sealed=told.sealed
        )

    async def revoke(
        self, message: personal_keys.RevokePersonalKey, _context: Context
    ) -> personal_keys.PersonalKeyRevoked:
        key = await self._accounts.personal_key(message.org_id, message.user_id)
        av = await self._do.revoke_key(message.org_id, key.key_id, by=message.by)
        ended = await self._key(message.org_id, key.key_id)
        return personal_keys.PersonalKeyRevoked(av=av, key=self._shown(ended))

    async def list_calls(self, message: personal_keys.ListCalls, _context: Context) -> personal_keys.CallsSeen:
        # One more than asked for tells whether there is a next page.
        found = await self._records.page(
            message.org_id, message.key_id, limit=message.limit + 1, before=message.before
        )  # fmt: skip
        page = tuple(found[: message.limit])
        return personal_keys.CallsSeen(calls=page, next=page[-1].call_id if page and len(found) > len(page) else None)

    async def _key(self, org_id: uuid.UUID, key_id: uuid.UUID) -> Key:
        return (await self._accounts.listed_key(org_id, key_id)).key

    def _shown(self, key: Key) -> personal_keys.PersonalKey:
        assert key.user_id is not None
        return personal_keys.PersonalKey(
            key_id=key.key_id,
            user_id=key.user_id,
            start=key.start,
            label=key.label,
            scopes=tuple(sorted(key.scopes or ())),
            state=key.state(self._clock.now()),
            model_id=key.model_id,
            per_minute=key_window(key),
            read_only=key.read_only,
            api_version=key.api_version,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
            addresses=key.addresses,
        )

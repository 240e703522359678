"""What telling organizations about their creators needs from the truth."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from services.takedowns.domain.creator_mail import Addressee, Happening
from services.takedowns.domain.notice_mail import Envelope


class CreatorMailTx(Protocol):
    """An open transaction."""

    async def take(self, creator_id: int, *, now: datetime) -> Sequence[Happening]:
        """What nobody was told of a creator yet: told from here on, if this transaction stands."""
        ...

    async def add(
        self, mail_id: uuid.UUID, addressee: Addressee, envelope: Envelope, *, status: str, now: datetime
    ) -> None:
        """A mail that is `planned`, or only `rendered`."""
        ...


class CreatorMails(Protocol):
    """Mails to organizations."""

    def transaction(self) -> AbstractAsyncContextManager[CreatorMailTx]: ...

    async def untold(self, *, before: datetime, quiet_since: datetime, limit: int) -> Sequence[Addressee]:
        """Creators that live, of whom something happened before `before` that nobody was told, and none was mailed about since."""
        ...

    async def claim(self, *, now: datetime, until: datetime) -> tuple[uuid.UUID, int, Envelope] | None:
        """A mail that is due, with the number of this try; it is `sending` from here on, also if we vanish."""
        ...

    async def settle(
        self, mail_id: uuid.UUID, status: str, *, now: datetime, due_at: datetime | None = None, code: int | None = None
    ) -> None:
        """What became of it."""
        ...

    async def give_up_lost(self, *, now: datetime) -> None:
        """Mails whose sender vanished are `uncertain`: never sent again."""
        ...

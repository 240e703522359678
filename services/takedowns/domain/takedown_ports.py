"""Takedowns as their organizations see them."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from libs.common.contracts.notices import (
    ActionShown,
    HostShown,
    ListTakedowns,
    NoticeShown,
    TakedownAnswer,
    TakedownShown,
    TakedownSummary,
)
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.domain.progress_ports import UrlRef
from services.takedowns.domain.states import State


class Takedowns(Protocol):
    """Looked at, never changed. What is another organization's is not there."""

    async def page(self, asked: ListTakedowns, *, state: State | None) -> Sequence[TakedownShown]:
        """Newest first."""
        ...

    async def has_creator(self, org_id: uuid.UUID, creator_id: uuid.UUID) -> bool: ...

    async def has_batch(self, org_id: uuid.UUID, batch_id: uuid.UUID) -> bool: ...

    async def find(self, org_id: uuid.UUID, id_: uuid.UUID) -> tuple[UrlOwner, UrlRef, TakedownShown] | None:
        """One, with its row."""
        ...

    async def history(self, ref: UrlRef, shown: TakedownShown) -> TakedownAnswer:
        """All that happened to it."""
        ...

    async def summary(self, org_id: uuid.UUID, creator_id: uuid.UUID | None, *, now: datetime) -> TakedownSummary: ...

    async def open_action(self, org_id: uuid.UUID, ref: UrlRef) -> uuid.UUID | None:
        """The notice of what a person has to do about it."""
        ...

    async def is_being_sent(self, ref: UrlRef) -> bool:
        """Whether a notice about it is on its way at this moment."""
        ...

    async def actions(self, org_id: uuid.UUID, *, after: uuid.UUID | None, limit: int) -> Sequence[ActionShown]:
        """What a person has to do, newest first."""
        ...

    async def notice(self, org_id: uuid.UUID, notice_id: uuid.UUID) -> NoticeShown | None: ...

    async def host(self, name: str, *, now: datetime) -> HostShown | None: ...

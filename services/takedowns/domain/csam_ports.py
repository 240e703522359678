"""What reports of child sexual abuse material need from the truth."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from services.takedowns.domain.ports import UrlOwner


class CsamReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report in the queue. `urls` are shown to whoever makes it, and gone afterwards."""

    id: uuid.UUID
    org_id: uuid.UUID
    url_count: int
    reported_at: datetime
    urls: tuple[str, ...] | None = None
    closed_at: datetime | None = None
    authority: str | None = None
    reference: str | None = None


class CsamReports(Protocol):
    """The queue."""

    async def add(
        self, report_id: uuid.UUID, org_id: uuid.UUID, key_id: uuid.UUID | None, urls: Sequence[str], *, now: datetime
    ) -> None:
        """Repeating it is safe."""
        ...

    async def under_way(self, org_id: uuid.UUID, keys: Collection[bytes]) -> dict[UrlOwner, list[uuid.UUID]]:
        """Takedowns of these URLs that are not withheld yet."""
        ...

    async def withhold(self, owner: UrlOwner, url_ids: Sequence[uuid.UUID]) -> None:
        """Their text goes, and nothing is done for them any more."""
        ...

    async def waiting(self, *, limit: int) -> Sequence[CsamReport]:
        """Oldest first, without URLs."""
        ...

    async def show(self, report_id: uuid.UUID) -> CsamReport | None: ...

    async def close(self, report_id: uuid.UUID, *, by: str, authority: str, reference: str, now: datetime) -> bool:
        """The authorities were told; the URLs go. False: it is not waiting."""
        ...

    async def count_waiting(self) -> int: ...

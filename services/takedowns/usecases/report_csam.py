"""Material that shows the abuse of children: a person tells the authorities. It has a way of its own, so that nothing of the ordinary one
(canonical forms kept, dedupe, looks at pages, notices) ever sees it. What was under way by mistake stops for good.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.takedowns import CsamReported, ReportCsam
from services.takedowns.domain.csam_ports import CsamReport, CsamReports
from services.takedowns.domain.errors import InvalidRequest, ReportNotFound
from services.takedowns.domain.ports import Refunds
from services.takedowns.domain.progress_ports import Progress, UrlRef
from services.takedowns.domain.states import REFUNDABLE, Event, State
from services.takedowns.domain.url import URL_LENGTH_MAX, InvalidUrlError, UrlReader

URLS_MAX: Final = 100
WAITING_MAX: Final = 200  # shown at once
WORDS_LENGTH_MAX: Final = 200
REASON: Final = "reported to the authorities"


@dataclass(frozen=True, slots=True)
class Report:
    """Take a report in. Safe to repeat."""

    reports: CsamReports
    refunds: Refunds
    progress: Progress
    reader: UrlReader
    clock: Clock
    waits: Callable[[UUID], None]  # people are to be told that there is one

    async def __call__(self, request: ReportCsam, report_id: UUID) -> CsamReported:
        """Raises InvalidRequest."""
        _check(request.urls)
        now = self.clock.now()
        await self.reports.add(report_id, request.org_id, request.key_id, request.urls, now=now)
        self.waits(report_id)
        stopped = 0
        for owner, ids in (await self.reports.under_way(request.org_id, self._keys(request.urls))).items():
            await self.reports.withhold(owner, ids)  # first: what is told of them from here on has no URL
            await self.refunds.refund(owner, ids, to=State.REPORTED, sources=REFUNDABLE, reason=REASON)
            refs = [UrlRef(owner.creator_id, id_) for id_ in ids]
            async with self.progress.transaction() as tx:
                await tx.move(Event.REPORTED, refs, now=now, next_at=None, reason=REASON)
            stopped += len(ids)
        return CsamReported(report_id=report_id, url_count=len(request.urls), stopped=stopped)

    def _keys(self, urls: Sequence[str]) -> set[bytes]:
        """What rows of takedowns would be known by. Only looked for, never kept."""
        keys = set()
        for url in urls:
            try:
                keys.add(self.reader.read(url).key)
            except InvalidUrlError:
                continue  # then there is no takedown of it
        return keys


@dataclass(frozen=True, slots=True)
class CsamQueue:
    """What the operator's people do."""

    reports: CsamReports
    clock: Clock

    async def waiting(self) -> Sequence[CsamReport]:
        """Oldest first, without URLs."""
        return await self.reports.waiting(limit=WAITING_MAX)

    async def show(self, report_id: UUID) -> CsamReport:
        """With its URLs while it waits. Raises ReportNotFound."""
        found = await self.reports.show(report_id)
        if found is None:
            raise ReportNotFound
        return found

    async def close(self, report_id: UUID, *, by: str, authority: str, reference: str) -> CsamReport:
        """The authorities were told: who, and their number. Raises ReportNotFound, InvalidRequest."""
        for name, text in {"by": by, "authority": authority, "reference": reference}.items():
            if not 1 <= len(text.strip()) <= WORDS_LENGTH_MAX or not text.isprintable():
                raise InvalidRequest(f"{name}: one line of 1 to {WORDS_LENGTH_MAX} characters is expected")
        if not await self.reports.close(
            report_id, by=by, authority=authority, reference=reference, now=self.clock.now()
        ):
            await self.show(report_id)
            raise InvalidRequest("report: it was closed before")
        return await self.show(report_id)


def _check(urls: Sequence[str]) -> None:
    if not 1 <= len(urls) <= URLS_MAX:
        raise InvalidRequest(f"urls: 1 to {URLS_MAX} are expected")
    for at, url in enumerate(urls):
        if not 1 <= len(url.strip()) <= URL_LENGTH_MAX or "\x00" in url:
            raise InvalidRequest(f"urls[{at}]: 1 to {URL_LENGTH_MAX} characters are expected")

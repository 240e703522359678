"""The use cases of submissions on doubles: no servers, no sockets."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from libs.common.contracts.billing import CloseLease
from libs.common.contracts.creators import CreatorInput, OfficialLink, SubmitCreators
from libs.common.contracts.takedowns import BatchDebited, BatchRefunded, SubmitUrls, UrlsSubmitted
from libs.common.ids import uuid7
from services.takedowns.domain.ports import Credits, Submissions, UrlOwner
from services.takedowns.domain.url import UrlReader
from services.takedowns.usecases.refund_urls import RefundUrls, SendRefunds
from services.takedowns.usecases.register_creators import RegisterCreators
from services.takedowns.usecases.settle_batches import SettleBatches
from services.takedowns.usecases.store_batch import StoreBatch
from services.takedowns.usecases.submit_urls import SubmitUrls as Submit
from tests.support.takedowns_memory import Memory, MemoryCreators, MemoryCredits, MemoryRefunds, MemorySubmissions

ORG = uuid.UUID(int=7)
URLS = tuple(f"https://leaks.example.com/{n}" for n in range(4))
READER = UrlReader(["fangate.example.com"])  # made once: it reads the list of public suffixes
LINKS = (OfficialLink("onlyfans", "luna"),)


class SmallWorld:
    """One organization with `credits_`."""

    def __init__(self, credits_: int = 100) -> None:
        self.memory = Memory()
        self.creators = MemoryCreators(self.memory)
        self.submissions = MemorySubmissions(self.memory)
        self.refunds = MemoryRefunds(self.memory)
        self.credits = MemoryCredits(credits_)
        self.refund_urls = RefundUrls(self.refunds)
        self.send_refunds = SendRefunds(self.refunds, gather_s=0)
        self.settle_batches = SettleBatches(self.submissions, leasing_s=0)
        self.start_credits = credits_

    def submit_urls(self, *, submissions: Submissions | None = None, credits_: Credits | None = None) -> Submit:
        """The use case, with one port changed."""
        on = submissions or self.submissions
        return Submit(on, credits_ or self.credits, StoreBatch(on), READER)

    async def creator(self, name: str = "Luna") -> uuid.UUID:
        email = f"{uuid.uuid4().hex}@example.com"
        said = CreatorInput(stage_name=name, email=email, official_links=LINKS)
        await RegisterCreators(self.creators)(SubmitCreators(org_id=ORG, creators=(said,)))
        return self.memory.living(ORG)[-1].public_id

    async def submit(
        self, *groups: tuple[uuid.UUID, Sequence[str]], batch_id: uuid.UUID | None = None, do: Submit | None = None,
        **options: Any,
    ) -> UrlsSubmitted:  # fmt: skip
        body = {"groups": [{"creator_id": str(id_), "urls": list(urls)} for id_, urls in groups]}
        request = SubmitUrls(org_id=ORG, **options)
        return await (do or self.submit_urls())(request, msgspec.json.encode(body), batch_id or uuid7())

    def owner(self, creator_id: uuid.UUID) -> UrlOwner:
        (creator,) = [c for c in self.memory.tables.creators.values() if c.public_id == creator_id]
        return UrlOwner(ORG, creator.id, creator_id)

    @property
    def statuses(self) -> list[str]:
        return [row.status for row in self.memory.tables.batches.values()]

    @property
    def paid(self) -> int:
        """URLs that are stored and not refunded."""
        return sum(row.refunded_at is None for row in self.memory.tables.urls.values())

    @property
    def ledger(self) -> int:
        """What debits took less what refunds gave."""
        said = self.memory.tables.said
        debits = {each.batch_id: each.amount for each in said if isinstance(each, BatchDebited)}
        return sum(debits.values()) - sum(each.amount for each in said if isinstance(each, BatchRefunded))

    @property
    def open_leases(self) -> set[uuid.UUID]:
        """Leases that neither a debit nor a close has ended."""
        said = self.memory.tables.said
        ended = {each.batch_id for each in said if isinstance(each, BatchDebited)}
        return set(self.credits.leases) - ended - {each.lease_id for each in said if isinstance(each, CloseLease)}

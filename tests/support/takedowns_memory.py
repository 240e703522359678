"""The ports of submissions in memory: creators, batches, URLs and their refunds. A transaction works on a copy of the tables, which takes
their place at the commit; one at a time, as locks would have it.
"""

import asyncio
import contextlib
import copy
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from libs.common.contracts.billing import CloseLease
from libs.common.contracts.creators import CreatorStats
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import (
    BatchAccepted,
    BatchAnswer,
    BatchDebited,
    BatchRefunded,
    BatchShown,
    InvalidUrls,
    UrlChange,
    UrlChanged,
    UrlsSubmitted,
)
from libs.common.ids import uuid7
from services.takedowns.domain.creator import Creator
from services.takedowns.domain.errors import EmailTaken, InsufficientCredits
from services.takedowns.domain.ports import KnownBatch, KnownHost, KnownUrls, NewBatch, UrlOwner
from services.takedowns.domain.states import RECLAIMABLE, State, is_refundable
from services.takedowns.domain.submission import Candidate, Outcome, Pair, Target


class UrlRow(msgspec.Struct, kw_only=True):
    """A row of `urls`."""

    id: uuid.UUID
    url: str
    batch_id: uuid.UUID
    state: State = State.QUEUED
    attempt: int = 0
    first_notice_at: datetime | None = None
    refunded_at: datetime | None = None


class BatchRow(msgspec.Struct, kw_only=True):
    """A row of `batches`, with what hangs on it."""

    new: NewBatch
    status: str
    required: int
    created_at: datetime
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    reply: UrlsSubmitted | None = None
    settled_at: datetime | None = None
    invalid: tuple[InvalidUrls, ...] = ()
    open_refund: int = 0


class Tables(msgspec.Struct, kw_only=True):
    """Everything that is committed. `said`: what went to the bus, in order."""

    creators: dict[int, Creator] = {}
    deleted: dict[int, datetime] = {}
    purged: set[int] = set()
    stats: dict[int, Counter[str]] = {}
    hosts: dict[str, int] = {}
    batches: dict[uuid.UUID, BatchRow] = {}
    urls: dict[Pair, UrlRow] = {}
    said: list[Message] = []

    def draft(self) -> "Tables":
        """A copy that may be changed: rows are copied, what is frozen is shared."""
        return Tables(
            creators=dict(self.creators), deleted=dict(self.deleted), purged=set(self.purged),
            stats={id_: counts.copy() for id_, counts in self.stats.items()}, hosts=dict(self.hosts),
            batches={id_: msgspec.structs.replace(row, counts=row.counts.copy()) for id_, row in self.batches.items()},
            urls={pair: copy.copy(row) for pair, row in self.urls.items()}, said=list(self.said),
        )  # fmt: skip


class Memory:
    """The tables and who may change them. `now` is the test's."""

    def __init__(self, now: datetime | None = None) -> None:
        self.tables = Tables()
        self.now = now or datetime.now(UTC)
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def change(self) -> AsyncIterator[Tables]:
        """The tables, to be changed; whatever is raised leaves them as they were."""
        async with self._turn:
            draft = self.tables.draft()
            yield draft
            self.tables = draft

    def living(self, org_id: uuid.UUID) -> list[Creator]:
        return [c for c in self.tables.creators.values() if c.org_id == org_id and c.id not in self.tables.deleted]


class MemoryCreatorsTx:
    """The port `CreatorsTx`."""

    def __init__(self, tables: Tables, org_id: uuid.UUID, now: datetime) -> None:
        self._tables, self._org_id, self._now = tables, org_id, now

    def _living(self) -> list[Creator]:
        tables = self._tables
        return [c for c in tables.creators.values() if c.org_id == self._org_id and c.id not in tables.deleted]

    async def by_email(self, email_keys: Sequence[str]) -> dict[str, Creator]:
        return {c.email_key: c for c in self._living() if c.email_key in email_keys}

    async def find(self, public_id: uuid.UUID) -> Creator | None:
        return next((c for c in self._living() if c.public_id == public_id), None)

    async def add(self, creators: Sequence[Creator]) -> None:
        for creator in creators:
            id_ = len(self._tables.creators) + 1
            self._put(msgspec.structs.replace(creator, id=id_, created_at=self._now, updated_at=self._now))

    async def update(self, creators: Sequence[Creator]) -> None:
        for creator in creators:
            self._put(msgspec.structs.replace(creator, updated_at=self._now))

    def _put(self, creator: Creator) -> None:
        if any(c.email_key == creator.email_key and c.id != creator.id for c in self._living()):
            raise EmailTaken
        self._tables.creators[creator.id] = creator

    async def delete(self, creator: Creator) -> None:
        self._tables.deleted[creator.id] = self._now

    async def tell(self, message: Message) -> None:
        self._tables.said.append(message)


class MemoryCreators:
    """The port `Creators`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @contextlib.asynccontextmanager
    async def exclusive(self, org_id: uuid.UUID) -> AsyncIterator[MemoryCreatorsTx]:
        async with self._memory.change() as tables:
            yield MemoryCreatorsTx(tables, org_id, self._memory.now)

    async def find(self, org_id: uuid.UUID, public_id: uuid.UUID) -> Creator | None:
        return next((c for c in self._memory.living(org_id) if c.public_id == public_id), None)

    async def page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[Sequence[Creator], int]:
        living = self._memory.living(org_id)
        return living[offset : offset + limit], len(living)

    async def associated(self, creator: Creator) -> tuple[int, int]:
        urls = [row for (owner, _), row in self._memory.tables.urls.items() if owner == creator.id]
        return len(urls), sum(row.first_notice_at is not None for row in urls)

    async def stats(self, org_id: uuid.UUID, *, search: str) -> Sequence[CreatorStats]:
        stats = self._memory.tables.stats
        return [
            CreatorStats(
                creator_id=c.public_id, stage_name=c.stage_name,
                **{f"{name}_urls": stats.get(c.id, Counter())[name] for name in ("total", "new", "duplicate", "invalid")},
            )
            for c in self._memory.living(org_id)
            if search.casefold() in c.stage_name.casefold()
        ]  # fmt: skip

    async def purge(self, *, deleted_before: datetime, limit: int) -> int:
        async with self._memory.change() as tables:
            old = [id_ for id_, at in tables.deleted.items() if at < deleted_before and id_ not in tables.purged][
                :limit
            ]
            for id_ in old:
                tables.purged.add(id_)
                tables.creators[id_] = msgspec.structs.replace(
                    tables.creators[id_], stage_name="deleted", email="deleted", email_key="deleted", links=(), legal_name=None,
                    notification_email=None, notes=None,
                )  # fmt: skip
            return len(old)


class MemorySubmissionTx:
    """The port `SubmissionTx`."""

    def __init__(self, tables: Tables, now: datetime) -> None:
        self._tables, self._now = tables, now

    async def hold_batch(self, batch_id: uuid.UUID) -> bool:
        batch = self._tables.batches.get(batch_id)
        return batch is not None and batch.status == "leasing"

    async def hold_creators(self, ids: Collection[int]) -> set[int]:
        return {id_ for id_ in ids if id_ in self._tables.creators and id_ not in self._tables.deleted}

    async def add_urls(
        self, batch_id: uuid.UUID, candidates: Mapping[Pair, Candidate], hosts: Mapping[str, KnownHost]
    ) -> Collection[Pair]:
        assert list(candidates) == sorted(candidates), "unsorted, two of these deadlock"
        assert all(candidate.host in hosts for candidate in candidates.values())
        stored = set()
        for pair, candidate in candidates.items():
            known = self._tables.urls.get(pair)
            if known is not None and known.state not in RECLAIMABLE:
                continue
            row = UrlRow(id=uuid7(), url=candidate.href, batch_id=batch_id)
            if known is not None:
                row = UrlRow(id=known.id, url=known.url, batch_id=batch_id, attempt=known.attempt + 1)
            self._tables.urls[pair] = row
            stored.add(pair)
        return stored

    async def add_free_batch(self, batch: NewBatch) -> bool:
        if batch.id in self._tables.batches:
            return False
        row = BatchRow(new=batch, status="accepted", required=0, created_at=self._now, settled_at=self._now)
        self._tables.batches[batch.id] = row
        return True

    async def settle(
        self, batch_id: uuid.UUID, *, status: str, outcome: Outcome, debited: int, reply: UrlsSubmitted,
        invalid: Sequence[InvalidUrls],
    ) -> None:  # fmt: skip
        batch, total = self._tables.batches[batch_id], outcome.total
        assert debited <= batch.required, "what was not leased is not debited"
        batch.status, batch.reply, batch.settled_at, batch.invalid = status, reply, self._now, tuple(invalid)
        batch.counts = Counter(
            url_count=total.total, new=total.new, duplicate=total.duplicate, invalid=total.invalid, failed=outcome.failed,
            debited=debited,
        )  # fmt: skip
        for id_, tally in outcome.by_creator.items():
            self._tables.stats.setdefault(id_, Counter()).update(msgspec.structs.asdict(tally))

    async def look_again(self, pairs: Sequence[Pair]) -> None:
        assert all(self._tables.urls[pair].state is State.REMOVED for pair in pairs)

    async def tell(self, org_id: uuid.UUID, message: Message) -> None:
        del org_id
        self._tables.said.append(message)


class MemorySubmissions:
    """The port `Submissions`. `refusing`: raised by the next transactions, one each, before anything is done."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.refusing: list[Exception] = []

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[MemorySubmissionTx]:
        if self.refusing:
            raise self.refusing.pop(0)
        async with self._memory.change() as tables:
            yield MemorySubmissionTx(tables, self._memory.now)

    async def targets(self, org_id: uuid.UUID, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Target]:
        living = self._memory.living(org_id)
        return {c.public_id: Target(c.id, c.public_id, c.links) for c in living if c.public_id in ids}

    async def batch(self, batch_id: uuid.UUID) -> KnownBatch | None:
        found = self._memory.tables.batches.get(batch_id)
        return None if found is None else KnownBatch(found.new.org_id, found.status, found.reply)

    async def known(self, pairs: Sequence[Pair]) -> KnownUrls:
        urls = self._memory.tables.urls
        known = [pair for pair in pairs if pair in urls and urls[pair].state not in RECLAIMABLE]
        return KnownUrls(known, [pair for pair in known if urls[pair].state is State.REMOVED])

    async def hosts(self, names: Collection[str]) -> dict[str, KnownHost]:
        hosts = self._memory.tables.hosts
        return {name: KnownHost(hosts[name], None) for name in names if name in hosts}

    async def add_hosts(self, sites: Mapping[str, str]) -> None:
        async with self._memory.change() as tables:
            for host in sites:
                tables.hosts.setdefault(host, len(tables.hosts) + 1)

    async def begin(self, batch: NewBatch, required: int) -> bool:
        async with self._memory.change() as tables:
            if batch.id in tables.batches:
                return False
            row = BatchRow(new=batch, status="leasing", required=required, created_at=self._memory.now)
            tables.batches[batch.id] = row
            return True

    async def shrink(self, batch_id: uuid.UUID, required: int) -> None:
        async with self._memory.change() as tables:
            if tables.batches[batch_id].status == "leasing":
                tables.batches[batch_id].required = required

    async def drop(self, batch_id: uuid.UUID) -> None:
        async with self._memory.change() as tables:
            if batch_id in tables.batches and tables.batches[batch_id].status == "leasing":
                del tables.batches[batch_id]

    async def give_up(self, batch_id: uuid.UUID) -> None:
        async with self._memory.change() as tables:
            batch = tables.batches.get(batch_id)
            if batch is None or batch.status != "leasing":
                return
            org_id, stored = batch.new.org_id, Counter(
                owner for (owner, _), row in tables.urls.items() if row.batch_id == batch_id
            )  # fmt: skip
            count = stored.total()
            batch.status, batch.settled_at = "partial" if count else "failed", self._memory.now
            batch.counts = Counter(url_count=count, new=count, debited=count)
            if not count:
                tables.said.append(CloseLease(org_id=org_id, lease_id=batch_id))
                return
            for id_, n in stored.items():
                tables.stats.setdefault(id_, Counter()).update(total=n, new=n)
            memo = f"Batch {batch_id}: {count} new URLs"
            tables.said += [
                BatchDebited(org_id=org_id, batch_id=batch_id, amount=count, key_id=batch.new.key_id, memo=memo),
                BatchAccepted(org_id=org_id, batch_id=batch_id, url_count=count, new=count),
            ]

    async def stuck(self, *, older_s: float, limit: int) -> Sequence[uuid.UUID]:
        before = self._memory.now - timedelta(seconds=older_s)
        rows = self._memory.tables.batches.items()
        return [id_ for id_, row in rows if row.status == "leasing" and row.created_at <= before][:limit]

    async def forget_replies(self) -> None:
        async with self._memory.change() as tables:
            for row in tables.batches.values():
                if row.settled_at is not None and row.settled_at < self._memory.now - timedelta(days=1):
                    row.reply = None


class MemoryRefunds:
    """The port `Refunds`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def refund(
        self, owner: UrlOwner, url_ids: Sequence[uuid.UUID], *, to: State, sources: Sequence[State], reason: str
    ) -> int:
        del reason
        async with self._memory.change() as tables:
            changes = []
            for (creator_id, _), row in tables.urls.items():
                batch = tables.batches[row.batch_id]
                if (
                    creator_id != owner.creator_id or row.id not in url_ids or row.state not in sources or batch.status == "leasing"
                    or not is_refundable(row.state, first_notice_at=row.first_notice_at, refunded_at=row.refunded_at)
                ):  # fmt: skip
                    continue
                changes.append(
                    UrlChange(
                        id=row.id, creator_id=owner.public_id, url=row.url, state=to.word, previous=row.state.word, at=self._memory.now
                    )
                )  # fmt: skip
                row.state, row.refunded_at = to, self._memory.now
                batch.counts["refunded"] += 1
                batch.open_refund += 1
                assert batch.counts["refunded"] <= batch.counts["debited"]
            if changes:
                tables.said.append(UrlChanged(org_id=owner.org_id, changes=tuple(changes)))
            return len(changes)

    async def send(self, *, older_s: float, limit: int) -> int:
        assert older_s == 0, "nothing gathers here"
        async with self._memory.change() as tables:
            due = [row for row in tables.batches.values() if row.open_refund][:limit]
            for row in due:
                tables.said.append(
                    BatchRefunded(
                        org_id=row.new.org_id, refund_id=uuid7(), batch_id=row.new.id, amount=row.open_refund,
                        memo=f"Refund for failed batch {row.new.id}",
                    )
                )  # fmt: skip
                row.open_refund = 0
            return len(due)

    async def deleted_creator(self, org_id: uuid.UUID, public_id: uuid.UUID) -> UrlOwner | None:
        tables = self._memory.tables
        for creator in tables.creators.values():
            if (creator.org_id, creator.public_id) == (org_id, public_id) and creator.id in tables.deleted:
                return UrlOwner(org_id, creator.id, public_id)
        return None

    async def refundable(self, owner: UrlOwner, *, limit: int) -> Sequence[uuid.UUID]:
        found = [
            row.id
            for (creator_id, _), row in self._memory.tables.urls.items()
            if creator_id == owner.creator_id
            and is_refundable(row.state, first_notice_at=row.first_notice_at, refunded_at=row.refunded_at)
        ]
        return found[:limit]

    async def is_under_way(self, owner: UrlOwner) -> bool:
        tables = self._memory.tables
        theirs = [row for (creator_id, _), row in tables.urls.items() if creator_id == owner.creator_id]
        return any(tables.batches[row.batch_id].status == "leasing" for row in theirs)

    async def stop(self, owner: UrlOwner) -> None:
        """No timers, no notices here."""


class MemoryBatches:
    """The port `Batches`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def page(self, org_id: uuid.UUID, *, limit: int, after: uuid.UUID | None) -> Sequence[BatchShown]:
        rows = sorted(self._memory.tables.batches.values(), key=lambda row: row.new.id.int, reverse=True)
        found = [row for row in rows if row.new.org_id == org_id and (after is None or row.new.id.int < after.int)]
        return [_shown(row) for row in found[:limit]]

    async def show(self, org_id: uuid.UUID, batch_id: uuid.UUID) -> BatchAnswer | None:
        row = self._memory.tables.batches.get(batch_id)
        if row is None or row.new.org_id != org_id:
            return None
        states = Counter(url.state.word for url in self._memory.tables.urls.values() if url.batch_id == batch_id)
        return BatchAnswer(batch=_shown(row), invalid=row.invalid, states=dict(states))


def _shown(row: BatchRow) -> BatchShown:
    names = ("url_count", "new", "duplicate", "invalid", "failed", "debited", "refunded")
    counts = {name: row.counts[name] for name in names}
    return BatchShown(
        batch_id=row.new.id, status=row.status, notes=row.new.notes, created_at=row.created_at, **counts
    )  # fmt: skip


class MemoryCredits:
    """The port `Credits`: one organization's. `refusing`: raised by the next leases, one each."""

    def __init__(self, balance: int) -> None:
        self.leases: dict[uuid.UUID, int] = {}
        self.refusing: list[Exception] = []
        self._balance = balance

    async def lease(self, batch_id: uuid.UUID, org_id: uuid.UUID, amount: int) -> None:
        del org_id
        if self.refusing:
            raise self.refusing.pop(0)
        if batch_id in self.leases:
            return
        free = self._balance - sum(self.leases.values())
        if amount > free:
            raise InsufficientCredits(required=amount, balance=free)
        self.leases[batch_id] = amount

    async def balance(self, org_id: uuid.UUID) -> int:
        del org_id
        return self._balance - sum(self.leases.values())

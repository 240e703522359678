"""Store a batch whose credits are set aside: URLs, counters, debit and event in one transaction; or, where the database refuses
that, creator by creator, with the money in a last one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from libs.common.contracts.takedowns import (
    BatchAccepted,
    BatchDebited,
    GroupOutcome,
    HostContact,
    UrlsSubmitted,
)
from libs.common.errors import Unavailable
from services.takedowns.domain.errors import CommitLost, ProcessingFailed, StoreRefused, TryAgain
from services.takedowns.domain.ports import KnownHost, NewBatch, Submissions, SubmissionTx
from services.takedowns.domain.submission import Intake, Pair, Target, outcome_of, reply_of

TRIES: Final = 3  # of a transaction that another was in the way of
GONE: Final = "Creator not found"
FAILED: Final = "Processing failed: submit again"


@dataclass(slots=True)
class Work:
    """One submission under way."""

    batch: NewBatch
    targets: Mapping[str, Target]
    intake: Intake
    hosts: dict[str, KnownHost] = field(default_factory=dict)
    removed: list[Pair] = field(default_factory=list)  # duplicates whose content was gone

    @property
    def required(self) -> int:
        """Credits, by what is known so far."""
        return len(self.intake.candidates)

    @property
    def contacts(self) -> dict[str, HostContact | None]:
        return {name: host.contact for name, host in self.hosts.items()}


class _Settled(Exception):
    """Somebody else has settled the batch."""


@dataclass(frozen=True, slots=True)
class StoreBatch:
    """Answers what the caller is told. Raises ProcessingFailed (nothing is stored, the lease is closed), Unavailable (the sweeper
    settles it, or has).
    """

    submissions: Submissions

    async def __call__(self, work: Work) -> UrlsSubmitted:
        batch_id = work.batch.id
        try:
            for _ in range(TRIES):
                try:
                    return await self._whole(work)
                except TryAgain:
                    continue
                except CommitLost:  # whether it stands is in the row
                    known = await self.submissions.batch(batch_id)
                    if known is not None and known.reply is not None:
                        return known.reply
                except StoreRefused:
                    break
            return await self._by_creator(work)
        except _Settled:
            return await self.told(batch_id)

    async def without_credits(self, work: Work) -> UrlsSubmitted:
        """Nothing is new: no lease, no debit."""
        outcome = outcome_of(work.intake, (), ())
        reply = reply_of(work.batch.id, outcome, work.contacts)
        async with self.submissions.transaction() as tx:
            if await tx.add_free_batch(work.batch):
                await tx.settle(
                    work.batch.id,
                    status="accepted",
                    outcome=outcome,
                    debited=0,
                    reply=reply,
                    invalid=work.intake.samples,
                )
                await tx.look_again(work.removed)
                await tx.tell(work.batch.org_id, _accepted(work.batch, reply))
                return reply
        return await self.told(work.batch.id)

    async def told(self, batch_id: UUID) -> UrlsSubmitted:
        """The answer of a batch that is there already. Raises Unavailable if it is still under way, or the sweeper settled it."""
        known = await self.submissions.batch(batch_id)
        if known is None or known.reply is None:
            raise Unavailable(detail=f"batch {batch_id} is {'unknown' if known is None else known.status}")
        return known.reply

    async def _whole(self, work: Work) -> UrlsSubmitted:
        async with self.submissions.transaction() as tx:
            await _hold(tx, work)
            alive = await tx.hold_creators({creator_id for creator_id, _ in work.intake.candidates})
            stored = await self._add(tx, work, alive)
            failed = {creator_id: GONE for creator_id, _ in work.intake.candidates if creator_id not in alive}
            if alive:
                return await self._settle(tx, work, stored, failed)
        await self.submissions.give_up(work.batch.id)
        raise ProcessingFailed

    async def _by_creator(self, work: Work) -> UrlsSubmitted:
        """Slow and rare. The sweeper finds what is stored of it if we do not get to the end."""
        stored: set[Pair] = set()
        failed: dict[int, str] = {}
        for creator_id in sorted({creator_id for creator_id, _ in work.intake.candidates}):
            try:
                async with self.submissions.transaction() as tx:
                    await _hold(tx, work)
                    alive = await tx.hold_creators({creator_id})
                    added = await self._add(tx, work, alive)
            except (TryAgain, StoreRefused):
                failed[creator_id] = FAILED
            else:
                stored.update(added)
                if not alive:
                    failed[creator_id] = GONE
        if all(creator_id in failed for creator_id, _ in work.intake.candidates):
            await self.submissions.give_up(work.batch.id)
            raise ProcessingFailed
        async with self.submissions.transaction() as tx:
            await _hold(tx, work)
            return await self._settle(tx, work, stored, failed)

    async def _add(self, tx: SubmissionTx, work: Work, creators: set[int]) -> Collection[Pair]:
        # In the order of the index: two requests with the same URLs wait for each other instead of dying in a deadlock.
        pairs = sorted(pair for pair in work.intake.candidates if pair[0] in creators)
        candidates = {pair: work.intake.candidates[pair] for pair in pairs}
        return await tx.add_urls(work.batch.id, candidates, work.hosts)

    async def _settle(
        self, tx: SubmissionTx, work: Work, stored: Collection[Pair], failed: Mapping[int, str]
    ) -> UrlsSubmitted:
        batch = work.batch
        outcome = outcome_of(work.intake, stored, failed)
        reply = reply_of(batch.id, outcome, work.contacts, _groups(work, failed) if failed else ())
        await tx.settle(
            batch.id,
            status="partial" if failed else "accepted",
            outcome=outcome,
            debited=len(stored),
            reply=reply,
            invalid=work.intake.samples,
        )
        await tx.look_again(work.removed)
        memo = f"Batch {batch.id}: {len(stored)} new URLs"
        debit = BatchDebited(org_id=batch.org_id, batch_id=batch.id, amount=len(stored), key_id=batch.key_id, memo=memo)
        await tx.tell(batch.org_id, debit)  # also of 0: it closes the lease
        await tx.tell(batch.org_id, _accepted(batch, reply))
        return reply


async def _hold(tx: SubmissionTx, work: Work) -> None:
    if not await tx.hold_batch(work.batch.id):
        raise _Settled


def _groups(work: Work, failed: Mapping[int, str]) -> tuple[GroupOutcome, ...]:
    targets = {target.id: target for target in work.targets.values()}
    return tuple(
        GroupOutcome(
            creator_id=target.public_id,
            status="failed" if target.id in failed else "accepted",
            error=failed.get(target.id),
        )
        for target in targets.values()
    )


def _accepted(batch: NewBatch, reply: UrlsSubmitted) -> BatchAccepted:
    return BatchAccepted(
        org_id=batch.org_id,
        batch_id=batch.id,
        url_count=reply.url_count,
        new=reply.new,
        duplicate=reply.duplicate,
        invalid=reply.invalid,
        failed=reply.failed,
    )

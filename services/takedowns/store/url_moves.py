"""URLs on Postgres, from state to state: one statement, the timeline, and the event that tells of it. All SQL is in `progress.sql`."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Final

from libs.common.contracts.creators import OfficialLink
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import UrlChange, UrlChanged
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Tx
from libs.common.db.queries import load_queries
from libs.common.db.tx import accept_once
from services.takedowns.domain.notice import Work
from services.takedowns.domain.progress_ports import UrlRef
from services.takedowns.domain.states import Event, Stage, State, effect, sources
from services.takedowns.domain.verdict import Look, Verdict

QUERIES: Final = load_queries(__package__, "progress.sql")
CHANGES_MAX: Final = 100  # of one event
CONSUMER: Final = "takedowns.jobs"


class UrlMoves:
    """The part of `ProgressTx` that is about URLs."""

    def __init__(self, tx: Tx, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox

    async def accept_once(self, message_id: uuid.UUID) -> bool:
        return await accept_once(self._tx, CONSUMER, message_id)

    async def tell(self, org_id: uuid.UUID, message: Message) -> None:
        await self._outbox.add(self._tx, message, org_id=org_id)

    async def move(
        self,
        event: Event,
        refs: Collection[UrlRef],
        *,
        now: datetime,
        next_at: datetime | None = None,
        keeps_time: bool = False,
        reason: str = "",
        stage: int | None = None,
        sets_first_notice: bool = False,
        except_notice: uuid.UUID | None = None,
    ) -> list[UrlRef]:
        step, rows = effect(event), []
        for creator_id, ids in _by_creator(refs):
            rows += await self._tx.fetch(
                QUERIES.move_urls, creator_id, ids, list(sources(event)), step.to, step.stages_up, stage,
                step.attempts_up, next_at, now, sets_first_notice, step.clears_first_notice, except_notice, keeps_time,
            )  # fmt: skip
        if not rows:
            return []
        moved = [UrlRef(row["creator_id"], row["id"]) for row in rows]
        previous = [row["previous"] for row in rows]
        await self._tx.execute(QUERIES.note_moves, *columns(moved), previous, step.to, reason, now)
        changes: defaultdict[uuid.UUID, list[UrlChange]] = defaultdict(list)
        for row in rows:
            changes[row["org_id"]].append(
                UrlChange(
                    id=row["id"], creator_id=row["public_id"], url=row["url"], state=step.to.word,
                    previous=State(row["previous"]).word, at=now,
                )
            )  # fmt: skip
        for org_id, theirs in changes.items():
            for at in range(0, len(theirs), CHANGES_MAX):
                await self.tell(org_id, UrlChanged(org_id=org_id, changes=tuple(theirs[at : at + CHANGES_MAX])))
        return moved

    async def acknowledge(self, refs: Collection[UrlRef], *, now: datetime) -> None:
        await self.move(Event.ACKNOWLEDGED, refs, now=now, keeps_time=True)

    async def rearm(self, refs: Collection[UrlRef], at: datetime | None, *, states: Collection[State]) -> None:
        for creator_id, ids in _by_creator(refs):
            await self._tx.execute(QUERIES.rearm_urls, creator_id, ids, at, list(states))

    async def move_stage(self, refs: Collection[UrlRef], stage: Stage, *, until: datetime) -> None:
        for creator_id, ids in _by_creator(refs):
            await self._tx.execute(QUERIES.move_stage, creator_id, ids, stage, until)

    async def awaited(self, refs: Collection[UrlRef]) -> set[UrlRef]:
        rows = await self._tx.fetch(QUERIES.awaited_urls, *columns(refs))
        return {UrlRef(row["creator_id"], row["url_id"]) for row in rows}

    async def queued(self, batch_id: uuid.UUID, *, limit: int) -> list[tuple[UrlRef, int]]:
        rows = await self._tx.fetch(QUERIES.queued_of_batch, batch_id, limit)
        return [(UrlRef(row["creator_id"], row["id"]), row["host_id"]) for row in rows]

    async def work(self, creator_id: int) -> Work:
        row = await self._tx.fetchrow(QUERIES.work_of, creator_id)
        assert row is not None, "creators are never deleted from the table"
        links = tuple(map(OfficialLink, row["platforms"] or (), row["handles"] or ()))
        return Work(stage_name=row["stage_name"], links=links, legal_name=row["legal_name"])

    async def earlier(self, refs: Collection[UrlRef], *, limit: int) -> list[tuple[uuid.UUID, datetime]]:
        rows = await self._tx.fetch(QUERIES.earlier_notices, *columns(refs), limit)
        return [(row["id"], row["sent_at"]) for row in rows]

    async def add_check(self, ref: UrlRef, look: Look, verdict: Verdict) -> None:
        print_ = look.print_
        await self._tx.execute(
            QUERIES.add_check, ref.creator_id, ref.id, look.at, verdict.value, look.status, look.final_url,
            print_.title_hash if print_ else None, print_.signed if print_ else None, look.error,
        )  # fmt: skip


def _by_creator(refs: Collection[UrlRef]) -> Iterator[tuple[int, list[uuid.UUID]]]:
    """Ids by creator, in the order in which rows are locked everywhere. A statement for each finds its rows in one partition."""
    for creator_id, theirs in groupby(sorted(refs, key=_place), key=attrgetter("creator_id")):
        yield creator_id, [ref.id for ref in theirs]


def columns(refs: Collection[UrlRef]) -> tuple[Sequence[int], Sequence[uuid.UUID]]:
    """The two arrays of a statement, in the order in which rows are locked everywhere."""
    ordered = sorted(refs, key=_place)
    return [ref.creator_id for ref in ordered], [ref.id for ref in ordered]


def _place(ref: UrlRef) -> tuple[int, int]:
    return ref.creator_id, ref.id.int  # as a number: ids compare ten times as slowly

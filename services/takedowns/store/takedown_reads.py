"""Takedowns as their organizations see them. All SQL is in `takedown_reads.sql`; nothing here changes anything."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

from libs.common.contracts.notices import (
    ActionShown,
    AnswerShown,
    HostShown,
    ListTakedowns,
    LookShown,
    NoticeBrief,
    NoticeShown,
    TakedownAnswer,
    TakedownShown,
    TakedownSummary,
    TimelineEntry,
)
from libs.common.db.pool import Database, Record
from libs.common.db.queries import load_queries
from libs.common.ids import id_ms
from services.takedowns.domain.host import best_entry, contact_of, is_verified, on_the_wire
from services.takedowns.domain.inbound import own_text
from services.takedowns.domain.notice import number_of
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.domain.progress_ports import UrlRef
from services.takedowns.domain.states import Category, Stage, State
from services.takedowns.store.host_rows import all_entries, host_row

QUERIES: Final = load_queries(__package__, "takedown_reads.sql")
TEXT_LENGTH_MAX: Final = 300_000


class PostgresTakedowns:
    """The port `Takedowns`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, asked: ListTakedowns, *, state: State | None) -> Sequence[TakedownShown]:
        rows = await self._db.fetch(
            QUERIES.list_takedowns, asked.org_id, asked.creator_id, asked.batch_id, state, asked.host, asked.after,
            asked.limit,
        )  # fmt: skip
        return [_shown(row) for row in rows]

    async def has_creator(self, org_id: uuid.UUID, creator_id: uuid.UUID) -> bool:
        return bool(await self._db.fetchval(QUERIES.has_creator, org_id, creator_id))

    async def has_batch(self, org_id: uuid.UUID, batch_id: uuid.UUID) -> bool:
        return bool(await self._db.fetchval(QUERIES.has_batch, org_id, batch_id))

    async def find(self, org_id: uuid.UUID, id_: uuid.UUID) -> tuple[UrlOwner, UrlRef, TakedownShown] | None:
        row = await self._db.fetchrow(QUERIES.show_takedown, org_id, id_)
        if row is None:
            return None
        owner = UrlOwner(row["org_id"], row["creator_id"], row["public_id"])
        return owner, UrlRef(row["creator_id"], row["id"]), _shown(row)

    async def history(self, ref: UrlRef, shown: TakedownShown) -> TakedownAnswer:
        timeline = await self._db.fetch(QUERIES.timeline, ref.creator_id, ref.id)
        notices = await self._db.fetch(QUERIES.notices_about, ref.creator_id, ref.id)
        looks = await self._db.fetch(QUERIES.looks, ref.creator_id, ref.id)
        return TakedownAnswer(
            takedown=shown,
            timeline=tuple(
                TimelineEntry(
                    at=row["at"],
                    state=State(row["to_state"]).word,
                    previous=State(row["from_state"]).word,
                    reason=row["reason"],
                )
                for row in timeline
            ),
            notices=tuple(map(_brief, notices)),
            looks=tuple(
                LookShown(at=row["at"], verdict=row["verdict"], http=row["http"], final_url=row["final_url"])
                for row in looks
            ),
        )

    async def summary(self, org_id: uuid.UUID, creator_id: uuid.UUID | None, *, now: datetime) -> TakedownSummary:
        rows = await self._db.fetch(QUERIES.count_states, org_id, creator_id)
        removals = await self._db.fetchrow(QUERIES.removals, org_id, creator_id, now)
        assert removals is not None
        median_h = removals["median_h"]
        return TakedownSummary(
            states={State(row["state"]).word: row["n"] for row in rows},
            total=sum(row["n"] for row in rows),
            open_actions=await self._db.fetchval(QUERIES.count_actions, org_id, creator_id),
            removed_30_days=removals["recent"],
            median_removal_hours=None if median_h is None else round(float(median_h), 1),
        )

    async def open_action(self, org_id: uuid.UUID, ref: UrlRef) -> uuid.UUID | None:
        notice_id: uuid.UUID | None = await self._db.fetchval(QUERIES.open_action_of, org_id, ref.creator_id, ref.id)
        return notice_id

    async def is_being_sent(self, ref: UrlRef) -> bool:
        return bool(await self._db.fetchval(QUERIES.is_being_sent, ref.creator_id, ref.id))

    async def actions(self, org_id: uuid.UUID, *, after: uuid.UUID | None, limit: int) -> Sequence[ActionShown]:
        return [
            ActionShown(
                id=row["id"],
                creator_id=row["public_id"],
                notice_id=row["notice_id"],
                host=row["host"],
                reason=row["reason"],
                form_url=row["form_url"],
                to=row["to_addr"],
                text=row["text"],
                url_count=len(row["takedown_ids"]),
                takedown_ids=tuple(row["takedown_ids"]),
                opened_at=row["opened_at"],
            )
            for row in await self._db.fetch(QUERIES.list_actions, org_id, after, limit)
        ]

    async def notice(self, org_id: uuid.UUID, notice_id: uuid.UUID) -> NoticeShown | None:
        row = await self._db.fetchrow(QUERIES.show_notice, org_id, notice_id)
        if row is None:
            return None
        urls = await self._db.fetch(QUERIES.urls_in_notice, notice_id)
        answers = await self._db.fetch(QUERIES.answers, notice_id)
        return NoticeShown(
            notice=_brief(row),
            creator_id=row["public_id"],
            host=row["host"],
            category=Category(row["category"]).name.lower(),
            language=row["language"],
            subject=row["subject"],
            text=_text(row),
            sha256=row["sha256"].hex() if row["sha256"] else None,
            reason=row["reason"],
            takedown_ids=tuple(url["url_id"] for url in urls),
            answers=tuple(
                AnswerShown(at=answer["at"], kind=answer["kind"], text=own_text(_parsed(answer["raw"])))
                for answer in answers
            ),
        )

    async def host(self, name: str, *, now: datetime) -> HostShown | None:
        row = await self._db.fetchrow(QUERIES.show_host, name)
        if row is None:
            return None
        facts = host_row(row).facts
        entry = best_entry(await all_entries(self._db), name)
        contact = contact_of(entry) if entry else None
        return HostShown(
            host=facts.host,
            site=facts.site,
            contact=on_the_wire(contact, facts),
            contact_source=contact.source if contact else None,
            is_verified=contact is not None and is_verified(contact, Stage.SITE, now),
            compliance=row["compliance"],
            registrar_name=facts.registrar_name,
            registrar_email=facts.registrar_email,
            hoster_name=facts.hoster_name,
            hoster_email=facts.hoster_email,
            cdn=facts.cdn,
            resolved_at=facts.resolved_at,
        )

    async def count_open_actions(self) -> int:
        """Of all organizations."""
        count: int = await self._db.fetchval(QUERIES.count_open)
        return count

    async def oldest_due_s(self, states: Sequence[State], *, now: datetime) -> float:
        """By how much the oldest step is late."""
        return max(0.0, float(await self._db.fetchval(QUERIES.oldest_due, now, list(states))))


def _shown(row: Record) -> TakedownShown:
    return TakedownShown(
        id=row["id"],
        creator_id=row["public_id"],
        batch_id=row["batch_id"],
        url=row["url"],
        host=row["host"],
        state=State(row["state"]).word,
        stage=Stage(min(row["stage"], Stage.SEARCH)).name.lower(),
        category=Category(row["category"]).name.lower(),
        attempt=row["attempt"],
        submitted_at=datetime.fromtimestamp(id_ms(row["batch_id"]) / 1000, UTC),
        first_notice_at=row["first_notice_at"],
        removed_at=row["removed_at"],
        next_action_at=row["next_action_at"],
        liveness=row["verdict"],
        checked_at=row["checked_at"],
    )


def _brief(row: Record) -> NoticeBrief:
    return NoticeBrief(
        id=row["id"],
        number=number_of(row["id"]),
        stage=Stage(row["stage"]).name.lower(),
        channel=row["channel"],
        to=row["to_addr"],
        status=row["status"],
        planned_at=row["planned_at"],
        sent_at=row["sent_at"],
        ticket=row["ticket"],
    )


def _text(row: Record) -> str | None:
    """The words of a notice: of a mail its body."""
    if row["raw"] is None:
        return None
    if row["channel"] != "email":
        text: str = row["raw"].decode(errors="replace")
        return text[:TEXT_LENGTH_MAX]
    body = _parsed(row["raw"]).get_body(preferencelist=("plain",))
    return None if body is None else str(body.get_content()).replace("\r\n", "\n")[:TEXT_LENGTH_MAX]


def _parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message

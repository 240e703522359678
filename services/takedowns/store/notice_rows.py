"""Notices, mailboxes, what came back and what people have to do, on Postgres. All SQL is in `notices.sql`."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from libs.common.contracts.takedowns import ActionRequired
from libs.common.db.queries import load_queries
from libs.common.ids import uuid7
from services.takedowns.domain.follow_up import HARD_BOUNCES, daily_cap
from services.takedowns.domain.host import Source
from services.takedowns.domain.inbound import Kind
from services.takedowns.domain.notice_texts import TEMPLATE_VERSION
from services.takedowns.domain.progress_ports import HeldNotice, MailboxState, NewAction, NewNotice, UrlRef
from services.takedowns.domain.states import Category, Stage, State
from services.takedowns.store.host_rows import HostRows
from services.takedowns.store.shared_notices import QUERIES as SHARED
from services.takedowns.store.url_moves import UrlMoves, columns

QUERIES: Final = load_queries(__package__, "notices.sql")
HOUR: Final = timedelta(hours=1)


class NoticeRows(UrlMoves, HostRows):
    """The port `ProgressTx`: notices, on top of URLs and hosts."""

    async def thread_root(self, creator_id: int, host_id: int, stage: Stage, to_addr: str) -> str | None:
        root: str | None = await self._tx.fetchval(QUERIES.thread_root, creator_id, host_id, stage, to_addr)
        return root

    async def last_planned(self, creator_id: int, host_id: int) -> datetime | None:
        at: datetime | None = await self._tx.fetchval(QUERIES.last_planned, creator_id, host_id)
        return at

    async def bad_mailboxes(self) -> frozenset[str]:
        return frozenset(row["address"] for row in await self._tx.fetch(QUERIES.bad_mailboxes))

    async def know_mailbox(self, address: str, source: Source, verified_at: datetime | None) -> None:
        await self._tx.execute(QUERIES.know_mailbox, address, source, verified_at)

    async def add_notice(self, notice: NewNotice, *, now: datetime) -> None:
        root = None
        if notice.to_addr is not None:
            root = await self.thread_root(notice.creator_id, notice.host_id, notice.stage, notice.to_addr)
        await self._tx.execute(
            QUERIES.add_notice, notice.id, notice.org_id, notice.creator_id, notice.host_id, notice.stage,
            notice.category, notice.channel, notice.to_addr, TEMPLATE_VERSION, notice.language, notice.msg_id, root,
            notice.status, notice.reason, notice.subject, notice.raw, now, notice.due_at,
        )  # fmt: skip
        await self._tx.execute(QUERIES.add_notice_urls, notice.id, *columns(notice.urls))

    async def add_action(
        self, action: NewAction, *, now: datetime, creator: uuid.UUID, host: str, url_count: int
    ) -> None:
        await self._tx.execute(
            QUERIES.add_action, action.id, action.org_id, action.creator_id, action.notice_id, action.host_id,
            action.reason, action.form_url, action.text, now,
        )  # fmt: skip
        event = ActionRequired(
            org_id=action.org_id,
            action_id=action.id,
            creator_id=creator,
            host=host,
            reason=action.reason,
            url_count=url_count,
        )
        await self.tell(action.org_id, event)

    async def close_actions(self, notice_id: uuid.UUID, *, by: str, now: datetime) -> None:
        await self._tx.execute(QUERIES.close_actions, notice_id, now, by)

    async def hold_notice(self, notice_id: uuid.UUID) -> HeldNotice | None:
        row = await self._tx.fetchrow(QUERIES.hold_notice, notice_id)
        if row is None:
            return None
        urls = await self._tx.fetch(QUERIES.urls_of_notice, notice_id)
        host = (await self.hosts([row["host_id"]]))[row["host_id"]]
        return HeldNotice(
            id=row["id"],
            org_id=row["org_id"],
            creator_id=row["creator_id"],
            creator=row["public_id"],
            is_creator_deleted=row["deleted_at"] is not None,
            is_sandbox=row["is_sandbox"],
            work=await self.work(row["creator_id"]),
            host=host,
            stage=Stage(row["stage"]),
            category=Category(row["category"]),
            channel=row["channel"],
            to_addr=row["to_addr"],
            language=row["language"],
            msg_id=row["msg_id"],
            status=row["status"],
            tries=row["tries"],
            planned_at=row["planned_at"],
            sent_at=row["sent_at"],
            thread_root=row["thread_root"],
            urls=tuple(
                (UrlRef(url["creator_id"], url["id"]), url["url"]) for url in urls if url["state"] == State.READY
            ),
            all_urls=tuple(UrlRef(url["creator_id"], url["id"]) for url in urls),
        )

    async def update_notice(
        self,
        notice_id: uuid.UUID,
        *,
        status: str,
        reason: str = "",
        due_at: datetime | None = None,
        claimed_until: datetime | None = None,
        raw: bytes | None = None,
        subject: str | None = None,
        sent_at: datetime | None = None,
        followup_at: datetime | None = None,
        ticket: str | None = None,
        code: int | None = None,
        is_try: bool = False,
    ) -> None:
        version = TEMPLATE_VERSION if raw is not None else None
        await self._tx.execute(
            QUERIES.update_notice, notice_id, status, reason, due_at, claimed_until, raw, subject, sent_at, ticket,
            code, followup_at, version, is_try,
        )  # fmt: skip

    async def share_if_wanted(self, notice_id: uuid.UUID, *, now: datetime) -> None:
        await self._tx.execute(SHARED.share_if_wanted, notice_id, now)

    async def drop_urls(self, notice_id: uuid.UUID, keep: Collection[UrlRef]) -> None:
        await self._tx.execute(QUERIES.drop_notice_urls, notice_id, [ref.id for ref in keep])

    async def mailbox(self, address: str, *, now: datetime) -> MailboxState:
        row = await self._tx.fetchrow(QUERIES.hold_mailbox, address)
        assert row is not None, "a notice is planned for known mailboxes only"
        is_old = row["sent_hour"] is None or row["sent_hour"] <= now - HOUR
        return MailboxState(
            source=Source(row["source"]),
            verified_at=row["verified_at"],
            is_bad=row["bad_at"] is not None,
            is_busy=row["claimed_until"] is not None and row["claimed_until"] > now,
            sent_in_hour=0 if is_old else row["sent_in_hour"],
            hour_ends_at=now if is_old else row["sent_hour"] + HOUR,
        )

    async def claim_mailbox(self, address: str, until: datetime) -> None:
        await self._tx.execute(QUERIES.claim_mailbox, address, until)

    async def release_mailbox(
        self, address: str, *, now: datetime, was_sent: bool = False, hard_bounce: bool = False
    ) -> bool:
        sent_at = now if was_sent else None
        is_bad = await self._tx.fetchval(QUERIES.release_mailbox, address, sent_at, hard_bounce, HARD_BOUNCES, now)
        return bool(is_bad)

    async def take_daily(self, domain: str, *, now: datetime, most: int) -> bool:
        row = await self._tx.fetchrow(QUERIES.mail_day, domain, now.date())
        assert row is not None
        if row["sent"] >= daily_cap(row["days_before"], most):
            return False
        await self._tx.execute(QUERIES.count_mail, domain, now.date())
        return True

    async def add_inbound(self, raw: bytes, *, kind: Kind, notice_id: uuid.UUID | None, now: datetime) -> bool:
        return await self._tx.fetchval(QUERIES.add_inbound, uuid7(), notice_id, kind, raw, now) is not None

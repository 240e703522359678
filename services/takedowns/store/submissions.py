"""Batches and URLs on Postgres: how a submission is stored. All SQL is in `submissions.sql`."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec
from asyncpg.pgproto import pgproto

from libs.common.contracts.billing import CloseLease
from libs.common.contracts.creators import OfficialLink
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import BatchAccepted, BatchDebited, HostContact, InvalidUrls, UrlsSubmitted
from libs.common.db.errors import CommitUnknown, Conflict, DatabaseError
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from libs.common.ids import uuid7_run
from libs.common.telemetry.log import logger
from services.takedowns.domain.errors import CommitLost, StoreRefused, TryAgain
from services.takedowns.domain.ports import KnownBatch, KnownHost, KnownUrls, NewBatch
from services.takedowns.domain.submission import Candidate, Outcome, Pair, Target

_log = logger(__name__)
QUERIES: Final = load_queries(__package__, "submissions.sql")


class PostgresSubmissions:
    """The port `Submissions`."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["PostgresSubmissionTx"]:
        try:
            async with self._db.transaction() as tx:
                yield PostgresSubmissionTx(tx, self._outbox)
        except Conflict as exc:
            raise TryAgain(detail=str(exc)) from exc
        except CommitUnknown as exc:
            raise CommitLost(detail=str(exc)) from exc
        except DatabaseError as exc:
            _log.error("the database refused a part of a batch", exc_info=exc)  # a defect: nobody above knows logging
            raise StoreRefused(detail=str(exc)) from exc

    async def targets(self, org_id: uuid.UUID, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Target]:
        return {
            row["public_id"]: Target(
                row["id"],
                row["public_id"],
                tuple(map(OfficialLink, row["platforms"] or (), row["handles"] or ())),
            )
            for row in await self._db.fetch(QUERIES.find_targets, org_id, list(ids))
        }

    async def batch(self, batch_id: uuid.UUID) -> KnownBatch | None:
        row = await self._db.fetchrow(QUERIES.find_batch, batch_id)
        if row is None:
            return None
        reply = None if row["reply"] is None else msgspec.convert(row["reply"], UrlsSubmitted)
        return KnownBatch(row["org_id"], row["status"], reply)

    async def known(self, pairs: Sequence[Pair]) -> KnownUrls:
        row = await self._db.fetchrow(QUERIES.find_known, *_columns(pairs))
        assert row is not None, "an aggregate always has a row"
        return KnownUrls(*([pairs[n - 1] for n in row[name] or ()] for name in ("known", "removed")))

    async def hosts(self, names: Collection[str]) -> dict[str, KnownHost]:
        rows = await self._db.fetch(QUERIES.find_hosts, list(names)) if names else []
        return {row["host"]: KnownHost(row["id"], _contact(row)) for row in rows}

    async def add_hosts(self, sites: Mapping[str, str]) -> None:
        names = [" ".join(_matching(host)) for host in sites]
        await self._db.execute(QUERIES.add_hosts, list(sites), list(sites.values()), names)

    async def begin(self, batch: NewBatch, required: int) -> bool:
        return await self._db.fetchval(QUERIES.begin_batch, *_facts(batch), required) is not None

    async def shrink(self, batch_id: uuid.UUID, required: int) -> None:
        await self._db.execute(QUERIES.shrink_batch, batch_id, required)

    async def drop(self, batch_id: uuid.UUID) -> None:
        await self._db.execute(QUERIES.drop_batch, batch_id)

    async def give_up(self, batch_id: uuid.UUID) -> None:
        async with self._db.transaction() as tx:
            batch = await tx.fetchrow(QUERIES.hold_batch, batch_id)
            if batch is None:
                return
            org_id: uuid.UUID = batch["org_id"]
            stored = await tx.fetch(QUERIES.count_stored, batch_id)
            count = sum(row["n"] for row in stored)
            await tx.execute(QUERIES.settle_stored, batch_id, "partial" if count else "failed", count)
            if not count:
                await self._outbox.add(tx, CloseLease(org_id=org_id, lease_id=batch_id), org_id=org_id)
                return
            zeros = [0] * len(stored)
            news = [row["n"] for row in stored]
            await tx.execute(QUERIES.add_stats, [row["creator_id"] for row in stored], news, news, zeros, zeros)
            memo = f"Batch {batch_id}: {count} new URLs"
            debit = BatchDebited(org_id=org_id, batch_id=batch_id, amount=count, key_id=batch["key_id"], memo=memo)
            await self._outbox.add(tx, debit, org_id=org_id)
            accepted = BatchAccepted(org_id=org_id, batch_id=batch_id, url_count=count, new=count)
            await self._outbox.add(tx, accepted, org_id=org_id)

    async def stuck(self, *, older_s: float, limit: int) -> Sequence[uuid.UUID]:
        return [row["id"] for row in await self._db.fetch(QUERIES.find_stuck, older_s, limit)]

    async def count_leasing(self) -> int:
        """Batches under way."""
        count: int = await self._db.fetchval(QUERIES.count_leasing)
        return count

    async def forget_replies(self) -> None:
        await self._db.execute(QUERIES.forget_replies)


class PostgresSubmissionTx:
    """The port `SubmissionTx`."""

    def __init__(self, tx: Tx, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox

    async def hold_batch(self, batch_id: uuid.UUID) -> bool:
        return await self._tx.fetchrow(QUERIES.hold_batch, batch_id) is not None

    async def hold_creators(self, ids: Collection[int]) -> set[int]:
        return {row["id"] for row in await self._tx.fetch(QUERIES.hold_creators, list(ids))}

    async def add_urls(
        self, batch_id: uuid.UUID, candidates: Mapping[Pair, Candidate], hosts: Mapping[str, KnownHost]
    ) -> Collection[Pair]:
        if not candidates:
            return ()
        # The driver's own kind of id: made and sent several times as fast.
        ids = [pgproto.UUID(raw) for raw in uuid7_run(len(candidates))]
        hrefs = [candidate.href for candidate in candidates.values()]
        host_ids = [hosts[candidate.host].id for candidate in candidates.values()]
        categories = [int(candidate.category) for candidate in candidates.values()]
        tag = await self._tx.execute(
            QUERIES.add_urls, batch_id, ids, *_columns(candidates), hrefs, host_ids,
            categories if any(categories) else None,
        )  # fmt: skip
        if int(tag.rpartition(" ")[2]) == len(candidates):
            return candidates.keys()  # nearly always: thousands of rows need not come back to say so
        stored = await self._tx.fetch(QUERIES.find_stored, batch_id)
        return {(row["creator_id"], row["url_key"]) for row in stored} & candidates.keys()

    async def add_free_batch(self, batch: NewBatch) -> bool:
        return await self._tx.fetchval(QUERIES.add_free_batch, *_facts(batch)) is not None

    async def settle(
        self, batch_id: uuid.UUID, *, status: str, outcome: Outcome, debited: int, reply: UrlsSubmitted,
        invalid: Sequence[InvalidUrls],
    ) -> None:  # fmt: skip
        total = outcome.total
        await self._tx.execute(
            QUERIES.settle_batch, batch_id, status, total.total, total.new, total.duplicate, total.invalid,
            outcome.failed, debited, msgspec.to_builtins(reply),
        )  # fmt: skip
        if invalid:
            await self._tx.execute(QUERIES.add_invalid, batch_id, msgspec.to_builtins(invalid))
        ids = sorted(outcome.by_creator)
        if ids:
            tallies = [outcome.by_creator[id_] for id_ in ids]
            await self._tx.execute(
                QUERIES.add_stats, ids, [tally.total for tally in tallies], [tally.new for tally in tallies],
                [tally.duplicate for tally in tallies], [tally.invalid for tally in tallies],
            )  # fmt: skip

    async def look_again(self, pairs: Sequence[Pair]) -> None:
        for creator_id, theirs in groupby(sorted(pairs), key=itemgetter(0)):
            await self._tx.execute(QUERIES.look_again, creator_id, [key for _, key in theirs])

    async def tell(self, org_id: uuid.UUID, message: Message) -> None:
        await self._outbox.add(self._tx, message, org_id=org_id)


def _facts(batch: NewBatch) -> tuple[object, ...]:
    return batch.id, batch.org_id, batch.key_id, batch.is_sandbox, batch.notes


def _columns(pairs: Collection[Pair]) -> tuple[list[int], list[bytes]]:
    return [creator_id for creator_id, _ in pairs], [key for _, key in pairs]


def _matching(host: str) -> list[str]:
    """What a directory entry may say to mean `host`: itself, or `.site` for all below a site."""
    labels = host.split(".")
    return [host, *("." + ".".join(labels[at:]) for at in range(len(labels)))]


def _contact(row: Record) -> HostContact | None:
    """What is known of a host, as far as its way of taking notices needs it."""
    method = row["method"]
    if method is None:
        return None
    if method == "email":
        return HostContact(
            takedown_method=method,
            dmca_email=row["dmca_email"],
            registrar_name=row["registrar_name"],
            registrar_email=row["registrar_email"],
        )
    return HostContact(takedown_method=method, form_url=row["form_url"] if method == "form" else None)

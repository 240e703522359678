"""Hosts and the directory on Postgres. All SQL is in `hosts.sql`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import msgspec

from libs.common.contracts.takedowns import ResolveHost
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from services.takedowns.domain.host import RDAP_FRESH, Entry, HostFacts
from services.takedowns.domain.progress_ports import HostFound, HostRow

QUERIES: Final = load_queries(__package__, "hosts.sql")


class HostRows:
    """The part of `ProgressTx` that is about hosts."""

    _tx: Tx
    _outbox: Outbox

    async def hosts(self, ids: Collection[int]) -> dict[int, HostRow]:
        return {row["id"]: host_row(row) for row in await self._tx.fetch(QUERIES.find_hosts, list(ids))}

    async def count_host(self, host_id: int, *, sent: int = 0, acked: int = 0, removed: int = 0) -> None:
        await self._tx.execute(QUERIES.count_host, host_id, sent, acked, removed)

    async def learn_form(self, host: HostRow, form_url: str, *, now: datetime) -> None:
        await self._tx.execute(QUERIES.learn_form, f"learned:{host.facts.host}", host.facts.host, form_url, now)

    async def need_host(self, host_id: int, *, now: datetime) -> None:
        await self._tx.execute(QUERIES.need_host, host_id, now)
        await self._outbox.add(self._tx, ResolveHost(host_id=host_id))

    async def settle_host(self, host_id: int, found: HostFound, *, now: datetime) -> None:
        facts, entry = found.facts, found.entry
        await self._tx.execute(
            QUERIES.settle_host,
            host_id,
            entry.id if entry else None,
            entry.takedown_method if entry else None,
            entry.dmca_email if entry else None,
            entry.form_url if entry else None,
            entry.source if entry else None,
            entry.verified_at if entry else None,
            facts.registrar_name,
            found.registrar_iana,
            facts.registrar_email,
            facts.hoster_name,
            facts.hoster_email,
            list(found.addresses),
            facts.cdn,
            found.compliance,
            now if found.is_confirmed else None,
            found.again_at,
        )

    async def postpone_host(self, host_id: int, *, until: datetime) -> None:
        await self._tx.execute(QUERIES.postpone_host, host_id, until)


async def hosts_to_resolve(db: Database, *, now: datetime, limit: int) -> list[int]:
    """See the port `Progress`."""
    return [row["id"] for row in await db.fetch(QUERIES.hosts_to_resolve, now, limit)]


async def claim_host(db: Database, host_id: int, *, now: datetime, until: datetime) -> HostRow | None:
    """See the port `Progress`."""
    row = await db.fetchrow(QUERIES.claim_host, host_id, now, now - RDAP_FRESH, until)
    return host_row(row) if row is not None else None


async def all_entries(db: Database) -> Sequence[Entry]:
    """The directory."""
    return [_entry(row) for row in await db.fetch(QUERIES.all_entries)]


async def put_shipped(db: Database, entries: Sequence[Entry]) -> None:
    """Bring the shipped rows up to date; what an operator made his stays. Safe from any process at any time."""
    async with db.transaction() as tx:
        for entry in sorted(entries, key=lambda entry: entry.id):
            await tx.execute(
                QUERIES.put_shipped, entry.id, entry.name, list(entry.match), entry.kind, entry.takedown_method,
                entry.dmca_email, entry.form_url, entry.api, entry.ncii_form_url, list(entry.requires),
                entry.max_urls_per_notice, entry.same_hostname_only, entry.attachments_ok, entry.language,
                entry.ack_sla_h, entry.escalate_after_h, entry.compliance, list(entry.removed_markers),
                list(entry.live_markers), entry.source_url, entry.confidence, entry.notes,
            )  # fmt: skip


def host_row(row: Record) -> HostRow:
    """A row of `hosts`."""
    return HostRow(
        id=row["id"],
        facts=HostFacts(
            host=row["host"],
            site=row["site"],
            registrar_name=row["registrar_name"],
            registrar_email=row["registrar_email"],
            hoster_name=row["hoster_name"],
            hoster_email=row["hoster_email"],
            cdn=row["cdn"],
            resolved_at=row["resolved_at"],
        ),
        compliance=row["compliance"],
        has_contact=any(row[name] for name in ("method", "registrar_email", "hoster_email")),
        has_entry=row["method"] is not None,
        addresses=tuple(str(address) for address in row["ips"]),
        resolve_tries=row["resolve_tries"],
        first_tried_at=row["first_tried_at"],
        resolve_after=row["resolve_after"],
    )


def _entry(row: Record) -> Entry:
    columns = {name: row[name] for name in Entry.__struct_fields__}
    return msgspec.convert(columns, Entry)

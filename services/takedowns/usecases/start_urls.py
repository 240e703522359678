"""URLs that were just accepted: those of known hosts wait for others of their kind, the others for their host."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from libs.common.clock import Clock
from services.takedowns.domain.follow_up import GATHER, RESOLVE_AGAIN
from services.takedowns.domain.host import RDAP_FRESH
from services.takedowns.domain.progress_ports import HostRow, Progress, ProgressTx, UrlRef
from services.takedowns.domain.states import Event
from services.takedowns.usecases.right_of_way import RightOfWay

SLICE: Final = 500  # URLs in one transaction: none holds its rows, or the loop, for long


@dataclass(frozen=True, slots=True)
class StartUrls:
    """Move URLs on from `queued`. Repeating it changes nothing."""

    progress: Progress
    clock: Clock
    way: RightOfWay

    async def __call__(self, batch_id: uuid.UUID) -> None:
        """All of a batch, a slice at a time; if it ends half-way, the rest is due in ten minutes by itself."""
        count = SLICE
        while count == SLICE:
            await self.way.give_way()
            async with self.progress.transaction() as tx:
                urls = await tx.queued(batch_id, limit=SLICE)
                count = len(urls)
                await start(tx, urls, now=self.clock.now())


async def start(tx: ProgressTx, urls: Iterable[tuple[UrlRef, int]], *, now: datetime) -> None:
    """Have `urls` (with their hosts) go on, and unknown hosts be resolved."""
    by_host: defaultdict[int, list[UrlRef]] = defaultdict(list)
    for ref, host_id in urls:
        by_host[host_id].append(ref)
    hosts = await tx.hosts(by_host)
    known = [ref for host_id, refs in by_host.items() if is_known(hosts[host_id], now) for ref in refs]
    await tx.move(Event.HOST_KNOWN, known, now=now, next_at=now + GATHER)
    unknown = [ref for host_id, refs in by_host.items() if not is_known(hosts[host_id], now) for ref in refs]
    await tx.move(Event.HOST_UNKNOWN, unknown, now=now, next_at=now + RESOLVE_AGAIN)
    for host_id in sorted(by_host):
        host = hosts[host_id]
        if not is_known(host, now) and (host.resolve_after is None or host.resolve_after <= now):
            await tx.need_host(host_id, now=now)


def is_known(host: HostRow, now: datetime) -> bool:
    """Whether the host was resolved lately, to somebody who can be told. What the directory says needs no registry."""
    if host.has_entry and host.resolve_tries > 0:
        return True
    resolved_at = host.facts.resolved_at
    return host.has_contact and resolved_at is not None and now - resolved_at <= RDAP_FRESH

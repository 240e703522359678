"""Look at what was complained about: is it gone? And what follows, for each URL by the rules of `follow_up.py`.

One host is looked at by one pair of eyes at a time, with a pause between two looks.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from libs.common.clock import Clock
from services.takedowns.domain.follow_up import Followed, follow
from services.takedowns.domain.notice_ports import Eyes
from services.takedowns.domain.progress_ports import DueLook, Progress
from services.takedowns.domain.states import Event, State
from services.takedowns.domain.verdict import Look, Site, Verdict, judge

STATES: Final = (
    State.NOTICED,
    State.ACKNOWLEDGED,
    State.ACTION_REQUIRED,
    State.REMOVED,
    State.DELISTED,
    State.UNRESPONSIVE,
)
LIMIT: Final = 200  # URLs per turn
HOSTS_AT_ONCE: Final = 50
PAUSE_SECONDS: Final = 5.0  # between two looks at one host
PER_HOST: Final = (
    10  # looks at one host per turn; the rest waits for the next, so that one big host does not hold a turn up
)
CLAIMED_FOR: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class CheckUrls:
    """One turn over the looks that are due. Answers how many were taken."""

    progress: Progress
    eyes: Eyes
    clock: Clock
    chance: Callable[[], float]
    count_check: Callable[[str], None]
    observe_removal_hours: Callable[[float], None]
    is_head: bool = False
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __call__(self) -> int:
        now = self.clock.now()
        due = await self.progress.claim_looks(STATES, now=now, until=now + CLAIMED_FOR, limit=LIMIT)
        by_host: defaultdict[str, list[DueLook]] = defaultdict(list)
        for url in due:
            by_host[url.host].append(url)
        room = asyncio.Semaphore(HOSTS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for urls in by_host.values():
                group.create_task(self._host(urls, room))
        return sum(min(len(urls), PER_HOST) for urls in by_host.values())

    async def _host(self, urls: Sequence[DueLook], room: asyncio.Semaphore) -> None:
        late = [url.ref for url in urls[PER_HOST:]]
        if late:
            async with self.progress.transaction() as tx:
                await tx.rearm(late, self.clock.now() + timedelta(minutes=1), states=STATES)
        async with room:
            for number, url in enumerate(urls[:PER_HOST]):
                if number:
                    await self.sleep(PAUSE_SECONDS)
                await self._check(url)

    async def _check(self, url: DueLook) -> None:
        look = await self.eyes.look(url.url, is_head=self.is_head)
        missing = None
        if look.status == 200:
            missing = await self.eyes.look_at_missing(url.url, is_head=self.is_head)
        site = Site(removed_markers=url.removed_markers, live_markers=url.live_markers, missing=missing)
        verdict = judge(url.url, look, site, first=url.first)
        self.count_check(verdict.value)
        now = self.clock.now()
        followed = follow(url.watched, verdict, now=now, chance=self.chance())
        await self._write(url, msgspec.structs.replace(look, at=now), verdict, followed, now)

    async def _write(self, url: DueLook, look: Look, verdict: Verdict, followed: Followed, now: datetime) -> None:
        async with self.progress.transaction() as tx:
            await tx.add_check(url.ref, look, verdict)
            if followed.event is None:
                await tx.rearm([url.ref], followed.next_at, states=[url.watched.state])
                return
            stage = 0 if followed.event is Event.BACK_ALIVE else None  # all over again
            moved = await tx.move(
                followed.event, [url.ref], now=now, next_at=followed.next_at, reason=followed.reason, stage=stage
            )
            if moved and followed.event is Event.GONE:
                await tx.count_host(url.host_id, removed=1)
        if moved and followed.event is Event.GONE and url.watched.sent_at is not None:
            self.observe_removal_hours((now - url.watched.sent_at) / timedelta(hours=1))

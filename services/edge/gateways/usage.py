"""The record of what is to be paid, behind the port `UsageLog`: confirmed by the broker, or not at all, or voided.

Records of one shard are collected while its previous publish is unconfirmed, up to 256 in one message; when none is, what a
loop tick brings is published at its end. A message whose fate is unknown is published again, the same bytes under the same
ids, until the last of its calls is past its fence. A call that passes its fence unconfirmed is answered 503 and
voided: billing undoes its debit, posted or still to come.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.edge import USAGE_RECORDS_MAX, Usage, UsageRecorded, UsageVoided
from libs.common.contracts.wire import Outgoing, Publisher, encode, shard_of
from libs.common.deadlines import Deadlines
from libs.common.errors import Refused, Unconfirmed
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import Counter, Gauge

PUBLISH_SECONDS: Final = 5.0  # for one confirm, before the same bytes are sent again
AGAIN_SECONDS: Final = 0.2  # between two publishes of the same bytes
WAITING_MAX: Final = 10_000  # records of one shard not yet published; beyond, calls are refused (and released)
VOIDS_MAX: Final = 100_000  # ids not yet voided; beyond, the oldest are dropped and counted
VOID_PAUSE_SECONDS: Final = (0.2, 5.0)  # first and longest pause while the bus is away

RECORDS = Counter("fangate_usage_records_total", "Usage records by what the broker said", ["outcome"])
VOIDED = Counter("fangate_usage_voids_total", "Calls whose debit is undone because its record was never confirmed")
VOIDS_LOST = Counter(
    "fangate_usage_voids_lost_total", "Voids dropped from memory: their debits stand, unless leases ended"
)
VOIDS_PENDING = Gauge("fangate_usage_voids_pending", "Calls to be voided as soon as the bus is back")
_CONFIRMED, _REFUSED, _UNCONFIRMED = (RECORDS.labels(outcome) for outcome in ("confirmed", "refused", "unconfirmed"))

_log = logger(__name__)


@dataclass(slots=True, eq=False)
class _Record:
    usage: Usage
    fence_at_ms: int  # of the stopwatch
    done: "asyncio.Future[None]"

    def expire(self) -> None:
        if not self.done.done():
            self.done.set_exception(Unconfirmed(detail="no confirm before the fence"))


class _Shard:
    """The records of one shard that wait, and whether somebody is about to publish them."""

    __slots__ = ("is_busy", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Record] = deque()
        self.is_busy = False


class UsageGateway:
    """The `UsageLog` port over a publisher; `run` must run in the background for the voids."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._shards: dict[int, _Shard] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._fences = Deadlines()
        self._voids: deque[tuple[UUID, UUID]] = deque()  # organization, call
        self._void_due = asyncio.Event()

    async def record(self, usage: Usage, *, fence_at_ms: int) -> None:
        number = shard_of(usage.org_id)
        shard = self._shards.get(number)
        if shard is None:
            shard = self._shards[number] = _Shard()
        if len(shard.waiting) >= WAITING_MAX:
            raise Refused(detail="too many usage records are waiting")
        loop = asyncio.get_running_loop()
        record = _Record(usage, fence_at_ms, loop.create_future())
        shard.waiting.append(record)
        if not shard.is_busy:
            shard.is_busy = True
            loop.call_soon(self._begin, shard)  # at the end of this tick, with all that the tick brings
        seconds = max(0.0, (fence_at_ms - self._clock.stopwatch_ms()) / 1_000)
        due = self._fences.add(record, seconds)
        try:
            await record.done
        except Unconfirmed:
            self._void(usage)
            raise
        except asyncio.CancelledError:
            self._void(usage)  # the process ends: whoever asked gets no 2xx
            raise
        finally:
            due.discard(record)
        if self._clock.stopwatch_ms() >= fence_at_ms:  # confirmed, but too late to be sure that the lease waited for it
            self._void(usage)
            raise Unconfirmed(detail="the confirm came after the fence")

    async def void(self, org_id: UUID, ids: Sequence[UUID]) -> None:
        for at in range(0, len(ids), USAGE_RECORDS_MAX):
            message = UsageVoided(org_id=org_id, ids=tuple(ids[at : at + USAGE_RECORDS_MAX]))
            await self._publisher.publish(encode(message, org_id=org_id))

    async def run(self) -> None:
        """Send voids, for ever; one that cannot be sent waits for the bus."""
        pause_s = VOID_PAUSE_SECONDS[0]
        while True:
            if not self._voids:
                self._void_due.clear()
                await self._void_due.wait()
            try:
                await self.flush_voids()
                pause_s = VOID_PAUSE_SECONDS[0]
            except (Refused, Unconfirmed):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, VOID_PAUSE_SECONDS[1])

    async def flush_voids(self) -> None:
        """Send all voids that wait. Raises Refused or Unconfirmed; what was not confirmed stays."""
        while self._voids:
            org_id = self._voids[0][0]
            ids = [call_id for org, call_id in self._voids if org == org_id][:USAGE_RECORDS_MAX]
            await self.void(org_id, ids)
            sent = set(ids)
            self._voids = deque(void for void in self._voids if void[1] not in sent)
            VOIDS_PENDING.set(len(self._voids))

    def _begin(self, shard: _Shard) -> None:
        task = asyncio.get_running_loop().create_task(self._publish_waiting(shard), name="publish usage")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _publish_waiting(self, shard: _Shard) -> None:
        try:
            while shard.waiting:
                batch = [shard.waiting.popleft() for _ in range(min(len(shard.waiting), USAGE_RECORDS_MAX))]
                batch = [record for record in batch if not record.done.done()]  # past its fence before it was published
                if batch:
                    await self._publish(batch)
        finally:
            shard.is_busy = False

    async def _publish(self, batch: list[_Record]) -> None:
        """Publish one message until its fate is known or nobody waits for it any more. Raises nothing but cancellation."""
        message = encode(UsageRecorded(records=tuple(record.usage for record in batch)), org_id=batch[0].usage.org_id)
        may_be_there = False
        while True:
            error = await self._publish_once(message)
            if error is None:
                _CONFIRMED.inc(len(batch))
                _settle(batch, None)
                return
            if isinstance(error, Refused) and not may_be_there:
                _REFUSED.inc(len(batch))
                _settle(batch, Refused(detail=error.detail))
                return
            # Unknown once is unknown for good, until a confirm: a refusal of the second try says nothing of the first.
            may_be_there = True
            if all(record.done.done() for record in batch):  # the last fence has passed
                _UNCONFIRMED.inc(len(batch))
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def _publish_once(self, message: Outgoing) -> Exception | None:
        try:
            await self._publisher.publish(message, timeout_s=PUBLISH_SECONDS)
        except (Refused, Unconfirmed) as exc:
            return exc
        except Exception as exc:  # whatever it is, the bytes may have left: only a clean refusal is a refusal
            _log.error("publish failed in an unforeseen way", exc_info=exc)
            return exc
        return None

    def _void(self, usage: Usage) -> None:
        VOIDED.inc()
        if len(self._voids) >= VOIDS_MAX:
            self._voids.popleft()
            VOIDS_LOST.inc()
        self._voids.append((usage.org_id, usage.id))
        VOIDS_PENDING.set(len(self._voids))
        self._void_due.set()


def _settle(batch: list[_Record], error: Exception | None) -> None:
    for record in batch:
        if not record.done.done():
            if error is None:
                record.done.set_result(None)
            else:
                record.done.set_exception(error)

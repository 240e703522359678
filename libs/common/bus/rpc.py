"""Calls to other services: one future per call, an absolute deadline, and never a second try.

Calls of a framed type that are made in one loop tick travel in one message; each keeps its own id, deadline and outcome.
A call's outcome is definite (`Refused`: nobody will see it), the other service's word (answer or `RpcError`), or unknown
(`DeadlinePassed`).
"""

import asyncio
import uuid
from collections import deque
from typing import Final

import msgspec

from libs.common.bus import metrics
from libs.common.bus.consumer import decode_struct
from libs.common.bus.errors import BUS_ERRORS, BusError
from libs.common.bus.frames import (
    CALLS_MAX,
    GROUP_BYTES_MAX,
    AnswerHead,
    BadFrames,
    CallHead,
    decode_answer,
    encode_head,
    pack,
    unpack,
)  # fmt: skip
from libs.common.bus.publisher import Breaker
from libs.common.bus.transport import BLOB, JSON, STRUCT_HEADER, STRUCT_HEADER_BYTES_MAX, Delivery, Parcel, Transport
from libs.common.clock import Clock
from libs.common.contracts.envelope import Kind, Message
from libs.common.contracts.registry import REGISTRY, MessageType
from libs.common.contracts.wire import COMMANDS
from libs.common.deadlines import Deadlines, Expiring
from libs.common.errors import DeadlinePassed, FangateError, Refused, RpcError, Unconfirmed
from libs.common.ids import uuid7
from libs.common.telemetry.log import logger

PENDING_MAX: Final = 512  # of one process: more would only queue up behind the workers until their deadlines
PENDING_PER_ORG_MAX: Final = 256  # half of it: one organization cannot starve the others
SENDING_MAX: Final = 4  # framed messages on their way to a confirm; meanwhile further calls gather for the next one
LISTEN_TIMEOUT_S: Final = 2.0  # once per process
CONFIRM_TIMEOUT_S: Final = 5.0  # then the outcome is unknown and the wait for the answer goes on

log = logger(__name__)


class _Pending:
    """One call that waits for its answer."""

    __slots__ = ("blob", "deadline_ms", "due", "entry", "future", "head", "is_sent", "share")

    def __init__(
        self, entry: MessageType, share: "_Share | None", deadline_ms: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.entry = entry
        self.share = share
        self.deadline_ms = deadline_ms
        self.future: asyncio.Future[tuple[Message, bytes]] = loop.create_future()
        self.is_sent = False
        self.head = b""
        self.blob = b""
        self.due: set[Expiring] = set()

    def expire(self) -> None:
        # What never left is certain; what left may have been done.
        self.fail(DeadlinePassed() if self.is_sent else Refused(detail="not sent before the deadline"))

    def fail(self, error: FangateError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Share:
    """What an organization has under way."""

    __slots__ = ("calls", "org_id")

    def __init__(self, org_id: uuid.UUID) -> None:
        self.org_id = org_id
        self.calls = 0


class RpcClient:
    """Makes calls over one transport. Listens for answers from the first one on: most services never call."""

    def __init__(
        self, transport: Transport, breaker: Breaker, *, clock: Clock, pending_max: int = PENDING_MAX,
        pending_per_org_max: int = PENDING_PER_ORG_MAX,
    ) -> None:  # fmt: skip
        self._transport = transport
        self._breaker = breaker
        self._clock = clock
        self._pending_max = pending_max
        self._pending_per_org_max = pending_per_org_max
        self._pending: dict[int, _Pending] = {}  # by the number of its id, which is hashed in no time
        self._shares: dict[uuid.UUID, _Share] = {}
        self._unsent: dict[str, deque[_Pending]] = {}  # framed calls by type, in the order they were made
        self._sending = 0
        self._flush_is_due = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadlines = Deadlines()
        self._is_listening = False
        self._listen_lock = asyncio.Lock()

    async def start(self) -> None:
        """Begin to listen for answers. Raises `Refused` when there is no connection."""
        async with self._listen_lock:
            if self._is_listening:
                return
            try:
                async with asyncio.timeout(LISTEN_TIMEOUT_S):
                    await self._transport.listen(deliver=self._on_answer, lost=self._on_lost)
            except BUS_ERRORS as exc:
                raise Refused(detail=f"answers cannot be taken: {exc!r}") from exc
            self._is_listening = True

    async def call(
        self, request: Message, *, org_id: uuid.UUID | None, deadline_ms: int, blob: bytes = b"", traceparent: str = ""
    ) -> tuple[Message, bytes]:
        """Ask and wait. `deadline_ms` is absolute, in Unix milliseconds.

        Raises `Refused` (nothing was sent), `DeadlinePassed` (unknown what happened), `RpcError` (the other side's word),
        ValueError for a request that is too large.
        """
        entry = REGISTRY.of(type(request))
        if entry.kind is not Kind.RPC:
            raise BusError(f"{entry.name} is no rpc")
        raw = msgspec.json.encode(request)
        if len(raw) + len(blob) > entry.body_bytes_max:
            raise ValueError(f"{entry.name}: {len(raw) + len(blob)} bytes, at most {entry.body_bytes_max} are allowed")
        if not self._is_listening:
            await self.start()
        call_id = uuid7()
        pending = self._admit(call_id, entry, org_id, deadline_ms)
        outcome = "cancelled"
        try:
            if entry.framed:
                head = CallHead(id=call_id, deadline=deadline_ms, body=msgspec.Raw(raw), org=org_id, trace=traceparent)
                pending.head, pending.blob = encode_head(head), blob
                self._unsent.setdefault(entry.name, deque()).append(pending)
                self._flush_soon()
            else:
                parcel = _single(entry, call_id, raw, org_id, deadline_ms, blob, traceparent, self._clock.now_ms())
                self._spawn_send(parcel, [pending])
            answer = await pending.future
            outcome = "ok"
            return answer
        except FangateError as exc:
            outcome = {Refused: "refused", DeadlinePassed: "expired"}.get(type(exc), "error")
            raise
        finally:
            self._forget(call_id, pending)
            metrics.called(entry.name, outcome).inc()

    async def close(self) -> None:
        """Give up what is still under way."""
        for pending in list(self._pending.values()):
            pending.fail(DeadlinePassed(detail="the bus is closing") if pending.is_sent else Refused(detail="closing"))
        self._deadlines.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _admit(self, call_id: uuid.UUID, entry: MessageType, org_id: uuid.UUID | None, deadline_ms: int) -> _Pending:
        remaining_ms = deadline_ms - self._clock.now_ms()
        if remaining_ms <= 0:
            raise Refused(detail="the deadline had passed before the call")
        if len(self._pending) >= self._pending_max:
            raise Refused(detail="too many calls under way")
        share = None
        if org_id is not None:
            share = self._shares.get(org_id) or _Share(org_id)
            if share.calls >= self._pending_per_org_max:
                raise Refused(detail="too many calls of this organization under way")
        self._breaker.admit()
        pending = _Pending(entry, share, deadline_ms, asyncio.get_running_loop())
        pending.due = self._deadlines.add(pending, remaining_ms / 1_000)
        self._pending[call_id.int] = pending
        if share is not None:
            share.calls += 1
            if share.calls == 1:
                self._shares[share.org_id] = share
        return pending

    def _forget(self, call_id: uuid.UUID, pending: _Pending) -> None:
        del self._pending[call_id.int]
        pending.due.discard(pending)
        share = pending.share
        if share is not None:
            share.calls -= 1
            if not share.calls:
                del self._shares[share.org_id]

    # sending

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            # After all tasks that are ready now have made their calls.
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        for name, waiting in self._unsent.items():
            while waiting and self._sending < SENDING_MAX:
                chosen = self._take(waiting)
                if not chosen:
                    continue
                entry = chosen[0].entry
                expiry_ms = max(pending.deadline_ms for pending in chosen) - self._clock.now_ms()
                parcel = Parcel(
                    exchange=COMMANDS,
                    routing_key=name,
                    type=name,
                    message_id=str(uuid7()),
                    headers={},
                    body=pack((pending.head, pending.blob) for pending in chosen),
                    content_type=BLOB,
                    expiration_ms=max(1, expiry_ms),
                    persistent=False,
                )
                assert entry.framed
                self._sending += 1
                self._spawn_send(parcel, chosen, is_framed=True)

    def _take(self, waiting: deque[_Pending]) -> list[_Pending]:
        """The calls of the next message, oldest first, without those that were given up meanwhile."""
        chosen: list[_Pending] = []
        size = 0
        while waiting and len(chosen) < CALLS_MAX:
            pending = waiting[0]
            if pending.future.done():
                waiting.popleft()
                continue
            size += len(pending.head) + len(pending.blob)
            if chosen and size > GROUP_BYTES_MAX:
                break
            waiting.popleft()
            chosen.append(pending)
        return chosen

    def _spawn_send(self, parcel: Parcel, calls: list[_Pending], *, is_framed: bool = False) -> None:
        for pending in calls:
            pending.is_sent = True
        task = asyncio.create_task(self._send(parcel, calls, is_framed=is_framed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, parcel: Parcel, calls: list[_Pending], *, is_framed: bool) -> None:
        """Publish beside the wait for the answer: it often overtakes the confirm."""
        try:
            await self._transport.call(parcel, timeout_s=CONFIRM_TIMEOUT_S)
        except Refused as exc:
            self._breaker.answered()
            for pending in calls:
                pending.fail(Refused(detail=exc.detail))
        except Unconfirmed:
            self._breaker.unanswered()
        except Exception as exc:
            self._breaker.withdrawn()
            log.exception("a call could not be sent", type=parcel.type)
            for pending in calls:
                pending.fail(DeadlinePassed(detail=repr(exc)))
        else:
            self._breaker.answered()
        finally:
            if is_framed:
                self._sending -= 1
                self._flush()

    # answers

    def _on_lost(self) -> None:
        """The answers to what was sent cannot arrive any more; better said now than at the deadline."""
        for pending in self._pending.values():
            if pending.is_sent:
                pending.fail(DeadlinePassed(detail="the connection was lost while waiting"))

    def _on_answer(self, delivery: Delivery) -> None:
        entry = REGISTRY.by_name(delivery.type)
        if entry is None or delivery.user != entry.owner:
            log.warning("an answer from a stranger", type=delivery.type, user=delivery.user)
            return
        try:
            if entry.framed:
                for head, blob in unpack(delivery.body):
                    self._resolve(decode_answer(head), blob)
            else:
                struct = delivery.headers.get(STRUCT_HEADER)
                raw, blob = (delivery.body, b"") if struct is None else (str(struct).encode(), delivery.body)
                answer = decode_answer(raw)
                self._resolve(msgspec.structs.replace(answer, id=uuid.UUID(delivery.correlation_id)), blob)
        except (BadFrames, msgspec.MsgspecError, ValueError) as exc:
            log.error("an answer that nobody can read", type=delivery.type, error=str(exc))

    def _resolve(self, head: AnswerHead, blob: bytes) -> None:
        pending = self._pending.get(head.id.int) if head.id is not None else None
        if pending is None or pending.future.done():
            metrics.RPC_LATE.inc()
            return
        if head.error is not None:
            error = RpcError(head.error.code, head.error.message)
            error.fields = dict(head.error.fields)
            pending.fail(error)
            return
        assert pending.entry.reply is not None, "an rpc has a reply"
        try:
            pending.future.set_result((decode_struct(pending.entry.reply, head.ok), blob))
        except msgspec.MsgspecError as exc:
            pending.fail(RpcError("INTERNAL_ERROR", "Something went wrong"))
            log.error("an answer of the wrong shape", type=pending.entry.name, error=str(exc))


def _single(
    entry: MessageType, call_id: uuid.UUID, raw: bytes, org_id: uuid.UUID | None, deadline_ms: int, blob: bytes,
    traceparent: str, now_ms: int,
) -> Parcel:  # fmt: skip
    """The message of one unframed call."""
    headers: dict[str, str | int] = {"deadline": deadline_ms}
    if org_id is not None:
        headers["org"] = str(org_id)
    if traceparent:
        headers["traceparent"] = traceparent
    if blob:
        if len(raw) > STRUCT_HEADER_BYTES_MAX:
            raise ValueError(f"{entry.name}: {len(raw)} bytes beside a blob, at most {STRUCT_HEADER_BYTES_MAX} fit")
        headers[STRUCT_HEADER] = raw.decode()
    return Parcel(
        exchange=COMMANDS,
        routing_key=entry.name,
        type=entry.name,
        message_id=str(call_id),
        headers=headers,
        body=blob or raw,
        content_type=BLOB if blob else JSON,
        correlation_id=str(call_id),
        expiration_ms=max(1, deadline_ms - now_ms),
        persistent=False,
    )

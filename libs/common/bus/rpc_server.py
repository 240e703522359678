"""The answering side of rpc: runs each call under what is left of its deadline, answers, then acks.

Answers that become ready in one loop tick go out in one message per caller. An answer that cannot be sent is dropped: the
caller's deadline is the safety net, and whether work may be repeated is decided by the handler's own fence.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import msgspec

from libs.common.bus import metrics
from libs.common.bus.acks import Acks
from libs.common.bus.consumer import Consumer, Rejected, Reply, decode_struct, known_type, label_of, open_delivery
from libs.common.bus.errors import BUS_ERRORS
from libs.common.bus.frames import CALLS_MAX, AnswerHead, BadFrames, decode_call, encode_head, group, pack, unpack
from libs.common.bus.incoming import Incoming
from libs.common.bus.told import tell
from libs.common.bus.transport import BLOB, JSON, STRUCT_HEADER, STRUCT_HEADER_BYTES_MAX, Delivery, Parcel, Transport
from libs.common.clock import Clock
from libs.common.contracts.envelope import Context, Message, RpcFailure
from libs.common.contracts.registry import MessageType
from libs.common.deadlines import Deadlines
from libs.common.errors import FangateError, Unavailable
from libs.common.ids import id_ms, uuid7
from libs.common.telemetry.log import logger
from libs.common.telemetry.trace import current_traceparent

ANSWER_BYTES_MAX: Final = 8 << 20
ANSWER_LIFE_MS: Final = 60_000  # an answer that lies longer has no one waiting
# While more calls are under way, an answer waits this long for theirs: a message costs as much as some ten calls in it.
GATHER_S: Final = 0.001
INTERNAL: Final = RpcFailure(code="INTERNAL_ERROR", message="Something went wrong")

log = logger(__name__)


class _Request:
    """One bus message, its number among the acknowledgements, and how many of its calls are still to be answered."""

    __slots__ = ("delivery", "left", "number")

    def __init__(self, delivery: Delivery, number: int, left: int) -> None:
        self.delivery = delivery
        self.number = number
        self.left = left


_Answer = tuple[bytes, bytes, _Request]  # head, blob, what it answers


class RpcServer:
    """Answers the calls that come in."""

    def __init__(self, consumer: Consumer, transport: Transport, *, service: str, clock: Clock) -> None:
        self._consumer = consumer
        self._transport = transport
        self._service = service
        self._clock = clock
        self.incoming = Incoming(consumer.queue)
        self._running: set[asyncio.Task[None]] = set()  # framed calls and answers; bounded by prefetch x CALLS_MAX
        self._answers: dict[tuple[str, str], list[_Answer]] = {}  # by caller and type
        self._gathered = 0
        self._flush_at: asyncio.Handle | None = None
        self._under_way = 0  # framed calls without an answer
        self._acks = Acks(self._spawn)
        self._in_hand = metrics.IN_FLIGHT.labels(consumer.queue)
        self._seconds = metrics.HANDLE_SECONDS.labels(consumer.queue)
        self._queue_wait = metrics.QUEUE_WAIT_SECONDS.labels(consumer.queue)
        self._deadlines = Deadlines()
        self._unframed = 0

    @property
    def is_idle(self) -> bool:
        """Nothing in hand."""
        return self._unframed == 0 and not self._running and self.incoming.is_empty

    def tasks(self) -> list[Callable[[], Awaitable[None]]]:
        """The loops to run."""
        return [self._work for _ in range(self._consumer.workers)]

    async def give_back(self) -> None:
        """For a drain, after the subscription stopped: return what nobody began, and let the workers end."""
        await self.incoming.close(self._consumer.workers)

    async def _work(self) -> None:
        while (delivery := await self.incoming.get()) is not None:
            self._unframed += 1
            try:
                await self._take(delivery)
            except Exception:
                metrics.BROKEN.inc()
                log.exception("a worker failed", queue=self._consumer.queue)
            finally:
                self._unframed -= 1
        try:
            while self._running:
                await asyncio.wait(self._running)
            await self._acks.flush()
        except asyncio.CancelledError:  # the drain's patience is over
            for task in self._running:
                task.cancel()
            raise

    async def _take(self, delivery: Delivery) -> None:
        # Stale first: the broker gives it to somebody else, two would work on one call.
        if delivery.receipt.is_stale():
            self._count(label_of(delivery), "stale")
            return
        number = self._acks.took(delivery)
        try:
            entry = known_type(delivery, self._consumer, self._service)
        except Rejected as exc:
            # No answer: a stranger learns nothing, and an unknown type has no one here who could answer.
            log.warning("call refused", queue=self._consumer.queue, reason=exc.reason, error=str(exc))
            self._count(label_of(delivery), exc.reason)
            await self._acks.settle(number)
            return
        if entry.framed:
            self._take_frames(delivery, number, entry)
            return
        await self._take_single(delivery, entry)
        await self._acks.settle(number)

    # one call per message

    async def _take_single(self, delivery: Delivery, entry: MessageType) -> None:
        try:
            message, context = open_delivery(delivery, entry)
        except Rejected as exc:
            log.warning("call refused", queue=self._consumer.queue, type=entry.name, error=str(exc))
            self._count(entry.name, exc.reason)
            await self._reply_single(delivery, AnswerHead(error=INTERNAL), b"")
            return
        answer = await self._run(message, context)
        if answer is not None:
            await self._reply_single(delivery, *answer)

    async def _reply_single(self, delivery: Delivery, head: AnswerHead, blob: bytes) -> None:
        raw = encode_head(head)
        if blob and len(raw) > STRUCT_HEADER_BYTES_MAX:
            log.error("an answer's struct is too large beside its blob", type=delivery.type, bytes=len(raw))
            raw, blob = encode_head(AnswerHead(error=INTERNAL)), b""
        headers = {STRUCT_HEADER: raw.decode()} if blob else {}
        await self._reply(delivery.reply_to, delivery.type, blob or raw, delivery.correlation_id, headers)

    # many calls per message

    def _take_frames(self, delivery: Delivery, number: int, entry: MessageType) -> None:
        try:
            calls = [(decode_call(head), blob) for head, blob in unpack(delivery.body)]
            if not calls:
                raise BadFrames("no call at all")
        except (BadFrames, msgspec.MsgspecError) as exc:
            log.error("frames that nobody can read", type=entry.name, error=str(exc))
            self._count(entry.name, "malformed")
            self._acks.done(number)
            return
        request = _Request(delivery, number, len(calls))
        self._under_way += len(calls)
        for head, blob in calls:
            context = Context(
                message_id=head.id, type=entry.name, sender=delivery.user, org_id=head.org, deadline_ms=head.deadline,
                traceparent=head.trace, blob=blob, is_redelivered=delivery.redelivered,
            )  # fmt: skip
            self._spawn(self._answer_frame(request, entry, head.body, context))

    async def _answer_frame(self, request: _Request, entry: MessageType, raw: msgspec.Raw, context: Context) -> None:
        try:
            answer = await self._run_frame(entry, raw, context)
        finally:
            self._under_way -= 1
        if answer is None:
            self._finish(request)
            return
        head, blob = answer
        key = (request.delivery.reply_to, entry.name)
        with_id = encode_head(msgspec.structs.replace(head, id=context.message_id))
        self._answers.setdefault(key, []).append((with_id, blob, request))
        self._flush_soon()

    async def _run_frame(
        self, entry: MessageType, raw: msgspec.Raw, context: Context
    ) -> tuple[AnswerHead, bytes] | None:
        try:
            message = decode_struct(entry.struct, raw)
        except msgspec.MsgspecError as exc:
            log.warning("call refused", type=entry.name, error=str(exc))
            self._count(entry.name, "malformed")
            return AnswerHead(error=INTERNAL), b""
        return await self._run(message, context)

    def _flush_soon(self) -> None:
        """Have the answers sent, with those of all handlers that are ready now, and of others if that is soon."""
        self._gathered += 1
        is_enough = not self._under_way or self._gathered >= CALLS_MAX
        if self._gathered > 1 and not is_enough:
            return  # a timer runs
        if self._flush_at is not None:
            self._flush_at.cancel()
        loop = asyncio.get_running_loop()
        self._flush_at = loop.call_soon(self._flush) if is_enough else loop.call_later(GATHER_S, self._flush)

    def _flush(self) -> None:
        self._flush_at, self._gathered = None, 0
        answers, self._answers = self._answers, {}
        for (reply_to, name), ready in answers.items():
            self._spawn(self._send_frames(reply_to, name, ready))

    async def _send_frames(self, reply_to: str, name: str, ready: list[_Answer]) -> None:
        for frames in group([(head, blob) for head, blob, _ in ready]):
            await self._reply(reply_to, name, pack(frames), "", {}, content_type=BLOB)
        for _, _, request in ready:
            self._finish(request)

    def _finish(self, request: _Request) -> None:
        request.left -= 1
        if not request.left:
            self._acks.done(request.number)

    # both

    async def _run(self, message: Message, context: Context) -> tuple[AnswerHead, bytes] | None:
        """Run the handler; None when the deadline has passed and nobody waits for an answer."""
        left_s = ((context.deadline_ms or 0) - self._clock.now_ms()) / 1_000
        if left_s <= 0:  # before the handler: work for nobody is the first thing to shed under load
            metrics.RPC_EXPIRED.inc()
            self._count(context.type, "expired")
            return None
        self._queue_wait.observe(max(0.0, (self._clock.now_ms() - id_ms(context.message_id)) / 1_000))
        current_traceparent.set(context.traceparent)
        started = time.perf_counter()
        self._in_hand.inc()
        outcome = "ok"
        try:
            with self._deadlines.within(left_s) as limit:
                reply = await self._consumer.handlers[context.type](message, context)
            return _answer(reply, context)
        except TimeoutError as exc:
            if limit.is_expired:
                outcome = "expired"
                metrics.RPC_EXPIRED.inc()
                return None
            outcome = "broken"
            return _surprise(exc, context)
        except FangateError as exc:
            outcome = "error"
            return AnswerHead(error=failure_of(exc)), b""
        except Exception as exc:
            outcome = "broken"
            return _surprise(exc, context)
        finally:
            self._in_hand.dec()
            seconds = time.perf_counter() - started
            self._seconds.observe(seconds)
            self._count(context.type, outcome)
            tell(self._consumer.queue, context, outcome, seconds)

    async def _reply(
        self,
        reply_to: str,
        name: str,
        body: bytes,
        correlation_id: str,
        headers: dict[str, Any],
        *,
        content_type: str = JSON,
    ) -> None:
        if not reply_to:
            return
        parcel = Parcel(
            exchange="",
            routing_key=reply_to,
            type=name,
            message_id=str(uuid7()),
            headers=headers,
            body=body,
            content_type=content_type,
            correlation_id=correlation_id,
            expiration_ms=ANSWER_LIFE_MS,
            persistent=False,
            mandatory=False,  # 3.10 returns answers by direct reply-to as unroutable
        )
        try:
            await self._transport.reply(parcel)
        except BUS_ERRORS as exc:
            log.warning("an answer was lost", type=name, error=repr(exc))

    def _count(self, name: str, outcome: str) -> None:
        metrics.handled(self._consumer.queue, name, outcome).inc()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def failure_of(error: FangateError) -> RpcFailure:
    """An error of ours, as it crosses the bus: code, public sentence and facts; never `detail`."""
    fields = dict(error.fields)
    if isinstance(error, Unavailable):
        fields["retry_after_s"] = error.retry_after_s
    return RpcFailure(code=error.code, message=error.public, fields=fields)


def _answer(reply: Reply, context: Context) -> tuple[AnswerHead, bytes]:
    message, blob = reply if isinstance(reply, tuple) else (reply, b"")
    raw = msgspec.json.encode(message)
    if len(raw) + len(blob) > ANSWER_BYTES_MAX:
        log.error("an answer is too large", type=context.type, bytes=len(raw) + len(blob))
        return AnswerHead(error=INTERNAL), b""
    return AnswerHead(ok=msgspec.Raw(raw)), blob


def _surprise(error: BaseException, context: Context) -> tuple[AnswerHead, bytes]:
    metrics.BROKEN.inc()
    log.error("a handler failed", type=context.type, id=str(context.message_id), exc_info=error)
    return AnswerHead(error=INTERNAL), b""

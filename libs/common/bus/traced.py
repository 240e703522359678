"""Spans around the handlers of a consumer, where spans are recorded: put there before anything is consumed, or not at all."""

from collections.abc import Awaitable, Callable
from typing import Any

from libs.common.bus.consumer import Consumer, Mode
from libs.common.contracts.envelope import Context
from libs.common.telemetry.spans import Attributes, Recorder


def record_handlers(consumer: Consumer, recorder: Recorder) -> None:
    """Wrap every handler of `consumer`.

    What is handled for the first time is a part of the trace that sent it. A retry, a replay and a batch begin a trace of
    their own, linked to those: they come minutes or days later, or have many parents.
    """
    for name, handler in list(consumer.handlers.items()):
        wrapped = (
            _of_batch(handler, consumer, recorder)
            if consumer.mode is Mode.BATCH
            else _of_one(handler, consumer, recorder)
        )
        consumer.handlers[name] = wrapped


def _of_one(
    handler: Callable[..., Awaitable[Any]], consumer: Consumer, recorder: Recorder
) -> Callable[..., Awaitable[Any]]:
    kind: Any = "server" if consumer.mode is Mode.RPC else "consumer"

    async def handle(message: Any, context: Context) -> Any:
        is_later = context.attempt > 1 or context.is_replayed
        known = (context.traceparent,) if context.traceparent else ()
        with recorder.around(
            context.type,
            kind,
            parent="" if is_later else context.traceparent,
            links=known if is_later else (),
            attributes={
                "messaging.system": "rabbitmq", "messaging.destination.name": consumer.queue,
                "messaging.message.id": str(context.message_id), "fangate.attempt": context.attempt,
                "fangate.is_replayed": context.is_replayed,
            },
        ):  # fmt: skip
            return await handler(message, context)

    return handle


def _of_batch(
    handler: Callable[..., Awaitable[Any]], consumer: Consumer, recorder: Recorder
) -> Callable[..., Awaitable[Any]]:
    async def handle(items: list[tuple[Any, Context]]) -> Any:
        links = [context.traceparent for _, context in items if context.traceparent]
        attributes: Attributes = {
            "messaging.system": "rabbitmq", "messaging.destination.name": consumer.queue,
            "messaging.batch.message_count": len(items),
        }  # fmt: skip
        with recorder.around(f"batch {consumer.queue}", "consumer", links=links, attributes=attributes):
            return await handler(items)

    return handle

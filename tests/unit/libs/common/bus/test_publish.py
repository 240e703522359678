"""Our publish puts the same bytes on the wire as aiormq's, and its confirm is found as aiormq looks for it."""

import asyncio
import inspect
from typing import Any, cast

import aiormq
import msgspec
import pamqp.frame
import pytest
from aiormq.abc import ChannelFrame
from aiormq.exceptions import ChannelInvalidStateError
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from libs.common.bus.publish import frames_of, publish
from libs.common.bus.transport import BLOB, Parcel

PIECE = 1_000
PLAIN = Parcel(
    exchange="events", routing_key="edge.usage.recorded.v1.s07", type="edge.usage.recorded.v1", message_id="an id",
    headers={"org": "é", "traceparent": "00-" + "0" * 300}, body=b'{"a":1}',
)  # fmt: skip
CALL = msgspec.structs.replace(
    PLAIN, content_type=BLOB, headers={}, correlation_id="c", expiration_ms=30_000, persistent=False, mandatory=False
)


def aiormqs(parcel: Parcel, channel: int, reply_to: str = "") -> bytes:
    """The frames that `aiormq.Channel.basic_publish` makes."""
    spec, body = aiormq.spec.Basic, parcel.body
    properties = spec.Properties(
        content_type=parcel.content_type,
        headers=parcel.headers or None,
        delivery_mode=2 if parcel.persistent else 1,
        correlation_id=parcel.correlation_id or None,
        reply_to=reply_to or None,
        expiration=None if parcel.expiration_ms is None else str(parcel.expiration_ms),
        message_id=parcel.message_id,
        message_type=parcel.type,
        user_id="edge",
        app_id="an edge",
    )
    method = spec.Publish(exchange=parcel.exchange, routing_key=parcel.routing_key, mandatory=parcel.mandatory)
    pieces = [ContentBody(body[at : at + PIECE]) for at in range(0, len(body), PIECE)]
    frames: list[Any] = [method, ContentHeader(properties=properties, body_size=len(body)), *pieces]
    return ChannelFrame.marshall(channel_number=channel, frames=frames).payload


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
@pytest.mark.parametrize("reply_to", ["", "amq.rabbitmq.reply-to"])
@pytest.mark.parametrize("parcel", [PLAIN, CALL], ids=["an event", "a call"])
def test_the_bytes_are_those_of_aiormq(parcel: Parcel, reply_to: str, size: int) -> None:
    parcel = msgspec.structs.replace(parcel, body=b"x" * size)
    ours = frames_of(parcel, channel=7, content_bytes_max=PIECE, user="edge", app="an edge", reply_to=reply_to)
    assert ours == aiormqs(parcel, 7, reply_to)


@pytest.mark.parametrize("number", [0, 1, -1, 2**31, 1_795_000_000_000])
def test_numbers_in_headers_arrive_as_they_were(number: int) -> None:
    parcel = msgspec.structs.replace(PLAIN, headers={"attempt": number, "org": "é" * 500})
    wire = frames_of(parcel, channel=7, content_bytes_max=PIECE, user="edge", app="an edge")
    size, _, _ = pamqp.frame.unmarshal(wire)  # the method
    _, channel, header = pamqp.frame.unmarshal(wire[size:])
    assert isinstance(header, ContentHeader)
    assert (channel, header.properties.headers) == (7, parcel.headers)


def test_a_text_that_does_not_fit_is_refused_before_anything_is_written() -> None:
    channel = AChannel()
    with pytest.raises(ValueError, match="range"):
        publish(channel.open(), msgspec.structs.replace(PLAIN, message_id="x" * 256), user="u", app="a")
    assert (channel.delivery_tag, channel.write_queue.qsize()) == (0, 0)


class AChannel:
    """As much of aiormq's channel as a publish touches."""

    def __init__(self, *, is_closed: bool = False, publisher_confirms: bool = True) -> None:
        self.is_closed, self.publisher_confirms = is_closed, publisher_confirms
        self.number, self.max_content_size, self.delivery_tag = 1, PIECE, 0
        self.confirmations: dict[int, asyncio.Future[object]] = {}
        self.message_id_delivery_tag: dict[str, int] = {}
        self.write_queue: asyncio.Queue[ChannelFrame] = asyncio.Queue()

    def create_future(self) -> "asyncio.Future[object]":
        return asyncio.get_running_loop().create_future()

    def open(self) -> aiormq.Channel:
        return cast(aiormq.Channel, self)


async def test_a_confirm_is_found_by_number_and_a_return_by_id_until_it_came() -> None:
    channel = AChannel()
    first = publish(channel.open(), PLAIN, user="u", app="a")
    second = publish(channel.open(), PLAIN, user="u", app="a")  # the same message again
    assert first is not None
    assert second is not None
    assert channel.confirmations == {1: first, 2: second}
    assert channel.message_id_delivery_tag == {"an id": 2}
    first.set_result(None)
    await asyncio.sleep(0)
    assert channel.message_id_delivery_tag == {"an id": 2}, "the second has its own"
    second.set_result(None)
    await asyncio.sleep(0)
    assert channel.message_id_delivery_tag == {}
    assert channel.write_queue.qsize() == 2


async def test_without_confirms_nothing_is_awaited_and_on_a_closed_channel_nothing_is_written() -> None:
    channel = AChannel(publisher_confirms=False)
    assert publish(channel.open(), PLAIN, user="u", app="a") is None
    assert channel.confirmations == {}
    closed = AChannel(is_closed=True)
    with pytest.raises(ChannelInvalidStateError):
        publish(closed.open(), PLAIN, user="u", app="a")
    assert closed.write_queue.empty()


def test_aiormq_still_keeps_its_publishes_there() -> None:
    source = inspect.getsource(aiormq.Channel)
    for line in (
        "self.confirmations[delivery_tag] = confirmation",
        "self.message_id_delivery_tag[message_id] = delivery_tag",
        "delivery_tag = self.message_id_delivery_tag.get(message_id)",
        "confirmation = self.confirmations.pop(delivery_tag)",
    ):
        assert line in source

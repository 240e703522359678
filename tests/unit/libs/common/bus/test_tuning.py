"""Our changes inside aiormq: one write for what waits, in order; and they are still where aiormq looks for them."""

import asyncio
import inspect

import aiormq.connection
from aiormq.abc import ChannelFrame

from libs.common.bus.tuning import WRITE_BYTES_MAX, JoinedFrames, tune


def a_queue(*frames: ChannelFrame) -> "asyncio.Queue[ChannelFrame]":
    queue: asyncio.Queue[ChannelFrame] = asyncio.Queue()
    for frame in frames:
        queue.put_nowait(frame)
    return queue


def a_frame(payload: bytes, *, should_close: bool = False) -> ChannelFrame:
    return ChannelFrame(payload=payload, should_close=should_close)


async def test_what_waits_is_one_write_in_its_order() -> None:
    queue = a_queue(a_frame(b"a"), a_frame(b"b"), a_frame(b"c"))
    joined = await anext(JoinedFrames(queue))
    assert (joined.payload, joined.should_close, joined.drain_future) == (b"abc", False, None)
    async with asyncio.timeout(5):
        await queue.join()  # each was taken


async def test_a_single_frame_stays_as_it_is() -> None:
    frame = a_frame(b"a")
    assert await anext(JoinedFrames(a_queue(frame))) is frame


async def test_a_frame_that_is_waited_for_or_closes_is_the_last_of_its_write() -> None:
    drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waited_for = ChannelFrame(payload=b"b", should_close=False, drain_future=drained)
    frames = JoinedFrames(a_queue(a_frame(b"a"), waited_for, a_frame(b"c"), a_frame(b"d", should_close=True)))
    first, second = await anext(frames), await anext(frames)
    assert (first.payload, first.drain_future) == (b"ab", drained)
    assert (second.payload, second.should_close) == (b"cd", True)


async def test_a_write_is_bounded() -> None:
    frames = JoinedFrames(a_queue(a_frame(b"x" * WRITE_BYTES_MAX), a_frame(b"y"), a_frame(b"z")))
    assert len((await anext(frames)).payload) == WRITE_BYTES_MAX + 1
    assert (await anext(frames)).payload == b"z"


def test_aiormq_still_takes_them() -> None:
    tune()
    tune()
    assert aiormq.connection.FrameGenerator is JoinedFrames
    source = inspect.getsource(aiormq.connection.Connection)
    assert "FrameGenerator(self.write_queue)" in source
    assert "maxsize=self.FRAME_BUFFER_SIZE" in source

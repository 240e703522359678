"""What we change inside aiormq, and why: two settings of its connections that are nobody's options."""

import aiormq.connection
from aiormq.abc import ChannelFrame
from aiormq.connection import FrameGenerator

WRITE_BYTES_MAX = 256 << 10  # of one write: more would only be copied once more


class JoinedFrames(FrameGenerator):
    """The frames that wait for the socket, as few as possible: aiormq makes a system call of each (publish, ack, answer), this
    makes one of all that a loop tick brought. Their order is kept.
    """

    async def __anext__(self) -> ChannelFrame:
        last = await super().__anext__()
        if self.queue.empty():
            return last
        parts, size = [last.payload], len(last.payload)
        # A frame that somebody wants to see drained, or that ends the connection, is the last of its write.
        while not (self.queue.empty() or last.should_close or last.drain_future is not None or size > WRITE_BYTES_MAX):
            last = self.queue.get_nowait()
            self.queue.task_done()
            parts.append(last.payload)
            size += len(last.payload)
        return ChannelFrame(payload=b"".join(parts), should_close=last.should_close, drain_future=last.drain_future)


def tune() -> None:
    """Apply to all future connections of this process; any number of times.

    aiormq lets ten frames wait for the socket. Whoever waits for a place when the connection dies waits for ever, be it a
    publish, an ack or an answer, and holds the channel's lock meanwhile (measured: 50 of 28,000 publishes hung in 12 cuts;
    none without the bound). What may lie in the queue is bounded by us: unconfirmed messages, calls under way, prefetch.
    """
    aiormq.connection.Connection.FRAME_BUFFER_SIZE = 0
    aiormq.connection.FrameGenerator = JoinedFrames  # type: ignore[misc]

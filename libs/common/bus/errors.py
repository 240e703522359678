"""What can go wrong between us and the broker. Errors that a caller may be told of are in `libs/common/errors.py`."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

from aio_pika.exceptions import AMQPError
from aiormq.exceptions import ChannelInvalidStateError

# Everything that a lost connection or channel may raise. `ChannelInvalidStateError` is a RuntimeError and no AMQPError:
# who catches the latter only loses workers.
BUS_ERRORS: Final = (AMQPError, ConnectionError, ChannelInvalidStateError, TimeoutError)


def is_lost(error: Exception) -> bool:
    """Whether an error of aio-pika or aiormq means that the connection is gone.

    One that dies in the middle of a step shows itself as a bare Exception(), RuntimeError or StopAsyncIteration (measured:
    cuts at every step of connecting).
    """
    return isinstance(error, BUS_ERRORS) or type(error) in {Exception, RuntimeError, StopAsyncIteration}


@contextlib.contextmanager
def only_own_cancellation(otherwise: str) -> Iterator[None]:
    """A closing channel or connection "cancels" whoever waits for it: that is ConnectionError(`otherwise`) here. Only a
    cancellation of this very task stays one; anything else would end tasks that nobody ended.
    """
    try:
        yield
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ConnectionError(otherwise) from exc


class BusError(Exception):
    """The bus cannot be used as it is set up; the message says what to do."""


class QueueMissing(BusError):
    """A queue that this service consumes does not exist."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue} is missing on the broker: import deploy/rabbitmq/definitions.json")


class ConsumerStuck(BusError):
    """Messages wait in a queue and nothing arrives: the process must start afresh."""

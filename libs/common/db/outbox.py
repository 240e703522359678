"""The outbox: a message is written in the transaction of the change it tells of; a relay takes it to the bus afterwards."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from libs.common.contracts.envelope import Message
from libs.common.contracts.wire import Outgoing, encode
from libs.common.db.pool import Tx
from libs.common.telemetry.trace import current_traceparent

_INSERT: Final = """INSERT INTO outbox (message_id, type, exchange, routing_key, headers, body)
                    VALUES ($1, $2, $3, $4, $5, $6)"""


class Outbox:
    """One per process; `wake` tells the process's relay that something was committed."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()

    async def add(self, tx: Tx, body: Message, *, org_id: UUID | None = None, cause: UUID | None = None) -> UUID:
        """Write `body` with the change of `tx`; answers the message's id. It is published if, and only if, `tx` commits.

        `org_id` names the organization (a money message must have it), `cause` the message that led here.
        Raises ValueError when the body is larger than its type allows.
        """
        message = encode(body, org_id=org_id, cause=cause, traceparent=current_traceparent.get())
        await tx.execute(_INSERT, *_row(message))
        tx.after_commit(self.wake.set)
        return message.message_id

    async def add_all(self, tx: Tx, bodies: Sequence[tuple[UUID, Message]]) -> None:
        """Write many, each with its organization, in one exchange with the server. Raises as `add`."""
        traceparent = current_traceparent.get()
        await tx.executemany(
            _INSERT, [_row(encode(body, org_id=org_id, traceparent=traceparent)) for org_id, body in bodies]
        )
        tx.after_commit(self.wake.set)


def _row(message: Outgoing) -> tuple[Any, ...]:
    return (
        message.message_id, message.type, message.exchange, message.routing_key, message.headers, message.body,
    )  # fmt: skip

"""The outbox: a message is written in the transaction of the change it tells of; a relay takes it to the bus afterwards."""

import asyncio
from typing import Final
from uuid import UUID

from libs.common.contracts.envelope import Message
from libs.common.contracts.wire import encode
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
        await tx.execute(
            _INSERT,
            message.message_id,
            message.type,
            message.exchange,
            message.routing_key,
            message.headers,
            message.body,
        )
        tx.after_commit(self.wake.set)
        return message.message_id

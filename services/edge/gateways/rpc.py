"""What all gateways need of the bus: the one verb `call`, held by the real bus and by the in-memory double."""

from typing import Protocol
from uuid import UUID

from libs.common.contracts.envelope import Message


class Rpc(Protocol):
    """Commands that are answered, at most once, before a deadline."""

    async def call(
        self, request: Message, *, org_id: UUID | None, deadline_ms: int, blob: bytes = b"", traceparent: str = ""
    ) -> tuple[Message, bytes]:
        """The reply and its blob. `deadline_ms` in Unix milliseconds. Raises Refused (nothing was sent), DeadlinePassed
        (unknown), RpcError (the other service's error).
        """
        ...

"""The services behind own routes, for an edge without a bus."""

from dataclasses import dataclass, field
from uuid import UUID

from libs.common.contracts.envelope import Message
from services.edge.domain.refusal import Refusal


@dataclass
class ServicesDouble:
    """The services behind own routes: `replies` by the command's type, an exception is raised; 503 for anything else."""

    replies: dict[type[Message], Message | Exception] = field(default_factory=dict)
    asked: list[Message] = field(default_factory=list)

    async def ask(
        self, command: Message, *, org_id: UUID | None, deadline_ms: int, may_repeat: bool, blob: bytes = b""
    ) -> Message:
        self.asked.append(command)
        reply = self.replies.get(type(command), Refusal("UNAVAILABLE"))
        if isinstance(reply, Exception):
            raise reply
        return reply

"""Own routes whose answer is longer than a reply: admitted like any call, then asked for part by part while it is sent."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from libs.common.clock import Clock
from services.edge.domain.own_route import Asked, Export, OwnRoute
from services.edge.domain.ports import Services
from services.edge.usecases.admit import Admit
from services.edge.usecases.proxy_call import Call


@dataclass(frozen=True, slots=True)
class ExportCall:
    """Admit, read, and ask for the first part before anything is promised: what is refused is refused with its status."""

    admit: Admit
    services: Services
    clock: Clock

    async def __call__(
        self, call: Call, route: OwnRoute, read: Callable[[Call], Awaitable[Asked]]
    ) -> tuple[Asked, AsyncIterator[bytes]]:
        """What was asked, and the answer's bytes, chunk by chunk. Raises Refusal; so does the iterator, half-way."""
        assert route.export is not None
        call.caller, call.reserved = await self.admit(
            call.caller, call.credential, route, address=call.address, refusal=call.refusal, is_counted=call.is_counted
        )
        asked = await read(call)
        first = await self._ask(asked, route, None)
        return asked, self._chunks(asked, route, route.export, first)

    async def _chunks(self, asked: Asked, route: OwnRoute, export: Export, reply: Any) -> AsyncIterator[bytes]:
        text = export.text(asked)
        yield text.head()
        while reply is not None:
            yield text.page(reply)
            reply = await self._ask(asked, route, reply)
        yield text.tail()

    async def _ask(self, asked: Asked, route: OwnRoute, before: Any) -> Any:
        """The reply after `before`; None when that was the last."""
        assert route.export is not None
        command = route.export.page(asked, before)
        if command is None:
            return None
        deadline_ms = self.clock.now_ms() + route.deadline_ms
        return await self.services.ask(command, org_id=asked.org_id, deadline_ms=deadline_ms, may_repeat=True)

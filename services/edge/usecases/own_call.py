"""The gateway's own routes: admitted like any call, at no cost, and answered by the service whose business it is."""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Moving
from libs.common.contracts.billing import Balance, GetBalance
from libs.common.contracts.envelope import Message
from libs.common.contracts.registry import REGISTRY
from services.edge.domain.own_route import Asked, OwnRoute
from services.edge.domain.ports import Forms, Reserved, Services, VersionedAdmission
from services.edge.domain.refusal import Refusal
from services.edge.usecases.admit import Admit
from services.edge.usecases.bring_versions import bring_to_every_edge
from services.edge.usecases.proxy_call import Call

BALANCE_MS: Final = 500  # for a figure beside the answer; without it the answer says null


@dataclass(frozen=True, slots=True)
class OwnCall:
    """Admit, read, ask, and let every edge know of a change before the caller does."""

    admit: Admit
    services: Services
    versions: VersionedAdmission
    clock: Clock
    forms: Forms
    under_way: Counter[tuple[UUID, str]] = field(default_factory=Counter)  # of routes with a bound, by organization

    async def __call__(self, call: Call, route: OwnRoute, read: Callable[[Call], Awaitable[Asked]]) -> Any:
        """The answer's `data`. `read` takes the request in, once the call is admitted. Raises Refusal."""
        call.caller, reserved = await self.admit(
            call.caller, call.credential, route, address=call.address, refusal=call.refusal, is_counted=call.is_counted
        )
        call.reserved = reserved
        asked = await read(call)
        if route.answer is not None:
            data = route.answer(asked)
        else:
            with self._bounded(asked, route):
                data = await self._ask(call, asked, route, reserved)
        if reserved.balance is None and route.shows_balance:
            call.reserved = msgspec.structs.replace(reserved, balance=await self._balance(asked))
        return data

    async def _ask(self, call: Call, asked: Asked, route: OwnRoute, reserved: Reserved) -> Any:
        assert route.command is not None
        if route.seal is not None:
            form, bound_to = route.seal(asked)
            asked = msgspec.structs.replace(asked, sealed=await self.forms.seal(form, bound_to=bound_to))
        command = route.command(asked)
        if reserved.is_local and not route.may_repeat and _is_change(command):
            # Its 2xx could not be given, and it cannot be asked twice: better nothing at all.
            raise Refusal("UNAVAILABLE", detail="no change that cannot be repeated while Redis is away")
        deadline_ms = self.clock.now_ms() + route.deadline_ms
        call.has_left = True
        reply = await self.services.ask(
            command, org_id=asked.org_id, deadline_ms=deadline_ms, may_repeat=route.may_repeat, blob=asked.raw_body
        )
        if isinstance(reply, Moving):
            await bring_to_every_edge(self.versions, asked.org_id, reply)
        show_asked = route.show_link or route.show_asked
        if show_asked is not None:
            return show_asked(asked, reply)
        return None if route.data is None else route.show(reply)

    @contextlib.contextmanager
    def _bounded(self, asked: Asked, route: OwnRoute) -> Iterator[None]:
        """One of the few requests of this kind that an organization may have under way. Raises Refusal (429)."""
        if not route.in_flight_max:
            yield
            return
        name = (asked.org_id, route.name)
        if self.under_way[name] >= route.in_flight_max:
            raise Refusal(
                "RATE_LIMIT_EXCEEDED", f"Rate limit exceeded: {route.in_flight_max} of these requests are under way",
                retry_after_s=1,
            )  # fmt: skip
        self.under_way[name] += 1
        try:
            yield
        finally:
            self.under_way[name] -= 1
            if not self.under_way[name]:
                del self.under_way[name]

    async def _balance(self, asked: Asked) -> int | None:
        """What can be spent, from the books: no lease of this moment tells it."""
        try:
            balance = await self.services.ask(
                GetBalance(org_id=asked.org_id), org_id=asked.org_id,
                deadline_ms=self.clock.now_ms() + BALANCE_MS, may_repeat=True,
            )  # fmt: skip
        except Refusal:
            return None  # a figure beside the answer: no reason to refuse it
        assert isinstance(balance, Balance)
        return balance.balance - balance.leased


def _is_change(command: Message) -> bool:
    """Whether every edge must know of what `command` does before the caller hears a 2xx."""
    reply = REGISTRY.of(type(command)).reply
    return reply is not None and issubclass(reply, Moving)

"""The edge's main job: call a model's platform once, and charge for it if, and only if, the caller is shown a 2xx."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Principal
from libs.common.contracts.edge import Usage
from libs.common.contracts.sessions import NO_MODEL, Proxy
from libs.common.errors import Refused, Unconfirmed
from services.edge.domain.catalogue import Route
from services.edge.domain.ports import Credential, Reserved, Sessions, UsageLog
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.usecases.admit import Admit


class Request(msgspec.Struct, frozen=True):
    """What a caller asks of a platform, read and checked."""

    model_id: UUID  # NO_MODEL: the model is named by `account`
    path_params: dict[str, str]
    query: str
    content_type: str
    body: bytes
    account: str = ""


@dataclass(slots=True)
class Call:
    """One call in progress: who and what, and what it has become so far (also when it fails half-way)."""

    id: UUID  # and of its debit, unless `debit_id` says otherwise: any number of deliveries has one effect
    route: Route
    credential: Credential
    caller: Principal
    address: str = ""  # the client's, past trusted proxies
    reserved: Reserved | None = None
    upstream: Upstream | None = None
    refusal: Refusal | None = None  # what its headers have earned it; told once the call is counted
    is_counted: bool = True
    has_left: bool = False  # it was handed to another service, or may have been
    is_replayed: bool = False  # its answer was given before, under the same idempotency key
    debit_id: UUID | None = None
    # Of tries that did not end, or whose answer was not kept: undone before this one pays.
    earlier_debits: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class ProxyCall:
    """Reserve, call, record, answer."""

    admit: Admit
    sessions: Sessions
    usage: UsageLog
    clock: Clock
    upstream_timeout_ms: int
    fence_ms: (
        int  # a 2xx is shown only if its usage was confirmed within this time of the reserve (docs/architecture.md)
    )

    async def __call__(self, call: Call, read: Callable[[Call], Awaitable[Request]]) -> Upstream:
        """The platform's answer, whatever its status; recorded if it is a 2xx. `read` takes the request in, once the call
        is admitted. Raises Refusal, Refused, Unconfirmed.
        """
        fence_at_ms = (
            self.clock.stopwatch_ms() + self.fence_ms
        )  # started before the reserve: the lease cannot outlive it
        deadline_ms = self.clock.now_ms() + self.upstream_timeout_ms
        call.caller, reserved = await self.admit(
            call.caller,
            call.credential,
            call.route,
            address=call.address,
            refusal=call.refusal,
            is_counted=call.is_counted,
        )
        call.reserved = reserved
        debit_may_exist = False
        try:
            request = _bound(await read(call), call.caller)
            call.has_left = True
            call.upstream = upstream = await self.sessions.proxy(
                _proxy(call, request), request.body, deadline_ms=deadline_ms, may_repeat=call.route.may_repeat
            )
            if upstream.is_success and reserved.lease_id is not None:
                if call.earlier_debits:
                    await self._undo_earlier(call)
                # From here on the ledger may hold the debit even if we fail: giving the reserve back could spend it twice.
                debit_may_exist = True
                try:
                    await self.usage.record(
                        _usage(call, upstream.model_id or request.model_id, reserved, reserved.lease_id),
                        fence_at_ms=fence_at_ms,
                    )
                except Refused:
                    debit_may_exist = False
                    raise
            return upstream
        finally:
            if not debit_may_exist:
                await self.admit.release(reserved)

    async def _undo_earlier(self, call: Call) -> None:
        try:
            await self.usage.void(call.caller.org_id, call.earlier_debits)
        except Unconfirmed as exc:
            # This call's own is certainly not recorded.
            raise Refused(detail="earlier debits may not be undone yet") from exc


def _bound(request: Request, caller: Principal) -> Request:
    """`request`, if the caller's key may see its model: a bound key sees one only. Raises Refusal (404)."""
    if caller.model_id in {None, request.model_id}:
        return request
    if request.model_id == NO_MODEL:
        return msgspec.structs.replace(request, model_id=caller.model_id)  # sessions compares the account's number
    raise Refusal("MODEL_NOT_FOUND")


def _proxy(call: Call, request: Request) -> Proxy:
    return Proxy(
        call_id=call.id,
        org_id=call.caller.org_id,
        model_id=request.model_id,
        route=call.route.call,
        path_params=request.path_params,
        query=request.query,
        content_type=request.content_type,
        sandbox_only=call.caller.kind == "sandbox",
        account=request.account,
    )


def _usage(call: Call, model_id: UUID, reserved: Reserved, lease_id: UUID) -> Usage:
    return Usage(
        id=call.debit_id or call.id,
        org_id=call.caller.org_id,
        lease_id=lease_id,
        cost=reserved.cost,
        key_id=call.caller.key_id,
        model_id=model_id,
        route=call.route.call,
    )

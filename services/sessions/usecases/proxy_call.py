"""Call a model's platform for the edge: reads and idempotent writes may be repeated, all other writes run at most once."""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.catalogue import CatalogueRoute, RetryClass, catalogue
from libs.common.contracts.sessions import NO_MODEL, Proxied, Proxy
from libs.common.errors import FangateError, RpcError, Unavailable
from services.sessions.domain.account import meant
from services.sessions.domain.errors import (
    Dropped,
    ModelNotConnected,
    ModelNotFound,
    NotSent,
    OutcomeUnknown,
    PlatformFailed,
    RouteNotSupported,
    SyncLost,
    TimedOut,
    Unusable,
    UpstreamTimeout,
)
from services.sessions.domain.model import State
from services.sessions.domain.ports import Live, Models, Pace, Provider, UpstreamCalls
from services.sessions.domain.upstream_call import (
    Outcome,
    Recorded,
    UpstreamAnswer,
    UpstreamRequest,
    upstream_target,
)
from services.sessions.usecases.refresh_session import Why

ANSWER_MARGIN_MS: Final = 150  # kept back from the deadline, so that our answer arrives before the caller gives up
TRANSPORT_REPEATS: Final = 1  # how often a read is sent again after its connection failed
REPEAT_FLOOR_MS: Final = 250  # with less time left a repeat is not worth it
PACE_FLOOR_MS: Final = 2_000  # of a call's time are the platform's: nobody waits for a turn that comes later than that


class Refresh(Protocol):
    """`RefreshSession`, as this use case needs it."""

    async def __call__(self, org_id: uuid.UUID, model_id: uuid.UUID, /, *, stale: int, why: Why) -> Live: ...


@dataclass(frozen=True, slots=True)
class ProxyCall:
    """One call. `upstream_timeout_ms` bounds each exchange with the platform, within the caller's deadline."""

    models: Models
    calls: UpstreamCalls
    providers: Mapping[str, Provider]
    refresh: Refresh
    clock: Clock
    upstream_timeout_ms: int
    pace: Pace

    async def __call__(
        self, call: Proxy, body: bytes, *, deadline_ms: int, is_redelivered: bool = False
    ) -> tuple[Proxied, bytes]:
        """The platform's answer, whatever its status. `is_redelivered`: somebody had the call before, and may have sent it.

        Raises ModelNotFound, InvalidRequest, RouteNotSupported, ModelNotConnected, SyncLost, PlatformFailed, UpstreamTimeout,
        OutcomeUnknown, and Unavailable when the truth about model or fence cannot be asked, or the account is called too
        fast (Paced): then nothing was sent.
        """
        route = catalogue().get(call.route)
        if route is None:
            raise RouteNotSupported
        is_fenced = route.retry is RetryClass.NEVER
        try:
            live = await self._live(call)
            run = _Run(self, live, _request(call, route, live, body), deadline_ms - ANSWER_MARGIN_MS)
            if is_fenced:
                # Before the fence: a call that is refused its turn, or whose model cannot be called, was never started, and
                # may be sent again under its id.
                await run.turn()
                await run.be_callable()
        except FangateError:
            # What holds the call up now says nothing about an earlier delivery of it, and that is what the caller asks about.
            if is_fenced:
                find = self.calls.find(call.call_id, call.org_id)
                if recorded := await _told(find, is_redelivered=is_redelivered):
                    return _replayed(recorded)
            raise
        if is_fenced:
            start = self.calls.start(call.call_id, call.org_id, live.model.model_id, route.name)
            recorded = await _told(start, is_redelivered=is_redelivered)
            head, answer = _replayed(recorded) if recorded else await self._once(call.call_id, run)
        else:
            head, answer = _proxied(await run.repeatable())
        if call.account:
            head = msgspec.structs.replace(head, model_id=live.model.model_id)
        return head, answer

    async def _live(self, call: Proxy) -> Live:
        """The model that the caller means, by its UUID, by its account number, or by both. Raises ModelNotFound and, for a
        number that does not tell which, InvalidRequest.
        """
        model_id = call.model_id
        if call.account and model_id == NO_MODEL:
            holders = await self.models.holders(call.org_id, call.account)
            model_id = meant(holders, sandbox_only=call.sandbox_only)
        live = await self.models.find(call.org_id, model_id)
        if live is None or (call.sandbox_only and live.model.provider != "sandbox"):
            raise ModelNotFound
        if call.account and live.model.account != call.account:
            raise ModelNotFound
        return live

    async def _once(self, call_id: uuid.UUID, run: "_Run") -> tuple[Proxied, bytes]:
        """At most once, ever: the row is committed before the first byte leaves, and decides on every redelivery."""
        try:
            answer = await run.once()
        except FangateError as exc:
            await self._record(call_id, Outcome(code=exc.code, message=exc.public, fields=exc.fields), b"")
            raise
        # Anything else that ends us here (a kill, a cancellation) leaves the row at `started`: outcome unknown, never repeated.
        outcome = Outcome(
            status=answer.status,
            content_type=answer.content_type,
            retry_after_s=answer.retry_after_s,
            upstream_ms=answer.upstream_ms,
        )
        await self._record(call_id, outcome, answer.body)
        return _proxied(answer)

    async def _record(self, call_id: uuid.UUID, outcome: Outcome, body: bytes) -> None:
        # The caller is told what really happened even if it cannot be written down: a redelivery then finds `started`
        # and is told OUTCOME_UNKNOWN, which is safe.
        with contextlib.suppress(Unavailable):
            await self.calls.finish(call_id, outcome, body)


class _Run:
    """One call on its way: the model's newest session, and the time that is left."""

    def __init__(self, do: ProxyCall, live: Live, request: UpstreamRequest, give_up_ms: int) -> None:
        self._do = do
        self._live = live
        self._request = request
        self._give_up_ms = give_up_ms

    async def once(self) -> UpstreamAnswer:
        """Send the call, which was found callable, once and never again."""
        try:
            answer = await self._send()
        except NotSent as exc:
            raise PlatformFailed(detail=str(exc)) from exc
        except TimedOut as exc:
            if exc.may_have_left:
                raise OutcomeUnknown(detail=str(exc)) from exc
            raise UpstreamTimeout(detail=str(exc)) from exc
        except Dropped as exc:
            raise OutcomeUnknown(detail=str(exc)) from exc
        except Unusable as exc:
            raise PlatformFailed(detail=str(exc)) from exc
        if answer.is_session_refused:
            # Renewed for the next call; this one is not sent again (requirements.md 3.2).
            try:
                await self._renew()
            except Unavailable as exc:  # recorded as that, the call could never be sent under its id
                raise SyncLost("The session had ended; this call was not carried out", detail=str(exc)) from exc
            raise SyncLost("The session had ended and was renewed; this call was not carried out: send it again")
        return answer

    async def repeatable(self) -> UpstreamAnswer:
        """Send the call; again after one refresh, and after a lost connection, while time is left."""
        await self.be_callable()
        repeats, is_renewed = 0, False
        while True:
            await self.turn()
            try:
                answer = await self._send()
            except (NotSent, Dropped) as exc:
                repeats += 1
                if repeats > TRANSPORT_REPEATS or self._left_ms() < REPEAT_FLOOR_MS:
                    raise PlatformFailed(detail=str(exc)) from exc
                continue
            except TimedOut as exc:
                raise UpstreamTimeout(detail=str(exc)) from exc
            except Unusable as exc:
                raise PlatformFailed(detail=str(exc)) from exc
            if not answer.is_session_refused:
                return answer
            if is_renewed:
                raise SyncLost("The platform refuses the model's session: try again, then reconnect it")
            await self._renew()
            is_renewed = True

    async def turn(self) -> None:
        """Wait until the platform account may be called. Raises Paced when that is too late for this call."""
        await self._do.pace.wait(self._live.model, patience_ms=self._left_ms() - PACE_FLOOR_MS)

    async def be_callable(self) -> None:
        """Wait for a refresh that is under way. Raises SyncLost, ModelNotConnected."""
        model = self._live.model
        match model.state:
            case State.CONNECTED if self._live.session is not None:
                return
            case State.CONNECTED | State.REFRESHING:
                await self._renew(Why.WAIT)
            case State.SYNC_LOST:
                raise SyncLost(detail=model.reason)
            case _:
                raise ModelNotConnected(f"Model is {model.state}: connect it first", state=str(model.state))

    async def _renew(self, why: Why = Why.REJECTED) -> None:
        """Raises SyncLost also when there is no time to wait for it: the refresh itself goes on."""
        model = self._live.model
        try:
            async with asyncio.timeout(max(0, self._left_ms()) / 1000):
                self._live = await self._do.refresh(model.org_id, model.model_id, stale=model.session_number, why=why)
        except TimeoutError:
            raise SyncLost("The session is being refreshed: try again", detail="refresh did not finish") from None

    async def _send(self) -> UpstreamAnswer:
        session = self._live.session
        assert session is not None, "callable models have a session"
        if (left_ms := self._left_ms()) <= 0:
            raise TimedOut("no time left", may_have_left=False)
        provider = self._do.providers[self._live.model.provider]
        answer = await provider.call(session, self._request, timeout_ms=min(left_ms, self._do.upstream_timeout_ms))
        if answer.status == 429 and answer.retry_after_s:
            self._do.pace.hold_off(self._live.model, answer.retry_after_s)
        if answer.allowance is not None:
            self._do.pace.learn(self._live.model, answer.allowance)
        return answer

    def _left_ms(self) -> int:
        return self._give_up_ms - self._do.clock.now_ms()


async def _told(question: Awaitable[Recorded | None], *, is_redelivered: bool) -> Recorded | None:
    """What the fence says. Raises OutcomeUnknown when it cannot be asked about a call that somebody may have sent."""
    try:
        return await question
    except Unavailable as exc:
        if is_redelivered:
            raise OutcomeUnknown(detail=f"the fence cannot be asked: {exc}") from exc
        raise


def _request(call: Proxy, route: CatalogueRoute, live: Live, body: bytes) -> UpstreamRequest:
    return UpstreamRequest(
        method=route.method,
        target=upstream_target(route, live.model.provider, call.path_params, call.query),
        content_type=call.content_type,
        body=body,
    )


def _proxied(answer: UpstreamAnswer) -> tuple[Proxied, bytes]:
    head = Proxied(
        status=answer.status,
        content_type=answer.content_type,
        retry_after_s=answer.retry_after_s,
        upstream_ms=answer.upstream_ms,
    )
    return head, answer.body


def _replayed(recorded: Recorded) -> tuple[Proxied, bytes]:
    """What was answered the first time. An answer whose body was not kept cannot be given again."""
    outcome = recorded.outcome
    if outcome.code:
        raise RpcError(outcome.code, outcome.message, **outcome.fields)
    if recorded.body is None:
        raise OutcomeUnknown("The call was carried out, but its answer was not kept: look before you repeat it")
    head = Proxied(
        status=outcome.status,
        content_type=outcome.content_type,
        retry_after_s=outcome.retry_after_s,
        upstream_ms=outcome.upstream_ms,
    )
    return head, recorded.body

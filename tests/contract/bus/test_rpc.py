"""Calls: answers, errors, deadlines, bounds; alone in a message and many in one."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from libs.common.bus import Bus, rpc
from libs.common.bus.consumer import Handler
from libs.common.bus.metrics import BROKEN
from libs.common.contracts import billing, sessions
from libs.common.contracts.envelope import Context, Message
from libs.common.errors import DeadlinePassed, FangateError, Refused, RpcError, Unavailable
from libs.common.ids import uuid7
from tests.support.bus import ORG, World, a_balance_question, a_parcel, a_proxy, all_is_settled, eventually, in_ms


class NoSuchModel(FangateError):
    """There is no such model."""

    code = "MODEL_NOT_FOUND"


async def a_sessions(world: World, handler: Handler) -> Bus:
    bus = await world.bus("sessions")
    await bus.start([rpc("sessions.rpc").on(sessions.Proxy, handler)])
    return bus


async def a_billing(world: World, handler: Handler) -> None:
    bus = await world.bus("billing")
    await bus.start([rpc("billing.rpc").on(billing.GetBalance, handler)])


async def echo(message: sessions.Proxy, context: Context) -> tuple[Message, bytes]:
    return sessions.Proxied(status=200, content_type=message.route), context.blob[::-1]


@pytest.mark.parametrize("reply", ["direct", "queue"])
async def test_a_call_is_answered_with_struct_and_blob(world: World, reply: str) -> None:
    await a_sessions(world, echo)
    edge = await world.bus("edge", reply=reply)
    answer, blob = await edge.call(a_proxy("r"), org_id=ORG, deadline_ms=in_ms(5_000), blob=b"\x00\xffab")
    assert answer == sessions.Proxied(status=200, content_type="r")
    assert blob == b"ba\xff\x00"


@pytest.mark.parametrize("reply", ["direct", "queue"])
async def test_an_unframed_call_is_answered(world: World, reply: str) -> None:
    seen: list[Context] = []

    async def balance(_: billing.GetBalance, context: Context) -> billing.Balance:
        seen.append(context)
        return billing.Balance(balance=7, leased=2)

    await a_billing(world, balance)
    edge = await world.bus("edge", reply=reply)
    deadline_ms = in_ms(5_000)
    answer, blob = await edge.call(a_balance_question(), org_id=ORG, deadline_ms=deadline_ms, traceparent="t")
    assert (answer, blob) == (billing.Balance(balance=7, leased=2), b"")
    [context] = seen
    assert (context.org_id, context.deadline_ms, context.sender, context.traceparent) == (ORG, deadline_ms, "edge", "t")


async def test_blobs_travel_beside_unframed_structs_too(world: World) -> None:
    async def balance(_: billing.GetBalance, context: Context) -> tuple[Message, bytes]:
        return billing.Balance(balance=1, leased=0), context.blob * 2

    await a_billing(world, balance)
    edge = await world.bus("edge")
    _, blob = await edge.call(a_balance_question(), org_id=ORG, deadline_ms=in_ms(5_000), blob=b"\xff\x00")
    assert blob == b"\xff\x00\xff\x00"


async def test_calls_of_one_tick_share_a_message_and_keep_their_own_outcomes(world: World) -> None:
    # given a handler that answers, fails, is surprised, or is slow, as the route says
    contexts: list[Context] = []

    async def handle(message: sessions.Proxy, context: Context) -> sessions.Proxied:
        contexts.append(context)
        if message.route == "missing":
            raise NoSuchModel(model="m")
        if message.route == "bug":
            raise ZeroDivisionError
        if message.route == "slow":
            await asyncio.sleep(60)
        return sessions.Proxied(status=200, content_type=message.route)

    server = await a_sessions(world, handle)
    edge = await world.bus("edge")

    # when
    broken_before = BROKEN._value.get()
    calls = [a_proxy(route) for route in ("a", "missing", "bug", "slow", "b")]
    # The slow one must have arrived before its end, also on a busy machine.
    deadlines = [in_ms(25_000), in_ms(26_000), in_ms(27_000), in_ms(2_000), in_ms(28_000)]
    answers = await asyncio.gather(
        *(edge.call(c, org_id=ORG, deadline_ms=d) for c, d in zip(calls, deadlines, strict=True)),
        return_exceptions=True,
    )

    # then
    assert answers[0] == (sessions.Proxied(status=200, content_type="a"), b"")
    assert answers[4] == (sessions.Proxied(status=200, content_type="b"), b"")
    missing, bug, slow = answers[1:4]
    assert isinstance(missing, RpcError)
    assert (missing.code, missing.public, missing.fields) == (
        "MODEL_NOT_FOUND",
        "There is no such model",
        {"model": "m"},
    )
    assert isinstance(bug, RpcError)
    assert bug.code == "INTERNAL_ERROR"
    assert "Zero" not in str(bug)
    assert (
        BROKEN._value.get() == broken_before + 1
    )  # what the alert for defects hears of: neither refusals nor deadlines
    assert isinstance(slow, DeadlinePassed)
    assert [context.deadline_ms for context in contexts] == deadlines
    assert len({context.message_id for context in contexts}) == 5
    await all_is_settled(world, server, "sessions.rpc")


async def test_a_thousand_calls_get_each_its_own_answer(world: World) -> None:
    await a_sessions(world, echo)
    edge = await world.bus("edge", pending_max=1_000, pending_per_org_max=1_000)
    answers = await asyncio.gather(
        *(edge.call(a_proxy(f"r{n}"), org_id=ORG, deadline_ms=in_ms(20_000), blob=b"%d" % n) for n in range(1_000))
    )
    for number, (answer, blob) in enumerate(answers):
        assert isinstance(answer, sessions.Proxied)
        assert (answer.content_type, blob[::-1]) == (f"r{number}", b"%d" % number)


async def test_large_blobs_go_through_whole(world: World) -> None:
    await a_sessions(world, echo)
    edge = await world.bus("edge")
    big = bytes(range(256)) * 4_000 * 3  # 3 MB: many AMQP frames, a message of its own
    answers = await asyncio.gather(
        *(edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(20_000), blob=blob) for blob in (b"x", big, b"y", big[1:]))
    )
    assert [blob[::-1] for _, blob in answers] == [b"x", big, b"y", big[1:]]


async def test_facts_of_an_error_cross_the_bus_and_its_detail_does_not(world: World) -> None:
    async def balance(_: billing.GetBalance, __: Context) -> billing.Balance:
        raise Unavailable(retry_after_s=3, detail="secret host name")

    await a_billing(world, balance)
    edge = await world.bus("edge")
    with pytest.raises(RpcError) as caught:
        await edge.call(a_balance_question(), org_id=ORG, deadline_ms=in_ms(5_000))
    assert caught.value.code == "UNAVAILABLE"
    assert caught.value.fields == {"retry_after_s": 3}
    assert "secret" not in str(caught.value)


@pytest.mark.alone  # it measures time
@pytest.mark.parametrize("question", [a_balance_question, a_proxy])
async def test_nobody_answers_in_time(world: World, question: Callable[[], Message]) -> None:
    edge = await world.bus("edge")
    started = time.monotonic()
    with pytest.raises(DeadlinePassed):
        await edge.call(question(), org_id=ORG, deadline_ms=in_ms(150))
    assert 0.1 < time.monotonic() - started < 2


@pytest.mark.parametrize("question", [a_balance_question, a_proxy])
async def test_what_has_expired_is_dropped_by_the_server(world: World, question: Callable[[], Message]) -> None:
    # given a call that nobody takes before its deadline
    handled: list[Message] = []

    async def handle(message: Message, _: Context) -> Message:
        handled.append(message)
        return billing.Balance(balance=0, leased=0)

    edge = await world.bus("edge")
    with pytest.raises(DeadlinePassed):
        await edge.call(question(), org_id=ORG, deadline_ms=in_ms(500))  # the first one waits for its channel too
    with pytest.raises(DeadlinePassed):
        await edge.call(question(), org_id=ORG, deadline_ms=in_ms(30))
    # when a server comes
    await a_billing(world, handle)
    await a_sessions(world, handle)
    # then
    await asyncio.sleep(0.1)
    assert handled == []
    assert await world.depth("billing.rpc") + await world.depth("sessions.rpc") == 0


async def test_a_handler_is_cut_off_at_the_deadline_and_a_late_answer_harms_nobody(world: World) -> None:
    cancelled = asyncio.Event()

    async def slow(_: billing.GetBalance, __: Context) -> billing.Balance:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return billing.Balance(balance=0, leased=0)

    await a_billing(world, slow)
    edge = await world.bus("edge")
    with pytest.raises(DeadlinePassed):
        await edge.call(a_balance_question(), org_id=ORG, deadline_ms=in_ms(100))
    await asyncio.wait_for(cancelled.wait(), 2)
    await eventually(lambda: _is_empty(world, "billing.rpc"))


async def test_a_deadline_in_the_past_is_refused_unsent(world: World) -> None:
    edge = await world.bus("edge")
    with pytest.raises(Refused):
        await edge.call(a_balance_question(), org_id=ORG, deadline_ms=in_ms(-1))
    assert await world.depth("billing.rpc") == 0


async def test_calls_beyond_the_bounds_are_refused_at_once(world: World) -> None:
    # given two calls under way, of the two that one organization may have and the three that all may
    edge = await world.bus("edge", pending_max=3, pending_per_org_max=2)

    def ask(org: object) -> Awaitable[object]:
        return edge.call(a_balance_question(), org_id=org, deadline_ms=in_ms(400))  # type: ignore[arg-type]

    under_way = [asyncio.ensure_future(ask(ORG)) for _ in range(2)]
    await asyncio.sleep(0.05)
    # then a third of the same is refused, one of another not, and after that nobody's
    with pytest.raises(Refused) as caught:
        await ask(ORG)
    assert caught.value.status_hint == 503
    assert caught.value.retry_after_s >= 1
    under_way.append(asyncio.ensure_future(ask(uuid7())))
    await asyncio.sleep(0.05)
    with pytest.raises(Refused):
        await ask(uuid7())
    # and the room is free again when they are over
    outcomes = await asyncio.gather(*under_way, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DeadlinePassed] * 3
    with pytest.raises(DeadlinePassed):
        await ask(ORG)


async def test_a_call_that_is_given_up_frees_its_place(world: World) -> None:
    edge = await world.bus("edge", pending_max=1)
    task = asyncio.ensure_future(edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(60_000)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(DeadlinePassed):
        await edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(50))


async def test_a_request_that_is_too_large_never_leaves(world: World) -> None:
    edge = await world.bus("edge")
    with pytest.raises(ValueError, match="bytes"):
        await edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(5_000), blob=bytes((8 << 20) + 1))
    assert await world.depth("sessions.rpc") == 0


async def test_an_answer_that_is_too_large_becomes_an_error(world: World) -> None:
    async def huge(_: sessions.Proxy, __: Context) -> tuple[Message, bytes]:
        return sessions.Proxied(status=200), bytes(8 << 20)

    await a_sessions(world, huge)
    edge = await world.bus("edge")
    with pytest.raises(RpcError, match="INTERNAL_ERROR"):
        await edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(10_000))


async def test_a_forged_call_is_not_answered(world: World) -> None:
    handled: list[Message] = []

    async def handle(message: Message, _: Context) -> Message:
        handled.append(message)
        return billing.Balance(balance=0, leased=0)

    await a_billing(world, handle)
    stranger = await world.bus("auth")
    await stranger.publisher.send(
        a_parcel(a_balance_question(), exchange="", routing_key="billing.rpc", headers={"deadline": in_ms(5_000)}),
        timeout_s=5,
    )
    await eventually(lambda: _is_empty(world, "billing.rpc"))
    await asyncio.sleep(0.05)
    assert handled == []


async def test_garbage_frames_are_dropped_and_the_queue_goes_on(world: World) -> None:
    server = await a_sessions(world, echo)
    edge = await world.bus("edge")
    for body in (b"", b"\x00\x00", b"\x00\x00\x00\x05ab", b"\x00\x00\x00\x02{}\x00\x00\x00\x00", b"\xff" * 100):
        await edge.publisher.send(a_parcel(a_proxy(), body=body, content_type="application/octet-stream"), timeout_s=5)
    _, blob = await edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(5_000), blob=b"on")
    assert blob == b"no"
    await all_is_settled(world, server, "sessions.rpc")


async def _is_empty(world: World, queue: str) -> bool:
    return await world.depth(queue) == 0

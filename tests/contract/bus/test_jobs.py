"""Jobs and events: dispatch by type, retries in place and in waiting rooms, dead letters, who may send what."""

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from libs.common.bus import events, jobs
from libs.common.bus.consumer import Consumer
from libs.common.bus.metrics import BROKEN
from libs.common.bus.retry import ATTEMPTS_MAX, ERROR_CHARS_MAX
from libs.common.contracts import auth, sessions
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.wire import encode
from libs.common.errors import Permanent, Refused, RetryAfter, Transient
from libs.common.ids import uuid7
from tests.support.bus import ORG, DeadLetter, World, a_connect, a_parcel, a_voided, all_is_settled, eventually

Seen = list[tuple[Message, Context]]


def remembering(seen: Seen, *errors: Exception) -> Consumer:
    """A consumer of sessions' jobs whose handler fails with `errors`, one after the other, and then succeeds."""
    left = list(errors)

    async def handle(message: Message, context: Context) -> None:
        seen.append((message, context))
        if left:
            raise left.pop(0)

    return jobs("sessions.jobs", prefetch=8, workers=8).on(sessions.ConnectModel, sessions.RefreshModel, handle)


async def test_a_message_goes_to_the_handler_of_its_type_with_its_envelope(world: World) -> None:
    # given
    connects: Seen = []
    refreshes: Seen = []
    bus = await world.bus("sessions")

    async def connect(message: sessions.ConnectModel, context: Context) -> None:
        connects.append((message, context))

    async def refresh(message: sessions.RefreshModel, context: Context) -> None:
        refreshes.append((message, context))

    await bus.start(
        [
            jobs("sessions.jobs", prefetch=8, workers=8)
            .on(sessions.ConnectModel, connect)
            .on(sessions.RefreshModel, refresh)
        ]
    )
    cause, job = uuid7(), a_connect()

    # when
    sent = encode(job, org_id=ORG, cause=cause, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-00")
    await bus.publisher.publish(sent)
    await bus.publisher.publish(encode(sessions.RefreshModel(org_id=ORG, model_id=uuid7())))

    # then
    await eventually(lambda: connects and refreshes)
    [(message, context)] = connects
    assert message == job
    assert context == Context(
        message_id=sent.message_id, type="sessions.job.connect.v1", sender="sessions", org_id=ORG, cause=cause,
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-00",
    )  # fmt: skip
    await eventually(lambda: _is_empty(world, "sessions.jobs"))


async def test_quick_tries_in_place_come_before_a_waiting_room(world: World) -> None:
    seen: Seen = []
    broken_before = BROKEN._value.get()
    bus = await world.bus("sessions")
    await bus.start([remembering(seen, Transient("a"), RuntimeError("b"))])
    await bus.publisher.publish(encode(a_connect()))
    await eventually(lambda: len(seen) == 3)
    assert BROKEN._value.get() == broken_before + 1
    assert [context.attempt for _, context in seen] == [1, 1, 1]
    await eventually(lambda: _is_empty(world, "sessions.jobs"))


async def test_a_failing_message_climbs_the_ladder_and_then_lies_dead(world: World) -> None:
    # given a handler that never succeeds
    seen: Seen = []
    bus = await world.bus("sessions")
    await bus.start([remembering(seen, *[Transient("x" * 2 * ERROR_CHARS_MAX)] * 99)])

    # when
    sent = encode(a_connect(), org_id=ORG)
    await bus.publisher.publish(sent)

    # then three tries per attempt, one id all along
    await eventually(lambda: len(seen) == 3 * ATTEMPTS_MAX)
    assert [context.attempt for _, context in seen] == sorted([1, 2, 3, 4, 5] * 3)
    assert {context.message_id for _, context in seen} == {sent.message_id}
    letter = await _only_dead_letter(world, "sessions.jobs")
    assert letter.message_id == str(sent.message_id)
    assert letter.body == sent.body
    assert letter.headers["dead-reason"] == "exhausted"
    assert letter.headers["error-type"] == "Transient"
    assert letter.headers["error"] == "x" * ERROR_CHARS_MAX
    assert letter.headers["attempts"] == ATTEMPTS_MAX
    assert letter.headers["service"] == "sessions"
    assert letter.headers["org"] == str(ORG)
    assert letter.headers["original-type"] == "sessions.job.connect.v1"


async def test_retry_after_goes_straight_to_a_waiting_room(world: World) -> None:
    seen: Seen = []
    bus = await world.bus("sessions")
    await bus.start([remembering(seen, RetryAfter(20.0, "rate limited"))])
    await bus.publisher.publish(encode(a_connect()))
    await eventually(lambda: len(seen) == 2)
    assert [context.attempt for _, context in seen] == [1, 2]


async def test_a_permanent_failure_is_dead_at_once(world: World) -> None:
    seen: Seen = []
    bus = await world.bus("sessions")
    await bus.start([remembering(seen, Permanent("never"))])
    await bus.publisher.publish(encode(a_connect()))
    letter = await _only_dead_letter(world, "sessions.jobs")
    assert letter.headers["dead-reason"] == "permanent"
    assert len(seen) == 1


async def test_a_forged_sender_never_reaches_the_handler(world: World) -> None:
    # given someone who may write to any queue by name, as answering rpcs requires
    seen: Seen = []
    theirs = await world.bus("auth")
    ours = await world.bus("sessions")
    await ours.start([remembering(seen)])
    # when
    await theirs.publisher.send(a_parcel(a_connect(), exchange="", routing_key="sessions.jobs"), timeout_s=5)
    # then
    letter = await _only_dead_letter(world, "sessions.jobs")
    assert letter.headers["dead-reason"] == "forged_sender"
    assert letter.headers["original-user"] == "auth"
    assert seen == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "sessions.job.unheard_of.v1"}, "unknown_type"),
        ({"type": "billing.job.lease.close.v1"}, "unknown_type"),
        ({"body": b"{"}, "malformed"),
        ({"body": b'{"org_id": 1}'}, "malformed"),
        ({"body": b""}, "malformed"),
        ({"message_id": "not-a-uuid"}, "malformed"),
        ({"headers": {"org": "nobody"}}, "malformed"),
        ({"headers": {"attempt": "one"}}, "malformed"),
    ],
)
async def test_what_cannot_be_understood_is_dead_at_once(world: World, changes: dict[str, Any], reason: str) -> None:
    seen: Seen = []
    bus = await world.bus("sessions")
    await bus.start([remembering(seen)])
    parcel = a_parcel(a_connect(), exchange="commands", routing_key="sessions.job.connect.v1")
    await bus.publisher.send(msgspec.structs.replace(parcel, **changes), timeout_s=5)
    letter = await _only_dead_letter(world, "sessions.jobs")
    assert letter.headers["dead-reason"] == reason
    assert seen == []


async def test_a_type_without_a_handler_here_is_dead_as_unknown(world: World) -> None:
    bus = await world.bus("auth")
    await bus.start([events("auth.events").on(sessions.ModelSyncLost, _ignore)])
    theirs = await world.bus("sessions")
    await theirs.publisher.publish(encode(sessions.ModelReconnected(org_id=ORG, model_id=uuid7(), version=2)))
    letter = await _only_dead_letter(world, "auth.events")
    assert letter.headers["dead-reason"] == "unknown_type"


async def test_a_replay_by_the_operator_is_taken(world: World) -> None:
    # given a dead letter
    seen: Seen = []
    bus = await world.bus("sessions")
    await bus.start([remembering(seen, Permanent("not yet"))])
    await bus.publisher.publish(encode(a_connect()))
    letter = await _only_dead_letter(world, "sessions.jobs")
    # when
    operator = await world.bus("operator")
    replay = a_parcel(a_connect(), exchange="", routing_key="sessions.jobs", message_id=letter.message_id)
    await operator.publisher.send(replay, timeout_s=5)
    # then
    await eventually(lambda: len(seen) == 2)
    assert str(seen[1][1].message_id) == letter.message_id


async def test_a_command_without_a_queue_is_refused(world: World) -> None:
    bus = await world.bus("sessions")
    lost = a_parcel(a_connect(), routing_key="sessions.nowhere")
    if world.is_real:
        lost = a_parcel(a_connect(), exchange="", routing_key="no.such.queue")
    with pytest.raises(Refused):
        await bus.publisher.send(lost, timeout_s=5)


async def test_an_event_that_only_edges_would_hear_needs_no_listener(world: World) -> None:
    bus = await world.bus("auth")
    await bus.publisher.publish(encode(auth.OrganizationChanged(org_id=ORG, av=2)))


async def test_publishing_the_same_message_twice_delivers_the_same_id_twice(world: World) -> None:
    """What the inbox is for."""
    seen: Seen = []
    bus = await world.bus("sessions")
    await bus.start([remembering(seen)])
    sent = encode(a_connect())
    await bus.publisher.publish(sent)
    await bus.publisher.publish(sent)
    await eventually(lambda: len(seen) == 2)
    assert len({context.message_id for _, context in seen}) == 1


async def test_many_publishers_at_once_lose_nothing(world: World) -> None:
    seen: Seen = []
    bus = await world.bus("sessions")
    await bus.start([remembering(seen)])
    sent = [encode(a_connect()) for _ in range(200)]
    await asyncio.gather(*(bus.publisher.publish(one) for one in sent))
    await eventually(lambda: len(seen) == 200)
    await all_is_settled(world, bus, "sessions.jobs")
    assert {context.message_id for _, context in seen} == {one.message_id for one in sent}


async def test_money_takes_the_queue_of_its_shard(world: World) -> None:
    bus = await world.bus("edge")
    for number in range(1, 9):
        org = uuid.UUID(int=number)
        await bus.publisher.publish(encode(a_voided(), org_id=org))
    depths = [await world.depth(f"billing.ledger.{number}") for number in (0, 1)]
    assert sum(depths) == 8
    assert all(depths)


async def _ignore(message: Message, context: Context) -> None:
    """Do nothing."""


async def _is_empty(world: World, queue: str) -> bool:
    return await world.depth(queue) == 0


async def _only_dead_letter(world: World, queue: str) -> DeadLetter:
    found: list[DeadLetter] = []

    async def look() -> bool:
        found.extend(await world.dead(queue))
        return bool(found)

    await eventually(look)
    [letter] = found
    return letter

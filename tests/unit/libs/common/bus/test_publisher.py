"""The breaker, the bound, and the memory bus's failures."""

import asyncio

import pytest

from libs.common.bus import MemoryBus
from libs.common.bus.publisher import IN_FLIGHT_MAX, Breaker
from libs.common.contracts import edge
from libs.common.contracts.wire import Outgoing, encode
from libs.common.errors import Refused, Unconfirmed
from tests.support.bus import ORG, a_voided


class Watch:
    """Seconds, by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def an_event() -> Outgoing:
    return encode(a_voided(), org_id=ORG)


def test_a_breaker_opens_after_five_unknowns_in_a_row_and_lets_one_probe_through() -> None:
    watch = Watch()
    breaker = Breaker(watch)
    for _ in range(4):
        breaker.unanswered()
    breaker.admit()
    breaker.unanswered()
    with pytest.raises(Refused):
        breaker.admit()
    watch.now = 1.0
    breaker.admit()  # the probe
    with pytest.raises(Refused):
        breaker.admit()
    breaker.unanswered()
    watch.now = 1.9
    with pytest.raises(Refused):
        breaker.admit()
    watch.now = 2.0
    breaker.admit()
    breaker.answered()
    breaker.admit()
    breaker.admit()


def test_any_answer_in_between_keeps_the_breaker_closed() -> None:
    breaker = Breaker(Watch())
    for _ in range(20):
        breaker.unanswered()
        breaker.unanswered()
        breaker.answered()
    breaker.admit()


def test_a_probe_that_is_given_up_makes_room_for_the_next() -> None:
    watch = Watch()
    breaker = Breaker(watch)
    for _ in range(5):
        breaker.unanswered()
    watch.now = 1.0
    breaker.admit()
    breaker.withdrawn()
    breaker.admit()


async def test_what_a_test_publishes_can_be_read_back() -> None:
    bus = MemoryBus("edge")
    event = a_voided(2)
    await bus.publisher.publish(encode(event, org_id=ORG))
    assert bus.sent_of(edge.UsageVoided) == [event]
    assert bus.sent[0].routing_key.startswith("edge.usage.voided.v1.s")


@pytest.mark.parametrize(
    ("error", "arrives", "kept"), [(Refused, False, 0), (Unconfirmed, False, 0), (Unconfirmed, True, 1)]
)
async def test_a_failing_publish_arrives_or_not(error: type[Refused | Unconfirmed], arrives: bool, kept: int) -> None:
    bus = MemoryBus("edge")
    bus.fail_next(error, arrives=arrives)
    with pytest.raises(error):
        await bus.publisher.publish(an_event())
    assert len(bus.sent) == kept
    await bus.publisher.publish(an_event())
    assert len(bus.sent) == kept + 1


async def test_unconfirmed_messages_are_bounded() -> None:
    bus = MemoryBus("edge")
    bus.publisher._in_flight = IN_FLIGHT_MAX
    with pytest.raises(Refused):
        await bus.publisher.publish(an_event())


async def test_an_open_breaker_refuses_without_publishing() -> None:
    bus = MemoryBus("edge")
    bus.fail_next(Unconfirmed, times=5)
    outcomes = await asyncio.gather(*(bus.publisher.publish(an_event()) for _ in range(5)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unconfirmed}
    with pytest.raises(Refused):
        await bus.publisher.publish(an_event())
    assert bus.sent == []

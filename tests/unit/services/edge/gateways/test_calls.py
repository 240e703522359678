"""Counting calls: folded by key, surface, version and day; told once, byte for byte again while unknown; never in the way."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from libs.common.contracts.edge import CALLS_COUNTED_MAX, CallsCounted, KeyCall
from libs.common.contracts.wire import Outgoing
from libs.common.errors import Refused, Unconfirmed
from libs.common.ids import uuid7
from services.edge.gateways import calls as module
from services.edge.gateways.calls import DAY_MS, CallCounts
from tests.support.edge import ManualClock

ORG, KEY = uuid7(), uuid7()


class Publisher:
    """Confirms, unless `error` is set; keeps what it was given."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []
        self.error: Exception | None = None

    async def publish(self, message: Outgoing, *, timeout_s: float = 5.0) -> None:
        self.messages.append(message)
        if self.error is not None:
            raise self.error

    def told(self) -> list[CallsCounted]:
        return [msgspec.json.decode(message.body, type=CallsCounted) for message in self.messages]


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def counting(publisher: Publisher) -> tuple[CallCounts, ManualClock]:
    clock = ManualClock()
    return CallCounts(publisher, clock), clock


def a_call(**changes: Any) -> KeyCall:
    whole = KeyCall(
        call_id=uuid7(), org_id=ORG, key_id=KEY, at_ms=1, method="GET", path="/fanvue/chats", version="2025-06-26", status=200,
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changes)


async def test_R165_calls_are_folded_by_key_surface_version_and_day(publisher: Publisher) -> None:
    counts, clock = counting(publisher)
    for surface, version in (("fanvue", "a"), ("fanvue", "a"), ("fanvue", "b"), ("gateway", "a")):
        counts.saw(ORG, KEY, surface=surface, version=version)
    clock.advance(DAY_MS)
    counts.saw(ORG, KEY, surface="fanvue", version="a")
    await counts.flush()
    (told,) = publisher.told()
    found = sorted((each.surface, each.version, each.calls) for each in told.counts)
    assert found == [("fanvue", "a", 1), ("fanvue", "a", 2), ("fanvue", "b", 1), ("gateway", "a", 1)]
    await counts.flush()
    assert len(publisher.messages) == 1, "there was nothing more to tell"


@pytest.mark.parametrize("error", [Refused, Unconfirmed])
async def test_what_was_not_confirmed_is_told_again_as_the_same_message(
    publisher: Publisher, error: Callable[[], Exception]
) -> None:
    counts, _ = counting(publisher)
    counts.saw(ORG, KEY, surface="fanvue", version="a")
    publisher.error = error()
    await counts.flush()
    counts.saw(ORG, KEY, surface="fanvue", version="a")
    publisher.error = None
    await counts.flush()
    first, again, rest = publisher.messages
    assert first == again
    assert first.message_id != rest.message_id
    assert sum(each.calls for told in publisher.told()[1:] for each in told.counts) == 2


async def test_a_message_has_a_size_that_is_bounded(publisher: Publisher) -> None:
    counts, _ = counting(publisher)
    calls = [a_call() for _ in range(CALLS_COUNTED_MAX + 5)]
    for call in calls:
        counts.saw_users(call)
    counts.saw(ORG, KEY, surface="fanvue", version="a")
    await counts.flush()
    told = publisher.told()
    assert [len(each.counts) + len(each.calls) for each in told] == [CALLS_COUNTED_MAX, 6]
    assert [call for each in told for call in each.calls] == calls


async def test_with_the_bus_away_memory_is_bounded_and_the_newest_calls_are_kept(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALLS_MAX", 3)
    monkeypatch.setattr(module, "COUNTS_MAX", 2)
    counts, _ = counting(publisher)
    calls = [a_call(at_ms=n) for n in range(5)]
    for call in calls:
        counts.saw_users(call)
    for _ in range(5):
        counts.saw(ORG, uuid7(), surface="fanvue", version="a")
    await counts.flush()
    (told,) = publisher.told()
    assert list(told.calls) == calls[2:]
    assert len(told.counts) == 2

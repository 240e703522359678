"""Gathered acknowledgements: one word for what is done up to the first unfinished, none for what is stale, and none twice."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from libs.common.bus.acks import GATHERED_MAX, Acks
from libs.common.bus.transport import Delivery


class Words:
    """What a broker heard, and the tags of a channel that is lost."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, bool]] = []
        self.stale: set[int] = set()
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def settled(self) -> list[tuple[int, bool]]:
        """All that was said, once the tasks are over."""
        await asyncio.gather(*self.tasks)
        return self.heard

    def delivery(self, tag: int) -> Delivery:
        return Delivery(queue="q", type="t", message_id="", user="", headers={}, body=b"", receipt=_Receipt(self, tag))


class _Receipt:
    def __init__(self, words: Words, tag: int) -> None:
        self._words, self._tag = words, tag

    def is_stale(self) -> bool:
        return self._tag in self._words.stale

    async def ack(self, *, up_to_here: bool = False) -> None:
        self._words.heard.append((self._tag, up_to_here))

    async def give_back(self) -> None:
        raise AssertionError("nothing is given back here")


def acks_of(words: Words, count: int) -> Acks:
    acks = Acks(words.spawn)
    assert [acks.took(words.delivery(tag)) for tag in range(1, count + 1)] == list(range(1, count + 1))
    return acks


async def test_what_is_done_from_the_beginning_on_is_one_word() -> None:
    words = Words()
    acks = acks_of(words, 4)
    for number in (2, 1, 3):
        acks.done(number)
    await acks.flush()
    assert words.heard == [(3, True)]


async def test_what_lies_behind_an_unfinished_one_is_said_one_by_one() -> None:
    words = Words()
    acks = acks_of(words, 5)
    for number in (1, 3, 5):
        acks.done(number)
    await acks.flush()
    assert words.heard == [(1, True), (3, False), (5, False)]
    acks.done(2)
    acks.done(4)
    await acks.flush()
    assert words.heard[3:] == [(4, True)]


async def test_what_is_settled_at_once_is_not_said_again() -> None:
    words = Words()
    acks = acks_of(words, 3)
    await acks.settle(2)
    acks.done(1)
    acks.done(3)
    await acks.flush()
    assert words.heard == [(2, False), (3, True)]


async def test_of_a_lost_channel_nothing_is_said() -> None:
    words = Words()
    acks = acks_of(words, 3)
    acks.done(1)
    words.stale = {1, 2}
    acks.done(3)
    await acks.flush()
    acks.done(2)
    await acks.settle(2)
    await acks.flush()
    assert words.heard == [(3, True)]


async def test_they_are_said_when_enough_are_done_and_else_after_a_moment() -> None:
    words = Words()
    acks = acks_of(words, GATHERED_MAX + 1)
    for number in range(1, GATHERED_MAX):
        acks.done(number)
    assert words.tasks == []
    acks.done(GATHERED_MAX)
    assert await words.settled() == [(GATHERED_MAX, True)]
    acks.done(GATHERED_MAX + 1)
    while len(words.tasks) < 2:  # the moment
        await asyncio.sleep(0.001)
    assert (await words.settled())[1:] == [(GATHERED_MAX + 1, True)]

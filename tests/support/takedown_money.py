"""The life of URLs as far as money goes, as a state machine: submissions, alone and racing, refunds, cancellations, notices, deletions and
resubmissions in any order. A model of a dozen lines predicts every answer; in the end books and rows must agree.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from services.takedowns.domain.states import Event

URLS = tuple(f"https://leak-forum.net/{n}" for n in range(8))
CREATORS_MAX = 3
some_urls = st.lists(st.sampled_from(URLS), min_size=1, max_size=6, unique=True)
ENDS = (Event.POISONED, Event.CANCELLED)

T = TypeVar("T")


class Books(Protocol):
    """The system, and what it says of itself."""

    async def register(self) -> uuid.UUID: ...

    async def submit(self, groups: Sequence[tuple[uuid.UUID, Sequence[str]]]) -> int:
        """How many were new."""
        ...

    async def end(self, creator: uuid.UUID, urls: Sequence[str], event: Event) -> int:
        """How many ended."""
        ...

    async def notice(self, creator: uuid.UUID, urls: Sequence[str]) -> None:
        """A notice leaves for those that are paid for."""
        ...

    async def delete(self, creator: uuid.UUID) -> None:
        """With all that follows from it."""
        ...

    async def send_refunds(self) -> None: ...

    async def deliver(self) -> None:
        """What was said arrives."""
        ...

    async def discrepancies(self) -> list[str]:
        """Everything under way arrives; then what books and rows do not agree on."""
        ...


class MoneyMachine(RuleBasedStateMachine):
    """Set `books` and `run`. `paid` and `noticed` are the model: what costs a credit now, and what never gives it back."""

    books: ClassVar[Callable[[], Books]]
    run: ClassVar[Callable[[Coroutine[Any, Any, Any]], Any]]

    def __init__(self) -> None:
        super().__init__()
        self.world: Books = type(self).books()
        self.creators: list[uuid.UUID] = []
        self.paid: set[tuple[uuid.UUID, str]] = set()
        self.noticed: set[tuple[uuid.UUID, str]] = set()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        answer: T = type(self).run(work)
        return answer

    @initialize()
    def begin(self) -> None:
        self.creators = [self.do(self.world.register())]

    @precondition(lambda self: len(self.creators) < CREATORS_MAX)
    @rule()
    def another_creator(self) -> None:
        self.creators.append(self.do(self.world.register()))

    @rule(picks=st.lists(st.tuples(st.integers(0, CREATORS_MAX), some_urls), min_size=1, max_size=3))
    def submitted(self, picks: list[tuple[int, list[str]]]) -> None:
        """Alone: what is new is what is not paid for."""
        groups = [(self.creators[n % len(self.creators)], urls) for n, urls in picks]
        wanted = {(creator, url) for creator, urls in groups for url in urls}
        assert self.do(self.world.submit(groups)) == len(wanted - self.paid)
        self.paid |= wanted

    @rule(racers=st.lists(some_urls, min_size=2, max_size=4))
    def submitted_at_once(self, racers: list[list[str]]) -> None:
        """Racing: each new URL is new to exactly one of them."""
        creator = self.creators[-1]
        wanted = {(creator, url) for urls in racers for url in urls}

        async def race() -> int:
            return sum(await asyncio.gather(*(self.world.submit([(creator, urls)]) for urls in racers)))

        assert self.do(race()) == len(wanted - self.paid)
        self.paid |= wanted

    @rule(n=st.integers(0, CREATORS_MAX), urls=some_urls, event=st.sampled_from(ENDS), times=st.integers(1, 3))
    def ended(self, n: int, urls: list[str], event: Event, times: int) -> None:
        """However often at once: what no notice left for gives its credit back, once."""
        creator = self.creators[n % len(self.creators)]
        wanted = {(creator, url) for url in urls} & self.paid - self.noticed

        async def race() -> int:
            return sum(await asyncio.gather(*(self.world.end(creator, urls, event) for _ in range(times))))

        assert self.do(race()) == len(wanted)
        self.paid -= wanted

    @rule(n=st.integers(0, CREATORS_MAX), urls=some_urls)
    def a_notice_left(self, n: int, urls: list[str]) -> None:
        creator = self.creators[n % len(self.creators)]
        self.do(self.world.notice(creator, urls))
        self.noticed |= {(creator, url) for url in urls} & self.paid

    @precondition(lambda self: len(self.creators) > 1)
    @rule()
    def a_creator_is_deleted(self) -> None:
        creator = self.creators.pop()
        self.do(self.world.delete(creator))
        self.paid -= {pair for pair in self.paid - self.noticed if pair[0] == creator}

    @rule()
    def refunds_are_sent(self) -> None:
        self.do(self.world.send_refunds())

    @rule()
    def what_was_said_arrives(self) -> None:
        self.do(self.world.deliver())

    def teardown(self) -> None:
        assert self.do(self.world.discrepancies()) == []

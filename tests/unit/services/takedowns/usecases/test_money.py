"""The money of URLs, on doubles. On real servers: tests/integration/takedowns/test_money.py."""

import asyncio
import os
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from libs.common.contracts.creators import DeleteCreator
from libs.common.contracts.takedowns import ForgetCreator as Job
from services.takedowns.domain.states import Event, State
from services.takedowns.usecases.forget_creator import ForgetCreator
from services.takedowns.usecases.manage_creators import ManageCreators
from tests.support.takedown_money import MoneyMachine
from tests.support.takedowns_memory import UrlRow
from tests.support.takedowns_world import ORG, SmallWorld

EXAMPLES = int(os.environ.get("TAKEDOWN_LIVES", "60"))  # more of them for a long run
LIVES = settings(max_examples=EXAMPLES, stateful_step_count=20, deadline=None)
HUNT = settings(max_examples=200, stateful_step_count=20, deadline=None, database=None, phases=[Phase.generate])


class MemoryBooks:
    """The use cases on doubles."""

    def __init__(self) -> None:
        self.world = SmallWorld(credits_=100_000)

    async def register(self) -> uuid.UUID:
        return await self.world.creator()

    async def submit(self, groups: Sequence[tuple[uuid.UUID, Sequence[str]]]) -> int:
        return (await self.world.submit(*groups)).new

    def _rows(self, creator: uuid.UUID, urls: Sequence[str]) -> list[UrlRow]:
        id_ = self.world.owner(creator).creator_id
        rows = self.world.memory.tables.urls.items()
        return [row for (owner, _), row in rows if owner == id_ and row.url in urls]

    async def end(self, creator: uuid.UUID, urls: Sequence[str], event: Event) -> int:
        ids = [row.id for row in self._rows(creator, urls)]
        return await self.world.refund_urls(self.world.owner(creator), ids, event)

    async def notice(self, creator: uuid.UUID, urls: Sequence[str]) -> None:
        for row in self._rows(creator, urls):
            if row.refunded_at is None:
                row.state, row.first_notice_at = State.NOTICED, self.world.memory.now

    async def delete(self, creator: uuid.UUID) -> None:
        await ManageCreators(self.world.creators).delete(DeleteCreator(org_id=ORG, creator_id=creator))
        await ForgetCreator(self.world.refunds, self.world.refund_urls)(Job(org_id=ORG, creator_id=creator))

    async def send_refunds(self) -> None:
        await self.world.send_refunds()

    async def deliver(self) -> None: ...

    async def discrepancies(self) -> list[str]:
        await self.world.send_refunds()
        found = (
            []
            if self.world.ledger == self.world.paid
            else [f"{self.world.ledger} in the ledger, {self.world.paid} paid"]
        )
        return found + [f"lease {id_} is open" for id_ in self.world.open_leases]


class ForgetfulBooks(MemoryBooks):
    """A mutant: a refund that does not remember that it was given."""

    async def end(self, creator: uuid.UUID, urls: Sequence[str], event: Event) -> int:
        ended = await super().end(creator, urls, event)
        for row in self._rows(creator, urls):
            if ended and row.first_notice_at is None:
                row.refunded_at, row.state = None, State.QUEUED
        return ended


class GreedyBooks(MemoryBooks):
    """A mutant: what was refunded stays a duplicate, and one more is charged than is stored."""

    async def submit(self, groups: Sequence[tuple[uuid.UUID, Sequence[str]]]) -> int:
        new = await super().submit(groups)
        return new + (1 if new > 4 else 0)


def live(books: type[MemoryBooks], how: settings) -> None:
    """Lives of one kind of system."""
    with asyncio.Runner() as runner:

        def run(work: Coroutine[Any, Any, Any]) -> Any:
            return runner.run(work)

        members = {"books": books, "run": staticmethod(run)}
        run_state_machine_as_test(type("Money", (MoneyMachine,), members), settings=how)


def test_every_answer_is_as_predicted_and_the_ledger_holds_what_is_paid_for() -> None:
    live(MemoryBooks, LIVES)


@pytest.mark.parametrize("mutant", [ForgetfulBooks, GreedyBooks])
def test_the_machine_finds_a_system_that_gives_or_takes_too_much(mutant: type[MemoryBooks]) -> None:
    with pytest.raises(AssertionError):
        live(mutant, HUNT)

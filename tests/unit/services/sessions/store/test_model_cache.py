"""The cache before the truth: warm reads cost nothing, foreign ones find nothing, changes are noticed."""

import uuid
from dataclasses import replace

import pytest

from libs.common.db.errors import DatabaseAway
from services.sessions.domain.account import Holder
from services.sessions.domain.ports import Live
from services.sessions.store.model_cache import AGE_MS_MAX, ENTRIES_MAX, HOLDERS_AGE_MS, CachedModels
from tests.support.clock import FakeClock
from tests.support.fakes_sessions import a_model, a_session


class Truth:
    """The reading half of the store, counted."""

    def __init__(self) -> None:
        self.live = Live(a_model(), a_session())
        self.reads = 0
        self.is_away = False

    async def holders(self, org_id: uuid.UUID, account: str) -> list[Holder]:
        self.reads += 1
        if self.is_away:
            raise DatabaseAway
        model = self.live.model
        is_it = (org_id, account) == (model.org_id, model.account)
        return [Holder(model.model_id, model.provider, model.state)] if is_it else []

    async def find(self, org_id: uuid.UUID, model_id: uuid.UUID) -> Live | None:
        self.reads += 1
        is_it = (org_id, model_id) == (self.live.model.org_id, self.live.model.model_id)
        return self.live if is_it else None

    async def changed_lately(self, _seconds: float) -> dict[uuid.UUID, int]:
        return {self.live.model.model_id: self.live.model.version}


class Bench:
    def __init__(self) -> None:
        self.truth, self.clock = Truth(), FakeClock()
        self.cache = CachedModels(self.truth, self.clock)  # type: ignore[arg-type]

    async def find(self, org_id: uuid.UUID | None = None) -> Live | None:
        model = self.truth.live.model
        return await self.cache.find(org_id or model.org_id, model.model_id)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_warm_model_is_read_once(bench: Bench) -> None:
    assert [await bench.find() for _ in range(3)] == [bench.truth.live] * 3
    assert bench.truth.reads == 1


async def test_a_foreign_organization_finds_nothing_in_a_warm_cache(bench: Bench) -> None:
    await bench.find()
    assert await bench.find(uuid.uuid4()) is None
    assert bench.truth.reads == 1


async def test_what_is_not_there_is_asked_again(bench: Bench) -> None:
    for _ in range(2):
        assert await bench.find(uuid.uuid4()) is None
    assert bench.truth.reads == 2


async def test_a_change_by_another_process_is_noticed_at_the_next_look(bench: Bench) -> None:
    await bench.find()
    await bench.cache.look()
    await bench.find()
    assert bench.truth.reads == 1, "nothing changed, nothing is dropped"
    bench.truth.live = Live(replace(bench.truth.live.model, version=2), a_session("new"))
    await bench.cache.look()
    assert await bench.find() == bench.truth.live


async def test_an_entry_is_not_believed_for_ever(bench: Bench) -> None:
    await bench.find()
    bench.clock.ms += AGE_MS_MAX + 1
    await bench.find()
    assert bench.truth.reads == 2


async def test_an_older_version_never_replaces_a_newer_one(bench: Bench) -> None:
    newer = Live(replace(bench.truth.live.model, version=5), a_session("new"))
    bench.cache.remember(newer)
    bench.cache.remember(bench.truth.live)
    assert await bench.find() == newer
    bench.cache.forget(newer.model.model_id)
    assert await bench.find() == bench.truth.live


async def test_the_cache_is_bounded_and_keeps_what_is_used(bench: Bench) -> None:
    await bench.find()
    for n in range(ENTRIES_MAX):
        bench.cache.remember(Live(a_model(model_id=uuid.UUID(int=n)), None))
        if n == ENTRIES_MAX // 2:
            await bench.find()
    await bench.find()
    assert bench.truth.reads == 1


async def test_who_holds_an_account_is_asked_once_a_second(bench: Bench) -> None:
    model = bench.truth.live.model
    assert model.account is not None
    found = [await bench.cache.holders(model.org_id, model.account) for _ in range(3)]
    assert [holders[0].model_id for holders in found] == [model.model_id] * 3
    assert bench.truth.reads == 1
    bench.clock.ms += HOLDERS_AGE_MS + 1
    bench.truth.live = replace(bench.truth.live, model=a_model(org_id=model.org_id, account=model.account))
    (holder,) = await bench.cache.holders(model.org_id, model.account)
    assert holder.model_id == bench.truth.live.model.model_id
    assert bench.truth.reads == 2


async def test_who_held_an_account_is_believed_for_a_while_when_the_truth_is_away(bench: Bench) -> None:
    model = bench.truth.live.model
    assert model.account is not None
    known = await bench.cache.holders(model.org_id, model.account)
    bench.truth.is_away = True
    bench.clock.ms += AGE_MS_MAX
    assert await bench.cache.holders(model.org_id, model.account) == known
    bench.clock.ms += 1
    with pytest.raises(DatabaseAway):
        await bench.cache.holders(model.org_id, model.account)


async def test_numbers_that_nobody_holds_are_not_remembered(bench: Bench) -> None:
    for number in range(3):
        assert list(await bench.cache.holders(bench.truth.live.model.org_id, f"7{number}")) == []
    bench.truth.is_away = True
    with pytest.raises(DatabaseAway):
        await bench.cache.holders(bench.truth.live.model.org_id, "70")

"""The cache of principals: its bounds, one question at a time, and what an eviction does to a question in flight."""

import asyncio

import pytest

from services.edge.domain.ports import Credential
from services.edge.domain.refusal import Refusal
from services.edge.store import principals as principals_module
from services.edge.store.principals import AGE_MS_MAX, NEGATIVE_AGE_MS_MAX, CachedPrincipals
from tests.support.edge import DirectoryDouble, ManualClock, a_credential, a_principal


class World:
    """A cache with its neighbours."""

    def __init__(self) -> None:
        self.clock, self.directory, self.bypassed = ManualClock(), DirectoryDouble(), False
        self.cache = CachedPrincipals(self.directory, self.clock, is_bypassed=lambda: self.bypassed)

    def issue(self) -> Credential:
        credential = a_credential()
        self.directory.principals[credential.id] = a_principal()
        return credential


async def test_a_principal_is_remembered_for_its_life_and_no_longer() -> None:
    world = World()
    credential = world.issue()
    assert world.cache.known(credential) is None
    found = await world.cache.resolve(credential)
    assert world.cache.known(credential) is found
    world.clock.advance(AGE_MS_MAX - 1)
    assert world.cache.known(credential) is found
    world.clock.advance(1)
    assert world.cache.known(credential) is None


async def test_a_hundred_at_once_are_one_question() -> None:
    world = World()
    credential = world.issue()
    assert len({id(one) for one in await asyncio.gather(*(world.cache.resolve(credential) for _ in range(100)))}) == 1
    assert world.directory.asked == 1


async def test_a_shorter_life_can_be_asked_for() -> None:
    world = World()
    credential = world.issue()
    await world.cache.resolve(credential)
    world.clock.advance(999)
    await world.cache.resolve(credential, age_ms_max=1_000)
    assert world.directory.asked == 1
    world.clock.advance(1)
    await world.cache.resolve(credential, age_ms_max=1_000)
    assert world.directory.asked == 2


async def test_nobody_is_remembered_for_a_minute() -> None:
    world = World()
    credential = a_credential()
    for _ in range(3):
        assert await world.cache.resolve(credential) is None
    assert world.directory.asked == 1
    world.clock.advance(NEGATIVE_AGE_MS_MAX)
    assert await world.cache.resolve(credential) is None
    assert world.directory.asked == 2


async def test_eviction_is_by_organization() -> None:
    world = World()
    one, other = world.issue(), world.issue()
    principal = await world.cache.resolve(one)
    await world.cache.resolve(other)
    assert principal is not None
    world.cache.evict(principal.org_id)
    assert world.cache.known(one) is None
    assert world.cache.known(other) is not None


async def test_what_was_asked_before_an_eviction_is_used_but_not_kept() -> None:
    world = World()
    credential = world.issue()
    asking = asyncio.create_task(world.cache.resolve(credential))
    while not world.directory.asked:
        await asyncio.sleep(0)
    world.cache.clear()
    assert await asking is not None
    assert world.cache.known(credential) is None


async def test_asking_anew_never_joins_a_question_that_began_before() -> None:
    world = World()
    credential = world.issue()
    before = asyncio.create_task(world.cache.resolve(credential))
    while not world.directory.asked:
        await asyncio.sleep(0)
    world.directory.principals[credential.id] = newer = a_principal(av=2)
    assert await world.cache.resolve_anew(credential) is newer
    await before
    assert world.directory.asked == 2


async def test_deaf_to_broadcasts_nothing_remembered_is_used() -> None:
    world = World()
    credential = world.issue()
    await world.cache.resolve(credential)
    world.bypassed = True
    assert world.cache.known(credential) is None
    await world.cache.resolve(credential)
    assert world.directory.asked == 2


async def test_an_outage_is_not_remembered_as_nobody() -> None:
    world = World()
    credential = world.issue()
    world.directory.is_away = True
    with pytest.raises(Refusal):
        await world.cache.resolve(credential)
    world.directory.is_away = False
    assert await world.cache.resolve(credential) is not None


async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(principals_module, "ENTRIES_MAX", 3)
    world = World()
    credentials = [world.issue() for _ in range(5)]
    for credential in credentials:
        await world.cache.resolve(credential)
    assert [world.cache.known(one) is not None for one in credentials] == [False, False, True, True, True]


async def test_a_good_key_is_remembered_as_such_until_somebody_says_otherwise() -> None:
    world = World()
    credential, stranger = world.issue(), a_credential()
    assert not world.cache.was_good(credential)
    await world.cache.resolve(credential)
    await world.cache.resolve(stranger)
    world.cache.clear()
    world.clock.advance(AGE_MS_MAX)
    assert world.cache.was_good(credential)
    assert not world.cache.was_good(stranger)
    world.directory.principals.clear()
    await world.cache.resolve_anew(credential)
    assert not world.cache.was_good(credential)

"""The ports of sessions, kept alike: one suite for the fakes of the unit tests and for the stores on Postgres."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TypeAlias

import pytest

from libs.common.contracts.auth import Actor
from libs.common.contracts.sessions import ConnectModel as ConnectJob
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from libs.common.vault import Vault
from services.sessions.domain.credentials import Credentials, Pending
from services.sessions.domain.errors import OutcomeUnknown
from services.sessions.domain.link import Link
from services.sessions.domain.model import Change, InvalidChange, Model, State, changed, deed_of, signed_in
from services.sessions.domain.upstream_call import Outcome, Recorded
from services.sessions.store.postgres import PostgresModels
from services.sessions.store.sealed import SealedRows
from services.sessions.store.upstream_calls import PostgresUpstreamCalls
from tests.support.fakes_sessions import NOW, FakeCalls, FakeStore, a_model, a_session, a_store
from tests.support.servers import TestDatabase
from tests.support.sessions import RING

Store: TypeAlias = FakeStore | PostgresModels
Calls: TypeAlias = FakeCalls | PostgresUpstreamCalls
CREDENTIALS = Credentials(email="me@b.c", password="pw")


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    connected = await Database.connect(database.dsn("sessions"), schema="sessions", name="test", size_max=8)
    yield connected
    await connected.close()


@pytest.fixture(params=["fake", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "fake":
        return a_store()
    return PostgresModels(request.getfixturevalue("db"), Outbox(), SealedRows(Vault.parse(RING)))


@pytest.fixture(params=["fake", "postgres"])
def calls(request: pytest.FixtureRequest) -> Calls:
    return FakeCalls() if request.param == "fake" else PostgresUpstreamCalls(request.getfixturevalue("db"))


async def made(store: Store) -> Model:
    model = a_model(State.CONNECTING)
    job = ConnectJob(org_id=model.org_id, model_id=model.model_id)
    await store.create(model, CREDENTIALS, Pending(code="1"), job, deed=deed_of(model, "connect", Actor()))
    return model


async def test_what_is_created_is_found_by_its_organization_only(store: Store) -> None:
    model = await made(store)
    live = await store.find(model.org_id, model.model_id)
    assert live is not None
    assert (live.model, live.session) == (model, None)
    assert await store.find(uuid7(), model.model_id) is None
    assert await store.find_labelled(model.org_id, "sandbox", model.label) == model
    assert await store.find_labelled(uuid7(), "sandbox", model.label) is None
    async with store.exclusive(uuid7(), model.model_id) as held:
        assert await held.load() is None


async def test_everything_that_is_kept_is_there_afterwards(store: Store) -> None:
    before = await made(store)
    after = signed_in(before, account="1001", ends_at=NOW, now=NOW, chance=0.5)
    async with store.exclusive(before.org_id, before.model_id) as held:
        contents = await held.load()
        assert contents is not None
        assert (contents.credentials, contents.pending, contents.session) == (CREDENTIALS, Pending(code="1"), None)
        await held.keep_session(after, a_session())
        await held.keep_pending(after, None)
        await held.save(before, after)
    live = await store.find(before.org_id, before.model_id)
    assert live is not None
    assert (live.model, live.session) == (after, a_session())
    async with store.exclusive(before.org_id, before.model_id) as held:
        await held.keep_credentials(after, None)
        contents = await held.load()
        assert contents is not None
        assert (contents.credentials, contents.pending) == (None, None)


async def test_an_account_number_is_found_by_its_organization_only(store: Store) -> None:
    before = await made(store)
    assert list(await store.holders(before.org_id, "1001")) == []
    after = signed_in(before, account="1001", ends_at=NOW, now=NOW, chance=0.5)
    async with store.exclusive(before.org_id, before.model_id) as held:
        await held.save(before, after)
    (holder,) = await store.holders(before.org_id, "1001")
    assert (holder.model_id, holder.provider, holder.state) == (before.model_id, "sandbox", State.CONNECTED)
    assert list(await store.holders(uuid7(), "1001")) == []
    assert list(await store.holders(before.org_id, "1002")) == []


async def test_a_holder_that_raises_leaves_nothing_behind(store: Store) -> None:
    before = await made(store)
    message_id = uuid7()
    with pytest.raises(RuntimeError):
        async with store.exclusive(before.org_id, before.model_id) as held:
            assert await held.accept_once(message_id)
            await held.save(before, changed(before, Change.REFUSED))
            raise RuntimeError
    live = await store.find(before.org_id, before.model_id)
    assert live is not None
    assert live.model == before
    async with store.exclusive(before.org_id, before.model_id) as held:
        assert await held.accept_once(message_id)
    async with store.exclusive(before.org_id, before.model_id) as held:
        assert not await held.accept_once(message_id)


async def test_an_outdated_model_is_not_saved(store: Store) -> None:
    before = await made(store)
    async with store.exclusive(before.org_id, before.model_id) as held:
        await held.save(before, changed(before, Change.CODE_ASKED))
    with pytest.raises(InvalidChange):
        async with store.exclusive(before.org_id, before.model_id) as held:
            await held.save(before, changed(before, Change.REFUSED))


async def test_one_holds_a_model_at_a_time(store: Store) -> None:
    model = await made(store)
    inside: list[int] = []
    most = 0

    async def hold(number: int) -> None:
        nonlocal most
        async with store.exclusive(model.org_id, model.model_id) as held:
            inside.append(number)
            most = max(most, len(inside))
            await held.load()
            await asyncio.sleep(0.01)
            inside.remove(number)

    await asyncio.gather(*(hold(number) for number in range(6)))
    assert most == 1


async def test_refreshing_is_seen_by_others_while_the_model_is_held(store: Store) -> None:
    before = await made(store)
    connected = signed_in(before, account="1001", ends_at=None, now=NOW, chance=0.5)
    async with store.exclusive(before.org_id, before.model_id) as held:
        await held.save(before, connected)
    async with store.exclusive(before.org_id, before.model_id) as held:
        refreshing = await store.mark_refreshing(connected)
        live = await store.find(before.org_id, before.model_id)
        assert live is not None
        assert live.model == refreshing == replace(connected, state=State.REFRESHING, version=connected.version + 1)
        await held.save(refreshing, changed(refreshing, Change.REFUSED))


async def test_a_consent_is_used_up_once_and_the_newest_counts(store: Store) -> None:
    model = await made(store)
    link, first, second = (Link(bytes([number] * 32), model.org_id, model.model_id, NOW) for number in (1, 2, 3))
    async with store.exclusive(model.org_id, model.model_id) as held:
        await held.replace_links(model, link)
        await held.begin_consent(link.digest, first.digest)
        await held.begin_consent(link.digest, second.digest)
        assert not await held.take_consent(first.digest, "")
    async with store.exclusive(model.org_id, model.model_id) as held:
        assert await held.take_consent(second.digest, "consent_denied")
        assert not await held.take_consent(second.digest, "")


async def test_a_call_is_started_once_and_its_end_stays(calls: Calls) -> None:
    call_id, org_id, model_id = uuid7(), uuid7(), uuid7()
    assert await calls.start(call_id, org_id, model_id, "messages_send") is None
    with pytest.raises(OutcomeUnknown):
        await calls.start(call_id, org_id, model_id, "messages_send")
    outcome = Outcome(status=201, content_type="application/json", retry_after_s=3, upstream_ms=5)
    await calls.finish(call_id, outcome, b'{"a":1}')
    assert await calls.start(call_id, org_id, model_id, "messages_send") == Recorded(call_id, outcome, b'{"a":1}')


async def test_an_error_is_an_end_too(calls: Calls) -> None:
    call_id, org_id, model_id = uuid7(), uuid7(), uuid7()
    await calls.start(call_id, org_id, model_id, "messages_send")
    outcome = Outcome(code="SYNC_LOST", message="Model is in sync_lost", fields={"state": "sync_lost"})
    await calls.finish(call_id, outcome, b"")
    assert await calls.start(call_id, org_id, model_id, "messages_send") == Recorded(call_id, outcome, b"")


async def test_of_many_who_start_a_call_at_once_one_may(calls: Calls) -> None:
    call_id, org_id, model_id = uuid7(), uuid7(), uuid7()
    answers = await asyncio.gather(
        *(calls.start(call_id, org_id, model_id, "messages_send") for _ in range(20)), return_exceptions=True
    )
    assert answers.count(None) == 1
    assert sum(isinstance(answer, OutcomeUnknown) for answer in answers) == 19

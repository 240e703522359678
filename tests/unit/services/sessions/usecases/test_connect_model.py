"""Connecting and disconnecting, with the platform's every word."""

from dataclasses import replace

import pytest

from libs.common.contracts.auth import Actor
from libs.common.contracts.sessions import ConnectModel as ConnectJob
from libs.common.errors import RetryAfter, Transient
from libs.common.ids import uuid7
from services.sessions.domain.credentials import Credentials, Pending
from services.sessions.domain.errors import ChallengeExpired, NotPossible, PlatformTrouble, SignInRefused
from services.sessions.domain.model import State
from services.sessions.domain.ports import CodeAsked
from services.sessions.usecases.connect_model import AskConnect, ConnectModel, give
from services.sessions.usecases.disconnect_model import DisconnectModel
from tests.support.clock import FakeClock
from tests.support.fakes_sessions import FakeProvider, FakeStore, a_model, a_session, a_store

CREDENTIALS = Credentials(email="new@b.c", password="new")


class Bench:
    def __init__(self, state: State = State.CONNECTING, pending: Pending | None = None) -> None:
        self.store: FakeStore = a_store(a_model(state), pending=pending)
        self.provider = FakeProvider()
        self.connect = ConnectModel(self.store, self.store, {"sandbox": self.provider}, {}, FakeClock(), lambda: 0.5)
        self.message_id = uuid7()

    async def __call__(self) -> State:
        model = self.store.model
        await self.connect(ConnectJob(org_id=model.org_id, model_id=model.model_id), self.message_id)
        return self.store.model.state

    @property
    def told(self) -> list[str]:
        return [type(event).__name__ for event in self.store.events]


async def test_signing_in_connects() -> None:
    bench = Bench()
    assert await bench() is State.CONNECTED
    assert (bench.store.model.account, bench.told) == ("1001", ["ModelConnected"])
    assert bench.store.contents.session == a_session("second")


async def test_a_second_delivery_does_nothing() -> None:
    bench = Bench()
    await bench()
    await bench()
    assert bench.provider.did == ["sign in"]


@pytest.mark.parametrize("state", [State.CONNECTED, State.DISCONNECTED, State.SYNC_LOST])
async def test_a_late_job_does_nothing(state: State) -> None:
    bench = Bench(state)
    assert await bench() is state
    assert bench.provider.did == []


async def test_a_challenge_waits_for_its_code() -> None:
    bench = Bench()
    bench.provider.on_sign_in = CodeAsked("ch")
    assert await bench() is State.AWAITING_2FA
    assert bench.store.contents.pending == Pending(challenge="ch")
    assert bench.told == ["ModelAwaitingCode"]


async def test_a_code_that_came_along_answers_the_challenge() -> None:
    bench = Bench(pending=Pending(code="1"))
    bench.provider.on_sign_in = CodeAsked("ch")
    assert await bench() is State.CONNECTED
    assert bench.provider.did == ["sign in", "confirm ch 1"]
    assert bench.store.contents.pending is None


async def test_a_code_that_came_later_answers_the_old_challenge_or_a_new_one() -> None:
    bench = Bench(pending=Pending(challenge="ch", code="1"))
    assert await bench() is State.CONNECTED
    assert bench.provider.did == ["confirm ch 1"]
    late = Bench(pending=Pending(challenge="old", code="1"))
    late.provider.on_confirm = ChallengeExpired()
    late.provider.on_sign_in = CodeAsked("new")
    assert await late() is State.AWAITING_2FA
    assert late.provider.did == ["confirm old 1", "sign in", "confirm new 1"]
    assert late.store.contents.pending == Pending(challenge="new")


async def test_refusals_fail_the_connection() -> None:
    for pending, answer in ((None, SignInRefused("credentials_refused")), (Pending(code="0"), CodeAsked("ch"))):
        bench = Bench(pending=pending)
        bench.provider.on_sign_in = answer
        bench.provider.on_confirm = SignInRefused("code_refused")
        assert await bench() is State.CONNECT_FAILED
        assert bench.told == ["ModelConnectFailed"]
        assert bench.store.contents.pending is None


async def test_an_account_that_is_connected_already_is_refused() -> None:
    bench = Bench()
    bench.store.taken = {"1001"}
    assert await bench() is State.CONNECT_FAILED
    assert bench.store.model.reason == "account_connected_already"


async def test_trouble_is_tried_again_and_leaves_no_trace() -> None:
    bench = Bench()
    bench.provider.on_sign_in = PlatformTrouble("503")
    with pytest.raises(Transient):
        await bench()
    bench.provider.on_sign_in = PlatformTrouble("429", retry_after_s=9)
    with pytest.raises(RetryAfter) as later:
        await bench()
    assert later.value.seconds == 9
    assert (bench.store.model.state, bench.store.accepted) == (State.CONNECTING, set())
    bench.provider.on_sign_in = None
    assert await bench() is State.CONNECTED


async def test_asking_seals_what_is_needed_and_names_only_the_model_in_the_job() -> None:
    store = a_store()
    org_id = uuid7()
    model = await AskConnect(store)(org_id, provider="sandbox", label="two", credentials=CREDENTIALS, code="7")
    assert (model.state, model.label) == (State.CONNECTING, "two")
    assert (store.contents.credentials, store.contents.pending) == (CREDENTIALS, Pending(code="7"))
    assert store.jobs == [ConnectJob(org_id=org_id, model_id=model.model_id)]


@pytest.mark.parametrize("state", [State.SYNC_LOST, State.CONNECT_FAILED, State.DISCONNECTED, State.AWAITING_2FA])
async def test_asking_again_gives_the_same_model_new_credentials(state: State) -> None:
    store = a_store(a_model(state))
    before = store.model
    model = await AskConnect(store)(before.org_id, provider="sandbox", label="one", credentials=CREDENTIALS)
    assert (model.model_id, model.state) == (before.model_id, State.CONNECTING)
    assert store.contents.credentials == CREDENTIALS
    assert len(store.jobs) == 1


async def test_a_code_joins_the_challenge_that_waits_for_it() -> None:
    store = a_store(a_model(State.AWAITING_2FA), pending=Pending(challenge="ch"))
    await AskConnect(store)(store.model.org_id, provider="sandbox", label="one", credentials=CREDENTIALS, code="7")
    assert store.contents.pending == Pending(challenge="ch", code="7")


async def test_a_connected_model_stays_as_it_is() -> None:
    store = a_store()
    before = store.contents
    model = await AskConnect(store)(before.model.org_id, provider="sandbox", label="one", credentials=CREDENTIALS)
    assert (model, store.contents, store.jobs) == (before.model, before, [])


async def test_disconnecting_wipes_everything_even_if_the_platform_is_away() -> None:
    store, provider = a_store(), FakeProvider()
    disconnect = DisconnectModel(store, store, {"sandbox": provider})
    for _ in range(2):
        model = await disconnect(store.model.org_id, store.model.model_id, by=Actor(address="203.0.113.7"))
        assert model.state is State.DISCONNECTED
    contents = store.contents
    assert (contents.credentials, contents.session, contents.pending) == (None, None, None)
    assert provider.did == ["sign out"]
    assert [type(event).__name__ for event in store.events] == ["ModelDisconnected"]
    assert [(deed.action, deed.by.address) for deed in store.deeds] == [("disconnect", "203.0.113.7")]  # once


async def test_a_refused_code_may_be_corrected_twice() -> None:
    bench = Bench(pending=Pending(challenge="ch", code="0"))
    bench.provider.on_confirm = SignInRefused("code_refused")
    assert await bench() is State.AWAITING_2FA
    assert (bench.store.model.reason, bench.told) == ("code_refused", ["ModelAwaitingCode"])
    assert bench.store.contents.pending == Pending(challenge="ch", refusals=1)
    last = Bench(pending=Pending(challenge="ch", code="0", refusals=2))
    last.provider.on_confirm = SignInRefused("code_refused")
    assert await last() is State.CONNECT_FAILED
    assert last.store.contents.pending is None


async def test_a_model_stays_the_account_that_it_is() -> None:
    bench = Bench()
    bench.store.contents = replace(bench.store.contents, model=a_model(State.CONNECTING, account="7"))
    assert await bench() is State.CONNECT_FAILED
    assert bench.store.model.reason == "another_account"
    assert bench.store.contents.session is None


async def test_signing_in_uses_the_link_up() -> None:
    bench = Bench()
    await bench()
    assert bench.store.is_link_used


async def test_a_code_that_nobody_asked_for_is_refused() -> None:
    store = a_store(a_model(State.CONNECT_FAILED))
    async with store.exclusive(store.model.org_id, store.model.model_id) as held:
        with pytest.raises(NotPossible, match="connect_failed"):
            await give(held, store.contents, None, "123456")


async def test_a_code_alone_keeps_the_credentials_and_the_count_of_refusals() -> None:
    store = a_store(a_model(State.AWAITING_2FA), pending=Pending(challenge="ch", refusals=1))
    async with store.exclusive(store.model.org_id, store.model.model_id) as held:
        await give(held, store.contents, None, "123456")
    assert store.model.state is State.CONNECTING
    assert store.contents.pending == Pending(challenge="ch", code="123456", refusals=1)
    assert store.contents.credentials is not None

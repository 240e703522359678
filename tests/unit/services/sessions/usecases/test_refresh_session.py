"""Refreshing: once per model, refused only by the platform's own no."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest

from libs.common.errors import Unavailable
from services.sessions.domain.credentials import Session
from services.sessions.domain.errors import (
    GRANT_REFUSED,
    ModelNotConnected,
    ModelNotFound,
    PlatformTrouble,
    SignInRefused,
    SyncLost,
)
from services.sessions.domain.model import State
from services.sessions.domain.ports import CodeAsked, Live
from services.sessions.usecases.refresh_session import (
    RESCUE_SECONDS,
    SIGN_INS_MAX,
    SIGN_INS_MS,
    RefreshSession,
    Why,
)
from tests.support.clock import FakeClock
from tests.support.fakes_sessions import FakeHeld, FakeProvider, FakeStore, a_model, a_session, a_store, signed_in_as


class Bench:
    def __init__(self, store: FakeStore | None = None) -> None:
        self.store = store or a_store()
        self.provider = FakeProvider()
        self.clock = FakeClock()
        self.outcomes: list[str] = []
        self.refresh = RefreshSession(
            store=self.store, models=self.store, providers={"sandbox": self.provider}, clock=self.clock,
            chance=lambda: 0.5, count=self.outcomes.append,
        )  # fmt: skip

    async def __call__(self, why: Why = Why.REJECTED, *, stale: int = 1) -> Live:
        model = self.store.model
        return await self.refresh(model.org_id, model.model_id, stale=stale, why=why)


async def test_a_rejected_session_is_replaced_by_signing_in() -> None:
    bench = Bench()
    live = await bench()
    assert (live.model.state, live.model.session_number, live.session) == (State.CONNECTED, 2, a_session("second"))
    assert bench.store.contents.session == a_session("second")
    assert (bench.provider.did, bench.outcomes) == (["sign in"], ["renewed"])
    assert bench.store.events == [], "a refresh that went well is nobody's business"


async def test_fifty_who_meet_the_dead_session_sign_in_once() -> None:
    bench = Bench()
    lives = await asyncio.gather(*(bench() for _ in range(50)))
    assert {live.model.session_number for live in lives} == {2}
    assert bench.provider.did == ["sign in"]
    await bench()  # one that comes late with the old number
    assert bench.provider.did == ["sign in"]
    assert bench.outcomes == ["renewed", "joined"]


async def test_a_caller_who_gives_up_does_not_end_the_refresh() -> None:
    bench = Bench()
    waiting = asyncio.create_task(bench())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await bench()).model.session_number == 2
    assert bench.provider.did == ["sign in"]


async def test_a_session_that_is_due_is_renewed_without_the_password() -> None:
    bench = Bench()
    await bench(Why.DUE)
    assert bench.provider.did == ["renew"]


async def test_a_due_session_that_is_dead_already_needs_the_password() -> None:
    bench = Bench()
    bench.provider.on_renew = SignInRefused("session_refused")
    await bench(Why.DUE)
    assert bench.provider.did == ["renew", "sign in"]
    assert bench.store.model.state is State.CONNECTED


REFUSALS = [
    (SignInRefused("credentials_refused"), "credentials_refused"),
    (CodeAsked("challenge"), "two_factor_required"),
    (signed_in_as("9999"), "another_account"),
]


@pytest.mark.parametrize(("answer", "reason"), REFUSALS, ids=[reason for _, reason in REFUSALS])
async def test_a_refusal_ends_in_sync_lost_and_is_told(answer: object, reason: str) -> None:
    bench = Bench()
    bench.provider.on_sign_in = answer  # type: ignore[assignment]
    with pytest.raises(SyncLost):
        await bench()
    assert (bench.store.model.state, bench.store.model.reason) == (State.SYNC_LOST, reason)
    assert [type(event).__name__ for event in bench.store.events] == ["ModelSyncLost"]
    assert bench.store.contents.session is None
    assert bench.store.contents.credentials is not None
    assert bench.outcomes == ["refused"]


async def test_trouble_of_the_platform_never_ends_in_sync_lost() -> None:
    bench = Bench()
    bench.provider.on_sign_in = PlatformTrouble("503")
    for failures in (1, 2, 3):
        with pytest.raises(SyncLost):  # this call cannot go on
            await bench()
        assert (bench.store.model.state, bench.store.model.refresh_failures) == (State.CONNECTED, failures)
    assert bench.store.events == []
    bench.provider.on_sign_in = None
    await bench()
    assert bench.store.model.refresh_failures == 0


async def test_a_lost_model_is_only_brought_back_when_asked() -> None:
    bench = Bench(a_store(a_model(State.SYNC_LOST)))
    for why in (Why.DUE, Why.REJECTED, Why.WAIT):
        with pytest.raises(SyncLost):
            await bench(why)
    assert bench.provider.did == []
    await bench(Why.ASKED)
    assert bench.store.model.state is State.CONNECTED
    assert [type(event).__name__ for event in bench.store.events] == ["ModelReconnected"]


async def test_bringing_back_may_need_a_code_or_be_refused_or_wait() -> None:
    for answer, state in (
        (CodeAsked("challenge"), State.AWAITING_2FA),
        (SignInRefused("credentials_refused"), State.SYNC_LOST),
        (PlatformTrouble("503"), State.SYNC_LOST),
    ):
        bench = Bench(a_store(a_model(State.SYNC_LOST)))
        bench.provider.on_sign_in = answer
        with pytest.raises(SyncLost):
            await bench(Why.ASKED)
        assert bench.store.model.state is state
        pending = bench.store.contents.pending
        assert (pending is not None and pending.challenge == "challenge") == (state is State.AWAITING_2FA)


async def test_waiting_is_over_when_somebody_else_is_done_and_taken_over_when_they_are_gone() -> None:
    done = Bench(a_store(a_model(session_number=5)))
    assert (await done(Why.WAIT, stale=5)).model.session_number == 5
    assert done.provider.did == []
    gone = Bench(a_store(a_model(State.REFRESHING)))
    assert (await gone(Why.WAIT)).model.state is State.CONNECTED
    assert gone.provider.did == ["sign in"]


@pytest.mark.parametrize("state", [State.CONNECTING, State.AWAITING_2FA, State.CONNECT_FAILED, State.DISCONNECTED])
async def test_a_model_without_a_connection_has_nothing_to_refresh(state: State) -> None:
    with pytest.raises(ModelNotConnected):
        await Bench(a_store(a_model(state)))(Why.ASKED)


async def test_a_foreign_model_is_not_found() -> None:
    bench = Bench()
    with pytest.raises(ModelNotFound):
        await bench.refresh(bench.store.model.model_id, bench.store.model.model_id, stale=1, why=Why.DUE)


async def test_a_platform_that_refuses_every_fresh_session_is_not_hammered() -> None:
    bench = Bench()
    for number in range(1, SIGN_INS_MAX + 1):
        await bench(stale=number)
    with pytest.raises(SyncLost):
        await bench(stale=SIGN_INS_MAX + 1)
    assert len(bench.provider.did) == SIGN_INS_MAX
    assert bench.store.model.state is State.CONNECTED
    bench.clock.ms += SIGN_INS_MS
    await bench(stale=SIGN_INS_MAX + 1)
    assert len(bench.provider.did) == SIGN_INS_MAX + 1


GRANT = Session(access_token="at", refresh_token="rt", account="1001")


def a_grant(state: State = State.CONNECTED, **changes: object) -> Bench:
    """A model that lives on a grant: nobody's password is in its vault."""
    return Bench(a_store(a_model(state, **changes), credentials=None, session=GRANT))


@pytest.mark.parametrize("why", list(Why))
async def test_without_credentials_renewing_is_all_there_is(why: Why) -> None:
    bench = a_grant()
    if why is Why.WAIT:
        assert (await bench(why)).session == GRANT, "somebody else has done it"
        return
    assert (await bench(why)).session == a_session("second")
    assert bench.provider.did == ["renew"]


@pytest.mark.parametrize(
    ("state", "failures", "reason"),
    [
        (State.CONNECTED, 0, "grant_refused"),
        (State.REFRESHING, 0, "renewal_interrupted"),  # whoever was at it died
        (State.CONNECTED, 1, "renewal_interrupted"),  # its answer never came
    ],
)
async def test_a_grant_that_is_refused_says_whether_a_renewal_was_lost(
    state: State, failures: int, reason: str
) -> None:
    bench = a_grant(state, refresh_failures=failures)
    bench.provider.on_renew = SignInRefused(GRANT_REFUSED)
    with pytest.raises(SyncLost):
        await bench()
    assert (bench.store.model.state, bench.store.model.reason) == (State.SYNC_LOST, reason)
    assert [type(event).__name__ for event in bench.store.events] == ["ModelSyncLost"]
    assert bench.store.contents.session == Session(refresh_token="rt", account="1001")


async def test_a_lost_grant_is_tried_once_more_when_its_user_asks_and_then_no_more() -> None:
    bench = a_grant(State.SYNC_LOST, reason="renewal_interrupted")
    bench.provider.on_renew = SignInRefused(GRANT_REFUSED)
    for _ in range(2):
        with pytest.raises(SyncLost):
            await bench(Why.ASKED)
        assert (bench.store.model.state, bench.store.model.reason) == (State.SYNC_LOST, "renewal_interrupted")
        assert bench.store.contents.session is None
    assert bench.provider.did == ["renew"]


async def test_trouble_costs_a_lost_grant_nothing() -> None:
    bench = a_grant(State.SYNC_LOST)
    bench.provider.on_renew = PlatformTrouble("503")
    with pytest.raises(SyncLost):
        await bench(Why.ASKED)
    assert bench.store.contents.session == GRANT
    bench.provider.on_renew = None
    assert (await bench(Why.ASKED)).model.state is State.CONNECTED


class LosingStore(FakeStore):
    """Its commits fail so many times."""

    losses = 0

    @contextlib.asynccontextmanager
    async def exclusive(self, org_id: uuid.UUID, model_id: uuid.UUID) -> AsyncIterator[FakeHeld]:
        async with super().exclusive(org_id, model_id) as held:
            yield held
            if self.losses:
                self.losses -= 1
                raise Unavailable


def a_losing_grant(losses: int) -> tuple[Bench, list[float]]:
    store = a_store(a_model(), credentials=None, session=GRANT)
    bench, slept = Bench(LosingStore(store.contents)), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    bench.store.losses = losses  # type: ignore[attr-defined]
    bench.refresh = RefreshSession(
        store=bench.store, models=bench.store, providers={"sandbox": bench.provider}, clock=bench.clock,
        chance=lambda: 0.5, count=bench.outcomes.append, sleep=sleep,
    )  # fmt: skip
    return bench, slept


async def test_what_the_platform_gave_is_written_down_when_the_database_is_back() -> None:
    bench, slept = a_losing_grant(3)
    live = await bench()
    assert live.session == a_session("second")
    assert bench.store.contents.session == a_session("second")
    assert (bench.provider.did, slept) == (["renew"], list(RESCUE_SECONDS[:3]))


async def test_a_database_that_stays_away_is_said_so_and_the_platform_is_not_asked_again() -> None:
    bench, slept = a_losing_grant(100)
    with pytest.raises(Unavailable):
        await bench()
    assert (bench.provider.did, slept) == (["renew"], list(RESCUE_SECONDS))

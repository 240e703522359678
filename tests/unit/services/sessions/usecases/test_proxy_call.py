"""The rules of a call: what is repeated, what never is, what the caller is told."""

import uuid
from typing import Any

import pytest

from libs.common.contracts.sessions import NO_MODEL, Proxy
from libs.common.errors import RpcError, Unavailable
from libs.common.ids import uuid7
from services.sessions.domain.errors import (
    Dropped,
    InvalidRequest,
    ModelNotConnected,
    ModelNotFound,
    NotSent,
    OutcomeUnknown,
    Paced,
    PlatformFailed,
    RouteNotSupported,
    SyncLost,
    TimedOut,
    Unusable,
    UpstreamTimeout,
)
from services.sessions.domain.model import State
from services.sessions.domain.ports import Live
from services.sessions.domain.upstream_call import Outcome, Recorded, UpstreamAnswer
from services.sessions.usecases.proxy_call import ANSWER_MARGIN_MS, PACE_FLOOR_MS, ProxyCall
from services.sessions.usecases.refresh_session import Why
from tests.support.clock import FakeClock
from tests.support.fakes_sessions import (
    FakeCalls,
    FakePace,
    FakeProvider,
    FakeStore,
    a_model,
    a_session,
    a_store,
)

OK = UpstreamAnswer(status=200, body=b'{"a":1e400}', content_type="application/json", upstream_ms=3)
CREATED = UpstreamAnswer(status=201, body=b"{}")
UNAUTHORIZED = UpstreamAnswer(status=401, body=b"{}", is_session_refused=True)
SOON_MS = 30_000


class Bench:
    """A call with everything around it faked."""

    def __init__(self, store: FakeStore | None = None, *, renewal: Exception | None = None) -> None:
        self.store = store or a_store()
        self.provider = FakeProvider()
        self.calls = FakeCalls()
        self.clock = FakeClock()
        self.renewals: list[tuple[int, Why]] = []
        self._renewal = renewal
        self.pace = FakePace()
        self.proxy_call = ProxyCall(
            self.store, self.calls, {"sandbox": self.provider}, self._refresh, self.clock, 10_000, self.pace
        )

    async def __call__(self, route: str = "chats_list", body: bytes = b"", **more: Any) -> tuple[Any, bytes]:
        model = self.store.model
        deadline_ms = self.clock.ms + more.pop("deadline_in_ms", SOON_MS)
        is_redelivered = more.pop("is_redelivered", False)
        fields: dict[str, Any] = {
            "call_id": uuid7(),
            "org_id": model.org_id,
            "model_id": model.model_id,
            "route": route,
        }
        call = Proxy(**(fields | {"path_params": {"fan_id": "7"}} | more))
        return await self.proxy_call(call, body, deadline_ms=deadline_ms, is_redelivered=is_redelivered)

    async def _refresh(self, _org_id: uuid.UUID, _model_id: uuid.UUID, /, *, stale: int, why: Why) -> Live:
        self.renewals.append((stale, why))
        if self._renewal is not None:
            raise self._renewal
        return Live(a_model(session_number=stale + 1), a_session("renewed"))


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_R029_a_call_goes_out_with_the_models_session_and_its_answer_comes_back_untouched(bench: Bench) -> None:
    bench.provider.answers = [OK]
    head, body = await bench(query="page=2")
    assert (head.status, head.content_type, head.upstream_ms, body) == (200, "application/json", 3, OK.body)
    assert bench.provider.did == ["GET /chats?page=2 with sid=first"]


async def test_unknown_models_and_routes_are_told_apart_before_anything_is_sent(bench: Bench) -> None:
    with pytest.raises(ModelNotFound):
        await bench(model_id=uuid7())
    with pytest.raises(ModelNotFound):
        await bench(org_id=uuid7())
    with pytest.raises(RouteNotSupported):
        await bench("no_such_route")
    with pytest.raises(InvalidRequest):
        await bench(query="a b")
    assert bench.provider.did == []


async def test_a_sandbox_key_reaches_sandbox_models_only() -> None:
    bench = Bench(a_store(a_model(provider="session")))
    with pytest.raises(ModelNotFound):
        await bench(sandbox_only=True)


async def test_an_account_number_stands_for_its_model_and_the_answer_names_it(bench: Bench) -> None:
    for route in ("chats_list", "messages_send"):
        head, _ = await bench(route, model_id=NO_MODEL, account="1001")
        assert head.model_id == bench.store.model.model_id
    head, _ = await bench()
    assert head.model_id is None
    head, _ = await bench(account="1001")
    assert head.model_id == bench.store.model.model_id


async def test_an_account_that_is_not_the_organizations_or_not_the_models_is_not_found(bench: Bench) -> None:
    for wrong in ({"account": "1002"}, {"account": "1001", "org_id": uuid7()}):
        with pytest.raises(ModelNotFound):
            await bench(model_id=NO_MODEL, **wrong)
    with pytest.raises(ModelNotFound):
        await bench(account="1002")
    assert bench.provider.did == []


async def test_R032_a_foreign_model_is_404_also_where_its_session_is_lost_and_its_platform_down() -> None:
    bench = Bench(a_store(a_model(State.SYNC_LOST)))
    bench.provider.answers = [UpstreamAnswer(status=500, body=b"{}")]
    with pytest.raises(ModelNotFound):
        await bench(org_id=uuid7())
    with pytest.raises(SyncLost):
        await bench()


@pytest.mark.parametrize("route", ["chats_list", "messages_delete"])
async def test_a_dead_session_is_refreshed_once_and_the_call_repeated(bench: Bench, route: str) -> None:
    bench.provider.answers = [UNAUTHORIZED, OK]
    head, _ = await bench(route, path_params={"fan_id": "7", "message_id": "8"})
    assert head.status == 200
    assert bench.renewals == [(1, Why.REJECTED)]
    assert [did.rsplit("=", 1)[1] for did in bench.provider.did] == ["first", "renewed"]


async def test_a_session_that_is_refused_again_is_424_and_not_refreshed_for_ever(bench: Bench) -> None:
    bench.provider.answers = [UNAUTHORIZED, UNAUTHORIZED, OK]
    with pytest.raises(SyncLost):
        await bench()
    assert len(bench.renewals) == 1


async def test_R056_a_refresh_that_is_refused_is_424() -> None:
    bench = Bench(renewal=SyncLost())
    bench.provider.answers = [UNAUTHORIZED]
    with pytest.raises(SyncLost):
        await bench()


STATES = {
    State.SYNC_LOST: SyncLost, State.CONNECTING: ModelNotConnected, State.AWAITING_2FA: ModelNotConnected,
    State.CONNECT_FAILED: ModelNotConnected, State.DISCONNECTED: ModelNotConnected,
}  # fmt: skip


@pytest.mark.parametrize(("state", "error"), STATES.items(), ids=list(STATES))
@pytest.mark.parametrize("route", ["chats_list", "messages_send"])
async def test_a_model_that_is_not_callable_is_424_without_a_byte_sent(
    state: State, error: type[Exception], route: str
) -> None:
    bench = Bench(a_store(a_model(state)))
    with pytest.raises(error):
        await bench(route)
    assert bench.provider.did == []
    assert bench.renewals == []


async def test_a_refreshing_model_is_waited_for() -> None:
    bench = Bench(a_store(a_model(State.REFRESHING)))
    head, _ = await bench()
    assert head.status == 200
    assert bench.renewals == [(1, Why.WAIT)]


@pytest.mark.parametrize("trouble", [NotSent("x"), Dropped("x")])
async def test_a_read_is_repeated_once_after_a_lost_connection(bench: Bench, trouble: Exception) -> None:
    bench.provider.answers = [trouble, OK]
    assert (await bench())[0].status == 200
    bench.provider.answers = [trouble, trouble, OK]
    with pytest.raises(PlatformFailed):
        await bench()


async def test_a_read_is_not_repeated_without_time(bench: Bench) -> None:
    bench.provider.answers = [Dropped("x"), OK]
    with pytest.raises(PlatformFailed):
        await bench(deadline_in_ms=300)
    with pytest.raises(UpstreamTimeout):
        await bench(deadline_in_ms=100)


@pytest.mark.parametrize(
    ("trouble", "error"),
    [(TimedOut("x", may_have_left=True), UpstreamTimeout), (Unusable("x"), PlatformFailed)],
)
async def test_other_trouble_of_a_read_is_told_at_once(
    bench: Bench, trouble: Exception, error: type[Exception]
) -> None:
    bench.provider.answers = [trouble, OK]
    with pytest.raises(error):
        await bench()
    assert len(bench.provider.did) == 1


WRITE_TROUBLE = [
    (NotSent("x"), PlatformFailed),
    (Dropped("x"), OutcomeUnknown),
    (TimedOut("x", may_have_left=True), OutcomeUnknown),
    (TimedOut("x", may_have_left=False), UpstreamTimeout),
    (Unusable("x"), PlatformFailed),
    (UNAUTHORIZED, SyncLost),
]


@pytest.mark.parametrize(("trouble", "error"), WRITE_TROUBLE)
async def test_a_fenced_write_is_sent_once_whatever_happens(
    bench: Bench, trouble: UpstreamAnswer | Exception, error: type[RpcError]
) -> None:
    bench.provider.answers = [trouble, CREATED]
    call_id = uuid7()
    with pytest.raises(error):
        await bench("messages_send", call_id=call_id)
    # and a redelivery is told the same, without a second call
    with pytest.raises(RpcError) as again:
        await bench("messages_send", call_id=call_id)
    assert again.value.code == error.code
    assert len(bench.provider.did) == 1


async def test_the_fence_stands_before_the_first_byte_leaves(bench: Bench) -> None:
    bench.provider.before_answer = lambda: seen.append(dict(bench.calls.rows))
    seen: list[dict[uuid.UUID, Recorded | None]] = []
    call_id = uuid7()
    await bench("messages_send", call_id=call_id)
    assert seen == [{call_id: None}]
    assert bench.calls.rows[call_id] == Recorded(call_id, Outcome(status=200), b"{}")


async def test_a_redelivered_write_gets_the_recorded_answer(bench: Bench) -> None:
    bench.provider.answers = [CREATED]
    call_id = uuid7()
    first = await bench("messages_send", call_id=call_id)
    assert await bench("messages_send", call_id=call_id) == first
    assert len(bench.provider.did) == 1


async def test_a_redelivered_write_that_was_only_started_is_unknown(bench: Bench) -> None:
    call_id = uuid7()
    bench.calls.rows[call_id] = None
    with pytest.raises(OutcomeUnknown):
        await bench("messages_send", call_id=call_id)
    assert bench.provider.did == []


async def test_an_answer_whose_body_was_not_kept_is_unknown_to_a_redelivery(bench: Bench) -> None:
    call_id = uuid7()
    bench.calls.rows[call_id] = Recorded(call_id, Outcome(status=201), None)
    with pytest.raises(OutcomeUnknown):
        await bench("messages_send", call_id=call_id)


async def test_the_truth_is_told_even_if_it_cannot_be_written_down(bench: Bench) -> None:
    bench.calls.is_away_at_finish = Unavailable()
    bench.provider.answers = [CREATED]
    call_id = uuid7()
    assert (await bench("messages_send", call_id=call_id))[0].status == 201
    with pytest.raises(OutcomeUnknown):
        await bench("messages_send", call_id=call_id)


async def test_a_crash_in_the_middle_leaves_the_row_started(bench: Bench) -> None:
    bench.provider.answers = [RuntimeError("killed")]
    call_id = uuid7()
    with pytest.raises(RuntimeError):
        await bench("messages_send", call_id=call_id)
    assert bench.calls.rows == {call_id: None}


async def test_reads_leave_no_row(bench: Bench) -> None:
    await bench()
    assert bench.calls.rows == {}


@pytest.mark.parametrize("route", ["chats_list", "messages_send"])
async def test_a_call_that_comes_too_fast_is_refused_before_anything_is_sent_or_fenced(
    bench: Bench, route: str
) -> None:
    bench.pace.refusal = Paced(retry_after_s=7)
    with pytest.raises(Paced) as refused:
        await bench(route)
    assert (refused.value.code, refused.value.retry_after_s) == ("UNAVAILABLE", 7)
    assert (bench.provider.did, bench.calls.rows) == ([], {})


async def test_a_turn_is_waited_for_only_while_the_platform_keeps_its_time(bench: Bench) -> None:
    await bench(deadline_in_ms=5_000)
    assert bench.pace.patience == [5_000 - ANSWER_MARGIN_MS - PACE_FLOOR_MS]


async def test_each_repeat_takes_a_turn_of_its_own(bench: Bench) -> None:
    bench.provider.answers = [UNAUTHORIZED, OK]
    await bench()
    assert len(bench.pace.patience) == 2


async def test_a_platform_that_asks_for_a_pause_gets_it(bench: Bench) -> None:
    bench.provider.answers = [UpstreamAnswer(status=429, body=b"{}", retry_after_s=9)]
    await bench()
    assert bench.pace.held_off == [9]


HELD_UP: dict[str, dict[str, Any]] = {
    "no such model any more": {"model_id": uuid7()},
    "another account": {"account": "1002"},
    "a query that may not be sent": {"query": "a b"},
}


@pytest.mark.parametrize("reason", HELD_UP)
async def test_a_redelivered_write_is_answered_by_its_fence_whatever_holds_it_up_now(bench: Bench, reason: str) -> None:
    bench.provider.answers = [CREATED]
    call_id, unknown = uuid7(), uuid7()
    first = await bench("messages_send", call_id=call_id)
    bench.calls.rows[unknown] = None
    assert await bench("messages_send", call_id=call_id, **HELD_UP[reason]) == first
    with pytest.raises(OutcomeUnknown):
        await bench("messages_send", call_id=unknown, **HELD_UP[reason])
    assert len(bench.provider.did) == 1


async def test_a_redelivered_write_that_is_refused_its_turn_is_answered_by_its_fence(bench: Bench) -> None:
    bench.provider.answers = [CREATED]
    call_id = uuid7()
    first = await bench("messages_send", call_id=call_id)
    bench.pace.refusal = Paced(retry_after_s=7)
    assert await bench("messages_send", call_id=call_id) == first


@pytest.mark.parametrize("state", STATES, ids=list(STATES))
async def test_a_write_to_a_model_that_is_not_callable_may_be_sent_later_under_its_id(state: State) -> None:
    bench = Bench(a_store(a_model(state)))
    call_id = uuid7()
    with pytest.raises(STATES[state]):
        await bench("messages_send", call_id=call_id)
    assert bench.calls.rows == {}


async def test_a_write_whose_session_ended_is_424_also_where_the_session_cannot_be_renewed() -> None:
    bench = Bench(renewal=Unavailable())
    bench.provider.answers = [UNAUTHORIZED]
    call_id = uuid7()
    for _ in range(2):
        with pytest.raises((SyncLost, RpcError)) as refused:
            await bench("messages_send", call_id=call_id)
        assert refused.value.code == "SYNC_LOST"
    assert len(bench.provider.did) == 1


@pytest.mark.parametrize("model_id", [None, uuid7()], ids=["a callable model", "no such model any more"])
async def test_a_fence_that_cannot_be_asked_makes_a_redelivered_write_unknown_and_a_fresh_one_unavailable(
    bench: Bench, model_id: uuid.UUID | None
) -> None:
    bench.calls.is_away = Unavailable()
    which: dict[str, Any] = {} if model_id is None else {"model_id": model_id}
    with pytest.raises(Unavailable):
        await bench("messages_send", **which)
    with pytest.raises(OutcomeUnknown):
        await bench("messages_send", is_redelivered=True, **which)
    assert bench.provider.did == []

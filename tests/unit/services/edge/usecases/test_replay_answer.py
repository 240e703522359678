"""A request under an idempotency key: carried out once, answered as often as asked, and never guessed about."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from libs.common.contracts.catalogue import RetryClass
from libs.common.errors import Refused, Unconfirmed
from libs.common.ids import uuid7
from services.edge.domain.catalogue import Route
from services.edge.domain.idempotency import Asking, Kept
from services.edge.domain.own import own_routes
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.usecases.admit import Admit
from services.edge.usecases.proxy_call import Call
from services.edge.usecases.replay_answer import ReplayAnswer
from tests.support.edge import ManualClock, a_credential, a_principal, a_route
from tests.support.idempotency import CLAIM_MS, KEPT_MS, RememberedAnswers, an_asking
from tests.unit.services.edge.usecases.test_proxy_call import Lease, NoPrincipals

SEND = a_route(name="messages_send", method="POST", retry=RetryClass.NEVER, call="messages_send", cost_credits=2)
CREATE_KEY = next(route for route in own_routes() if route.name == "keys_create")
RENAME = next(route for route in own_routes() if route.name == "models_update")
SENT = Kept(201, b'{"data":1}')
ORG = uuid7()


@dataclass
class Bench:
    """One organization's key, asked for again and again."""

    outcome: Kept | BaseException = SENT
    has_left: bool = True
    route: Route = SEND
    clock: ManualClock = field(default_factory=ManualClock)
    lease: Lease = field(default_factory=Lease)
    tries: list[Call] = field(default_factory=list)  # those that were carried out
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answers = RememberedAnswers(self.clock)
        admit = Admit(admission=self.lease, local=self.lease, principals=NoPrincipals(), clock=self.clock)
        self.replay_answer = ReplayAnswer(admit=admit, answers=self.answers)

    async def __call__(self, **asking: Any) -> Kept | BaseException:
        call = Call(uuid7(), self.route, a_credential(), a_principal(org_id=ORG))
        self.calls.append(call)

        async def read(_: Call) -> Asking:
            assert call.reserved is not None, "nothing is read before it is admitted"
            return an_asking(ORG, **asking)

        async def answer() -> Kept:
            self.tries.append(call)
            call.has_left = self.has_left
            if isinstance(self.outcome, BaseException):
                raise self.outcome
            return self.outcome

        try:
            return await self.replay_answer(call, read, answer)
        except BaseException as exc:
            return exc


def refused(answer: Kept | BaseException) -> str:
    assert isinstance(answer, Refusal)
    return answer.code


async def test_a_repeat_gets_the_answer_and_nothing_is_done_again() -> None:
    bench = Bench()
    assert [await bench() for _ in range(3)] == [SENT] * 3
    assert len(bench.tries) == 1
    assert [call.is_replayed for call in bench.calls] == [False, True, True]


async def test_the_windows_count_each_try_and_credits_are_asked_for_by_the_first_only() -> None:
    bench = Bench()
    await bench()
    await bench()
    assert bench.lease.left == 10, "claimed at no cost; the price is the proxied call's own admission"
    assert not bench.tries[0].is_counted, "which counts no second time"


async def test_another_request_under_the_key_is_a_422() -> None:
    bench = Bench()
    await bench()
    assert refused(await bench(body=b"other")) == "IDEMPOTENCY_KEY_REUSED"
    assert len(bench.tries) == 1


async def test_a_definite_refusal_is_told_again() -> None:
    bench = Bench(Refusal("UPSTREAM_REJECTED", "text: too long"))
    for number in range(2):
        answer = await bench()
        assert isinstance(answer, Refusal)
        assert (answer.code, answer.public, answer.status) == ("UPSTREAM_REJECTED", "text: too long", 400)
        assert bench.calls[-1].is_replayed is bool(number)
    assert len(bench.tries) == 1


async def test_the_status_of_a_kept_refusal_is_kept_too() -> None:
    bench = Bench(Refusal("UPSTREAM_REJECTED", "already there", status=409))
    await bench()
    answer = await bench()
    assert isinstance(answer, Refusal)
    assert answer.status == 409


@pytest.mark.parametrize("code", ["INSUFFICIENT_CREDITS", "RATE_LIMIT_EXCEEDED", "UNAVAILABLE", "PERMISSION_DENIED"])
async def test_what_never_left_frees_the_key(code: str) -> None:
    bench = Bench(Refusal(code), has_left=False)
    await bench()
    bench.outcome = SENT
    assert await bench(body=b"other") == SENT


async def test_a_lost_session_frees_the_key_under_a_new_call_id() -> None:
    bench = Bench(Refusal("SYNC_LOST"))
    await bench()
    bench.outcome = SENT
    assert await bench() == SENT
    assert bench.tries[0].id != bench.tries[1].id


@pytest.mark.parametrize("error", [Refusal("UNAVAILABLE"), Refused()])
async def test_what_may_have_been_done_goes_on_at_once_under_the_same_call_id(error: Exception) -> None:
    bench = Bench(error)
    await bench()
    bench.outcome = SENT
    assert refused(await bench(body=b"other")) == "IDEMPOTENCY_KEY_REUSED"
    assert await bench() == SENT
    assert bench.tries[0].id == bench.tries[1].id
    assert await bench() == SENT
    assert len(bench.tries) == 2


async def test_a_second_holder_that_is_refused_keeps_the_first_ones_call_id() -> None:
    bench = Bench(Refusal("UNAVAILABLE"))
    await bench()
    bench.outcome, bench.has_left = Refusal("INSUFFICIENT_CREDITS"), False
    assert refused(await bench()) == "INSUFFICIENT_CREDITS"
    bench.outcome = SENT
    assert await bench() == SENT
    assert len({call.id for call in bench.tries}) == 1


async def test_an_answer_whose_debit_is_voided_is_given_and_paid_at_the_next_try() -> None:
    bench = Bench()
    first = Call(uuid7(), SEND, a_credential(), a_principal(org_id=ORG))

    async def read(_: Call) -> Asking:
        return an_asking(ORG)

    async def answer() -> Kept:
        first.upstream = Upstream(201, b"{}")
        raise Unconfirmed

    with pytest.raises(Unconfirmed):
        await bench.replay_answer(first, read, answer)
    assert await bench() == SENT
    (second,) = bench.tries
    assert second.id == first.id, "its fence decides"
    assert second.debit_id not in {None, first.debit_id}
    assert second.earlier_debits == (first.debit_id,)


async def test_whoever_may_have_paid_is_undone_however_often_the_request_was_refused_since() -> None:
    bench = Bench(RuntimeError("killed, and paid"))
    await bench()
    bench.clock.advance(CLAIM_MS)
    bench.outcome = Refused()
    for _ in range(300):
        await bench()
    first, *again = bench.tries
    assert (first.debit_id, first.earlier_debits) == (first.id, ())
    assert {call.debit_id for call in again} == {again[0].debit_id}, "none of them paid"
    assert {call.earlier_debits for call in again} == {(first.id,)}


@pytest.mark.parametrize("error", [RuntimeError("a defect"), Refusal("INTERNAL_ERROR"), asyncio.CancelledError()])
async def test_whoever_ends_half_way_holds_the_key_until_the_claim_has_run_out(error: BaseException) -> None:
    bench = Bench(error)
    await bench()
    bench.outcome = SENT
    assert refused(await bench()) == "IDEMPOTENCY_IN_PROGRESS"
    bench.clock.advance(CLAIM_MS)
    assert await bench() == SENT
    assert bench.tries[0].id == bench.tries[1].id, "its fence and its debit decide"


async def test_a_change_without_a_fence_is_unknown_to_whoever_takes_it_over() -> None:
    bench = Bench(RuntimeError("killed"), route=CREATE_KEY)
    await bench()
    bench.clock.advance(CLAIM_MS)
    bench.outcome = SENT
    assert [refused(await bench()) for _ in range(2)] == ["OUTCOME_UNKNOWN"] * 2
    assert [call.is_replayed for call in bench.calls] == [False, False, True]
    assert len(bench.tries) == 1


async def test_a_change_that_may_be_repeated_is_taken_over() -> None:
    bench = Bench(RuntimeError("killed"), route=RENAME)
    await bench()
    bench.clock.advance(CLAIM_MS)
    bench.outcome = SENT
    assert await bench() == SENT


async def test_a_key_is_forgotten_after_a_day() -> None:
    bench = Bench()
    await bench()
    bench.clock.advance(KEPT_MS - 1)
    assert await bench() == SENT
    assert len(bench.tries) == 1
    bench.clock.advance(1)
    assert await bench(body=b"other") == SENT
    assert len(bench.tries) == 2


async def test_nothing_is_begun_while_keys_cannot_be_claimed() -> None:
    bench = Bench()
    bench.answers.is_away = True
    assert refused(await bench()) == "UNAVAILABLE"
    assert bench.tries == []


async def test_what_the_headers_have_earned_is_told_before_anything_is_read_or_claimed() -> None:
    bench = Bench()
    call = Call(uuid7(), SEND, a_credential(), a_principal(org_id=ORG), refusal=Refusal("UNSUPPORTED_VERSION"))

    async def never(*_: object) -> Any:
        raise AssertionError

    with pytest.raises(Refusal) as told:
        await bench.replay_answer(call, never, never)
    assert told.value.code == "UNSUPPORTED_VERSION"
    assert bench.answers.rows == {}

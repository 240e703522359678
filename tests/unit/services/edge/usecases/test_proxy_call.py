"""The money rule of the edge on one page: a 2xx is paid, everything else is free, and what may be paid is not given back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from libs.common.contracts.auth import Principal
from libs.common.contracts.catalogue import RetryClass
from libs.common.contracts.edge import Usage
from libs.common.contracts.sessions import Proxy
from libs.common.errors import Refused, Unconfirmed
from libs.common.ids import uuid7
from services.edge.domain.catalogue import Route
from services.edge.domain.ports import AdmissionAway, Reserved
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.domain.windows import Counters, Limits, Windows
from services.edge.usecases.admit import Admit
from services.edge.usecases.proxy_call import Call, ProxyCall, Request
from tests.support.edge import ManualClock, a_credential, a_principal, a_route

WINDOWS = Windows(Limits(10, 10, 0), Counters(0, 1, 0, 1, 0))
MODEL = uuid7()


class Lease:
    """The `Admission` port: a counter of ten credits."""

    def __init__(self) -> None:
        self.left, self.releases = 10, 0

    async def reserve(self, caller: Principal, route: Route, *, cost: int, is_counted: bool = True) -> Reserved:
        self.left -= cost
        return Reserved(caller.org_id, cost, self.left, WINDOWS, uuid7() if cost else None)

    async def release(self, reserved: Reserved) -> None:
        self.left += reserved.cost
        self.releases += 1

    async def raise_version(self, org_id: UUID, av: int) -> int:
        raise AdmissionAway


@dataclass
class Platform:
    """The `Sessions` port: answers or raises `outcome`."""

    outcome: Upstream | Exception
    asked: list[tuple[Proxy, bytes, int, bool]] = field(default_factory=list)

    async def proxy(self, call: Proxy, body: bytes, *, deadline_ms: int, may_repeat: bool) -> Upstream:
        self.asked.append((call, body, deadline_ms, may_repeat))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@dataclass
class Log:
    """The `UsageLog` port."""

    outcome: BaseException | None = None
    records: list[tuple[Usage, int]] = field(default_factory=list)
    void_outcome: BaseException | None = None
    voids: list[tuple[UUID, tuple[UUID, ...]]] = field(default_factory=list)

    async def void(self, org_id: UUID, ids: Sequence[UUID]) -> None:
        assert not self.records, "before anything is paid anew"
        self.voids.append((org_id, tuple(ids)))
        if self.void_outcome is not None:
            raise self.void_outcome

    async def record(self, usage: Usage, *, fence_at_ms: int) -> None:
        self.records.append((usage, fence_at_ms))
        if self.outcome is not None:
            raise self.outcome


class NoPrincipals:
    """The `Principals` port, never asked here."""

    async def resolve(self, *_: Any, **__: Any) -> None:
        raise AssertionError

    async def resolve_anew(self, *_: Any) -> None:
        raise AssertionError

    def known(self, *_: Any) -> None:
        raise AssertionError

    def was_good(self, *_: Any) -> bool:
        raise AssertionError


@dataclass
class Outcome:
    """What one call left behind."""

    answer: Upstream | BaseException
    lease: Lease
    platform: Platform
    log: Log
    call: Call


async def call(
    outcome: Upstream | Exception = Upstream(200, b"{}"),  # noqa: B008 - frozen
    *,
    recorded: BaseException | None = None,
    route: Route | None = None,
    caller: Principal | None = None,
    refused_body: Refusal | None = None,
    voided: BaseException | None = None,
    **earlier: Any,
) -> Outcome:
    clock, lease, platform, log = ManualClock(), Lease(), Platform(outcome), Log(recorded, void_outcome=voided)
    admit = Admit(admission=lease, local=lease, principals=NoPrincipals(), clock=clock)
    do = ProxyCall(admit=admit, sessions=platform, usage=log, clock=clock, upstream_timeout_ms=30_000, fence_ms=40_000)
    one = Call(uuid7(), route or a_route(cost_credits=2), a_credential(), caller or a_principal(), **earlier)

    async def read(_: Call) -> Request:
        if refused_body is not None:
            raise refused_body
        return Request(MODEL, {"fan_id": "1"}, "a=b", "application/json", b"body")

    answer: Upstream | BaseException
    try:
        answer = await do(one, read)
    except BaseException as exc:
        answer = exc
    return Outcome(answer, lease, platform, log, one)


async def test_a_2xx_is_recorded_once_and_its_credits_stay_spent() -> None:
    done = await call(Upstream(201, b"{}"))
    assert isinstance(done.answer, Upstream)
    assert (done.lease.left, done.lease.releases) == (8, 0)
    ((usage, fence_at_ms),) = done.log.records
    assert (usage.id, usage.cost, usage.model_id, usage.route) == (done.call.id, 2, MODEL, "chats_list")
    assert done.call.reserved is not None
    assert usage.lease_id == done.call.reserved.lease_id
    assert fence_at_ms == ManualClock().stopwatch_ms() + 40_000


@pytest.mark.parametrize("status", [199, 300, 302, 400, 401, 402, 404, 409, 429, 500, 503])
async def test_any_other_status_is_free(status: int) -> None:
    done = await call(Upstream(status, b"{}"))
    assert isinstance(done.answer, Upstream)
    assert (done.lease.left, done.lease.releases, done.log.records) == (10, 1, [])


@pytest.mark.parametrize(
    "error",
    [Refusal("MODEL_NOT_FOUND"), Refusal("SYNC_LOST"), Refusal("OUTCOME_UNKNOWN"), Refused(), RuntimeError("bug")],
)
async def test_an_error_of_sessions_is_free(error: Exception) -> None:
    done = await call(error)
    assert done.answer is error
    assert (done.lease.left, done.lease.releases, done.log.records) == (10, 1, [])


async def test_a_refused_record_is_free_for_certain() -> None:
    done = await call(recorded=Refused())
    assert isinstance(done.answer, Refused)
    assert (done.lease.left, done.lease.releases) == (10, 1)


@pytest.mark.parametrize("error", [Unconfirmed(), RuntimeError("bug"), asyncio.CancelledError()])
async def test_a_record_of_unknown_fate_is_never_given_back(error: BaseException) -> None:
    done = await call(recorded=error)
    assert done.answer is error
    assert (done.lease.left, done.lease.releases) == (8, 0)


async def test_debits_of_earlier_tries_are_undone_before_this_one_pays_under_its_own_id() -> None:
    debit_id, earlier = uuid7(), (uuid7(), uuid7())
    done = await call(debit_id=debit_id, earlier_debits=earlier)
    assert isinstance(done.answer, Upstream)
    assert done.log.voids == [(done.call.caller.org_id, earlier)]
    ((usage, _),) = done.log.records
    assert usage.id == debit_id


@pytest.mark.parametrize("error", [Refused(), Unconfirmed()])
async def test_what_cannot_be_undone_certainly_is_not_paid_anew(error: Exception) -> None:
    done = await call(debit_id=uuid7(), earlier_debits=(uuid7(),), voided=error)
    assert isinstance(done.answer, Refused)
    assert (done.lease.left, done.lease.releases, done.log.records) == (10, 1, [])


async def test_nothing_is_undone_for_an_answer_that_is_free() -> None:
    done = await call(Upstream(404, b"{}"), debit_id=uuid7(), earlier_debits=(uuid7(),))
    assert done.log.voids == []


async def test_a_refused_request_reaches_no_platform_and_is_free() -> None:
    done = await call(refused_body=Refusal("BODY_TOO_LARGE"))
    assert isinstance(done.answer, Refusal)
    assert (done.lease.left, done.platform.asked) == (10, [])


async def test_a_key_bound_to_another_model_finds_none() -> None:
    done = await call(caller=a_principal(model_id=uuid7()))
    assert isinstance(done.answer, Refusal)
    assert (done.answer.code, done.lease.left, done.platform.asked) == ("MODEL_NOT_FOUND", 10, [])
    assert isinstance((await call(caller=a_principal(model_id=MODEL))).answer, Upstream)


async def test_a_call_without_a_price_leaves_no_record() -> None:
    done = await call(route=a_route(cost_credits=0))
    assert isinstance(done.answer, Upstream)
    assert done.log.records == []


async def test_what_sessions_is_asked() -> None:
    done = await call(route=a_route(retry=RetryClass.NEVER), caller=a_principal(kind="sandbox"))
    ((asked, body, deadline_ms, may_repeat),) = done.platform.asked
    assert (asked.call_id, asked.model_id, asked.route, asked.query) == (done.call.id, MODEL, "chats_list", "a=b")
    assert asked.sandbox_only
    assert (body, may_repeat) == (b"body", False)
    assert deadline_ms == ManualClock().now_ms() + 30_000


async def test_rights_are_refused_at_no_price() -> None:
    done = await call(caller=a_principal(permissions=frozenset()))
    assert isinstance(done.answer, Refusal)
    assert (done.answer.code, done.lease.left) == ("PERMISSION_DENIED", 10)
    assert done.answer.windows is WINDOWS

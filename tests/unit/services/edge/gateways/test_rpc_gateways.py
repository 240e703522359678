"""Errors of other services become refusals: the table of requirements 3.2, one gateway after the other."""

from typing import Any
from uuid import UUID

import pytest

from libs.common.contracts.billing import LeaseOpened
from libs.common.contracts.envelope import Message
from libs.common.contracts.sessions import Proxied, Proxy
from libs.common.errors import DeadlinePassed, Refused, RpcError
from libs.common.ids import uuid7
from services.edge.domain.ports import CreditsInUse
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.gateways.auth import AuthDirectory
from services.edge.gateways.billing import BillingLeases
from services.edge.gateways.sessions import SessionsOverBus
from tests.support.edge import ManualClock, a_principal

CLOCK = ManualClock()


class Rpc:
    """Answers or raises `outcome`."""

    def __init__(self, outcome: tuple[Message, bytes] | Exception) -> None:
        self.outcome, self.calls = outcome, list[dict[str, Any]]()

    async def call(
        self, request: Message, *, org_id: UUID | None, deadline_ms: int, blob: bytes = b"", traceparent: str = ""
    ) -> tuple[Message, bytes]:
        self.calls.append({"request": request, "org_id": org_id, "deadline_ms": deadline_ms, "blob": blob})
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def proxied(outcome: tuple[Message, bytes] | Exception, *, may_repeat: bool = True) -> Upstream | Refusal:
    call = Proxy(call_id=uuid7(), org_id=uuid7(), model_id=uuid7(), route="chats_list")
    try:
        return await SessionsOverBus(Rpc(outcome)).proxy(call, b"", deadline_ms=1, may_repeat=may_repeat)
    except Refusal as refusal:
        return refusal


@pytest.mark.parametrize(
    ("error", "may_repeat", "code", "status"),
    [
        (RpcError("MODEL_NOT_FOUND", "Model not found"), True, "MODEL_NOT_FOUND", 404),
        (RpcError("ROUTE_NOT_SUPPORTED"), True, "ROUTE_NOT_SUPPORTED", 404),
        (RpcError("SYNC_LOST"), True, "SYNC_LOST", 424),
        (RpcError("MODEL_NOT_CONNECTED", state="awaiting_2fa"), True, "MODEL_NOT_CONNECTED", 424),
        (RpcError("OF_API_ERROR"), True, "OF_API_ERROR", 502),
        (RpcError("UPSTREAM_TIMEOUT"), True, "UPSTREAM_TIMEOUT", 504),
        (RpcError("OUTCOME_UNKNOWN"), False, "OUTCOME_UNKNOWN", 504),
        (RpcError("UNAVAILABLE"), False, "UNAVAILABLE", 503),
        (RpcError("INTERNAL_ERROR"), True, "UNAVAILABLE", 503),
        (RpcError("INTERNAL_ERROR"), False, "OUTCOME_UNKNOWN", 504),
        (RpcError("A_CODE_OF_TOMORROW"), True, "UNAVAILABLE", 503),
        (DeadlinePassed(), True, "UPSTREAM_TIMEOUT", 504),
        (DeadlinePassed(), False, "OUTCOME_UNKNOWN", 504),
        (Refused(), True, "UNAVAILABLE", 503),
        (Refused(), False, "UNAVAILABLE", 503),
    ],
)
async def test_sessions(error: Exception, may_repeat: bool, code: str, status: int) -> None:
    refusal = await proxied(error, may_repeat=may_repeat)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.status) == (code, status)
    assert refusal.public


async def test_a_platforms_answer_comes_through() -> None:
    answer = await proxied((Proxied(status=429, retry_after_s=9, upstream_ms=5), b"body"))
    assert answer == Upstream(429, b"body", 9, 5)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (RpcError("INSUFFICIENT_CREDITS", required=2, balance=1), "INSUFFICIENT_CREDITS", 402),
        (RpcError("NO_SUBSCRIPTION"), "NO_SUBSCRIPTION", 402),
        (RpcError("SUBSCRIPTION_PAST_DUE"), "SUBSCRIPTION_PAST_DUE", 402),
        (RpcError("LEASE_STORE_MISMATCH"), "UNAVAILABLE", 503),
        (RpcError("INTERNAL_ERROR"), "UNAVAILABLE", 503),
        (DeadlinePassed(), "UNAVAILABLE", 503),
        (Refused(), "UNAVAILABLE", 503),
    ],
)
async def test_billing_says_402_and_its_silence_is_a_503(error: Exception, code: str, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        await BillingLeases(Rpc(error), CLOCK).open_lease(uuid7(), holder="redis", ref="x", cost=2)
    assert (caught.value.code, caught.value.status) == (code, status)


async def test_billing_credits_in_use_and_grants() -> None:
    with pytest.raises(CreditsInUse):
        await BillingLeases(Rpc(RpcError("CREDITS_IN_USE")), CLOCK).open_lease(uuid7(), holder="redis", ref="x", cost=2)
    opened = LeaseOpened(lease_id=uuid7(), granted=5, rest=1)
    rpc = Rpc((opened, b""))
    assert await BillingLeases(rpc, CLOCK).open_lease(uuid7(), holder="redis", ref="x", cost=2) is opened
    assert rpc.calls[0]["deadline_ms"] == CLOCK.now_ms() + 800


async def test_auth_knows_knows_not_or_cannot_say() -> None:
    digests, principal = (("p", "0" * 64),), a_principal()
    assert await AuthDirectory(Rpc((principal, b"")), CLOCK).find(digests) is principal
    assert await AuthDirectory(Rpc(RpcError("INVALID_API_KEY")), CLOCK).find(digests) is None
    for error in (RpcError("INTERNAL_ERROR"), DeadlinePassed(), Refused()):
        with pytest.raises(Refusal) as caught:
            await AuthDirectory(Rpc(error), CLOCK).find(digests)
        assert caught.value.code == "UNAVAILABLE"

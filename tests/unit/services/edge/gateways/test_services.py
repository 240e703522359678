"""What becomes of another service's answer to an own route's rpc."""

from uuid import UUID

import pytest

from libs.common.contracts.auth import ListRoles, Roles
from libs.common.contracts.envelope import Message
from libs.common.errors import DeadlinePassed, Refused, RpcError
from libs.common.ids import uuid7
from services.edge.domain.refusal import Refusal
from services.edge.gateways.services import ServicesOverBus

ORG = uuid7()


class Bus:
    def __init__(self, outcome: Message | Exception) -> None:
        self.outcome = outcome

    async def call(
        self, request: Message, *, org_id: UUID | None, deadline_ms: int, blob: bytes = b"", traceparent: str = ""
    ) -> tuple[Message, bytes]:
        assert (org_id, deadline_ms) == (ORG, 9)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome, b""


async def ask(outcome: Message | Exception, *, may_repeat: bool = True) -> Message:
    return await ServicesOverBus(Bus(outcome)).ask(
        ListRoles(org_id=ORG), org_id=ORG, deadline_ms=9, may_repeat=may_repeat
    )


async def test_a_reply_comes_through() -> None:
    assert await ask(Roles(roles=())) == Roles(roles=())


@pytest.mark.parametrize(
    ("error", "may_repeat", "code", "status"),
    [
        (RpcError("NOT_FOUND", "Role not found"), True, "NOT_FOUND", 404),
        (RpcError("CONFLICT", "The role is in use"), True, "CONFLICT", 409),
        (RpcError("INVALID_REQUEST", "No"), False, "INVALID_REQUEST", 400),
        (RpcError("PERMISSION_DENIED", "No"), False, "PERMISSION_DENIED", 403),
        (RpcError("INSUFFICIENT_CREDITS", "No", required=2, balance=1), True, "INSUFFICIENT_CREDITS", 402),
        (RpcError("UNAVAILABLE", "Later", retry_after_s=7), True, "UNAVAILABLE", 503),
        (RpcError("INTERNAL_ERROR", "Something went wrong"), True, "INTERNAL_ERROR", 500),
        (RpcError("A_CODE_OF_TOMORROW", "secret words"), True, "INTERNAL_ERROR", 500),
        (DeadlinePassed(), True, "UPSTREAM_TIMEOUT", 504),
        (DeadlinePassed(), False, "OUTCOME_UNKNOWN", 504),
        (Refused(retry_after_s=2), False, "UNAVAILABLE", 503),
    ],
)
async def test_errors_become_refusals(error: Exception, may_repeat: bool, code: str, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        await ask(error, may_repeat=may_repeat)
    assert (caught.value.code, caught.value.status) == (code, status)
    assert "secret" not in caught.value.public
    assert "platform" not in caught.value.public
    if isinstance(error, RpcError) and error.code == code:
        assert caught.value.public == error.public
    if status == 503:
        assert caught.value.retry_after_s == (7 if isinstance(error, RpcError) else 2)

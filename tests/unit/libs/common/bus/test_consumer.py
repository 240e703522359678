"""Declaring consumers, and the checks before a handler."""

import uuid
from typing import Any

import msgspec
import pytest

from libs.common.bus import batch, events, jobs, rpc
from libs.common.bus.channels import NO_RECEIPT
from libs.common.bus.consumer import Rejected, known_type, open_delivery
from libs.common.bus.transport import Delivery
from libs.common.contracts import billing, edge, sessions
from libs.common.contracts.envelope import Context
from libs.common.contracts.registry import REGISTRY


async def handler(message: Any, context: Context) -> None: ...


async def other(message: Any, context: Context) -> None: ...


async def batch_handler(items: list[tuple[Any, Context]]) -> None: ...


async def other_batch_handler(items: list[tuple[Any, Context]]) -> None: ...


def test_a_consumer_knows_its_handlers_by_type() -> None:
    consumer = (
        jobs("sessions.jobs", prefetch=8, workers=4).on(sessions.ConnectModel, handler).on(sessions.RefreshModel, other)
    )
    assert consumer.handlers == {"sessions.job.connect.v1": handler, "sessions.job.refresh.v1": other}


def test_a_batch_holds_two_batches_in_hand() -> None:
    assert batch("billing.ledger.0", size=500, wait_s=0.02).prefetch == 1_000


def test_what_makes_no_sense_is_refused_at_wiring_time() -> None:
    with pytest.raises(ValueError, match="handler already"):
        events("auth.events").on(sessions.ModelSyncLost, handler).on(sessions.ModelSyncLost, other)
    with pytest.raises(ValueError, match="kind rpc"):
        jobs("billing.jobs", prefetch=1, workers=1).on(billing.GetBalance, handler)
    with pytest.raises(ValueError, match="kind job"):
        rpc("billing.rpc").on(billing.CloseLease, handler)
    with pytest.raises(ValueError, match="one handler"):
        batch("q", size=1, wait_s=0).on(edge.UsageVoided, batch_handler).on(edge.UsageRecorded, other_batch_handler)
    with pytest.raises(ValueError, match="then the handler"):
        jobs("q", prefetch=1, workers=1).on(handler)
    with pytest.raises(ValueError, match="then the handler"):
        jobs("q", prefetch=1, workers=1).on(sessions.ConnectModel, sessions.RefreshModel)
    with pytest.raises(TypeError, match="is not a message type"):
        jobs("q", prefetch=1, workers=1).on(handler, other)
    with pytest.raises(KeyError):
        rpc("billing.rpc").on(billing.Balance, handler)


def a_delivery(**changes: Any) -> Delivery:
    body = msgspec.json.encode(sessions.ConnectModel(org_id=uuid.UUID(int=1), model_id=uuid.UUID(int=2)))
    delivery = Delivery(
        queue="sessions.jobs", type="sessions.job.connect.v1", message_id=str(uuid.UUID(int=3)), user="sessions", headers={},
        body=body, receipt=NO_RECEIPT,
    )  # fmt: skip
    return msgspec.structs.replace(delivery, **changes)


@pytest.mark.parametrize("user", ["sessions", "operator"])
def test_the_owner_of_the_queue_and_the_operator_may_send_anything_again(user: str) -> None:
    consumer = jobs("sessions.jobs", prefetch=1, workers=1).on(sessions.ConnectModel, handler)
    assert known_type(a_delivery(user=user), consumer, "sessions").struct is sessions.ConnectModel


@pytest.mark.parametrize("user", ["edge", "auth", "", "SESSIONS"])
def test_a_sender_outside_the_registry_is_rejected_before_the_decode(user: str) -> None:
    consumer = jobs("sessions.jobs", prefetch=1, workers=1).on(sessions.ConnectModel, handler)
    with pytest.raises(Rejected, match="forged_sender"):
        known_type(a_delivery(user=user, body=b"garbage"), consumer, "sessions")


def test_a_blob_has_its_struct_in_a_header() -> None:
    entry = REGISTRY.of(sessions.ConnectModel)
    given = a_delivery()
    blob = a_delivery(body=b"\xff", headers={"struct": given.body.decode(), "attempt": 3})
    message, context = open_delivery(blob, entry)
    assert message == sessions.ConnectModel(org_id=uuid.UUID(int=1), model_id=uuid.UUID(int=2))
    assert (context.blob, context.attempt) == (b"\xff", 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b""}, {"body": b"[]"}, {"message_id": ""}, {"headers": {"org": 5}}, {"headers": {"cause": "x"}},
        {"headers": {"attempt": True}}, {"headers": {"traceparent": 1}}, {"headers": {"struct": b"\xff"}},
    ],
)  # fmt: skip
def test_malformed_envelopes_are_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="malformed"):
        open_delivery(a_delivery(**changes), REGISTRY.of(sessions.ConnectModel))

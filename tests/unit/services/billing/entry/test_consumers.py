"""The queues of billing, and how a batch becomes transactions."""

import uuid
from typing import Any, cast

from libs.common.bus.topology import QUEUES
from libs.common.contracts.edge import Usage, UsageRecorded, UsageVoided
from libs.common.contracts.envelope import Context, Message
from services.billing.domain.ledger import Code, PostError, Waiver
from services.billing.domain.posting import Posted
from services.billing.entry.consumers import RECORDS_MAX, Handlers, consumers
from services.billing.entry.metrics import count_posted

ORG = uuid.UUID(int=1)


class Appended:
    """Remembers the batches it was given."""

    def __init__(self) -> None:
        self.batches: list[list[Message]] = []

    async def __call__(self, messages: list[Message]) -> Posted:
        self.batches.append(messages)
        return Posted()


def handlers(append: Any) -> Handlers:
    nobody = cast("Any", None)
    return Handlers(
        open_slab=nobody, open_batch=nobody, close_batch=nobody, append=append, change_plan=nobody,
        cancel_subscription=nobody, books=nobody, reads=nobody, clock=nobody,
    )  # fmt: skip


def recorded(number: int) -> UsageRecorded:
    usage = Usage(id=ORG, org_id=ORG, lease_id=ORG, cost=1, key_id=ORG, model_id=ORG, route="r")
    return UsageRecorded(records=(usage,) * number)


def context() -> Context:
    return Context(message_id=ORG, type="t", sender="edge")


def test_every_queue_of_billing_is_consumed() -> None:
    mine = {queue.name for queue in QUEUES if queue.name.startswith("billing.")}

    assert {consumer.queue for consumer in consumers(handlers(Appended()))} == mine


async def test_a_large_batch_is_split_in_order_so_that_no_transaction_is_too_large() -> None:
    append = Appended()
    void = UsageVoided(org_id=ORG, ids=(ORG,))
    messages = [recorded(256), recorded(256), recorded(256), void, recorded(256), recorded(1), void]

    await handlers(append).ledger([(message, context()) for message in messages])

    assert [message for batch in append.batches for message in batch] == messages
    assert [len(batch) for batch in append.batches] == [4, 3]
    sizes = [sum(len(one.records) for one in batch if isinstance(one, UsageRecorded)) for batch in append.batches]
    assert max(sizes) <= RECORDS_MAX


def test_everything_that_can_happen_to_a_batch_has_a_metric() -> None:
    count_posted(
        Posted(
            credits=dict.fromkeys(Code, 1), rows=1, waived=[(waiver, 1) for waiver in Waiver], refused=list(PostError),
            duplicates=1, dropped=1, voided_early=1, voided_late=1, finished=1, lag_ms_max=5,
        ),
        seconds=0.1,
    )  # fmt: skip

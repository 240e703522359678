"""Messages that `takedowns` owns. So far: the money of batches."""

import uuid

from libs.common.contracts.envelope import Message


class BatchDebited(Message, frozen=True, kw_only=True):
    """A batch was accepted: `amount` new URLs are paid from the lease of the same id. Amount 0 only closes the lease."""

    org_id: uuid.UUID
    batch_id: uuid.UUID  # also the lease's and the debit's id
    amount: int
    key_id: uuid.UUID | None = None
    memo: str = ""


class BatchRefunded(Message, frozen=True, kw_only=True):
    """Processing failed for `amount` URLs of a batch: they are given back to where they were paid from."""

    org_id: uuid.UUID
    refund_id: uuid.UUID
    batch_id: uuid.UUID
    amount: int
    memo: str = ""

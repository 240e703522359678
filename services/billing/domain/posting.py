"""What a batch of ledger messages asks for, and what became of it. Pure."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from libs.common.contracts.billing import LeaseExpired
from libs.common.contracts.edge import UsageRecorded, UsageVoided
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import BatchDebited, BatchRefunded
from libs.common.ids import id_ms
from services.billing.domain.ledger import Code, Debit, PostError, Transfer, Waiver

MEMO_LENGTH_MAX = 200  # characters; the schema's limit


class Intake(msgspec.Struct, kw_only=True):
    """The messages of a batch, sorted by what they ask for, each in order of arrival."""

    debits: list[Debit] = []
    voids: list[UsageVoided] = []
    refunds: list[BatchRefunded] = []
    closing_batches: dict[UUID, UUID] = {}  # leases that end with their batch's debit, and whose they are
    expired_leases: dict[UUID, UUID] = {}  # leases whose marker arrived, and whose they are
    org_ids: set[UUID] = set()

    @property
    def ids(self) -> set[UUID]:
        """The ids of all operations concerned: what the ledger knows of them decides."""
        found = {debit.id for debit in self.debits} | {refund.refund_id for refund in self.refunds}
        for void in self.voids:
            found.update(void.ids)
        return found


def sort_intake(messages: Iterable[Message]) -> Intake:
    """Sort a batch. Raises TypeError for a message that is none of the ledger's."""
    intake = Intake()
    for message in messages:
        match message:
            case UsageRecorded(records=records):
                for usage in records:
                    intake.org_ids.add(usage.org_id)
                    intake.debits.append(
                        Debit(
                            id=usage.id,
                            code=Code.CALL,
                            amount=usage.cost,
                            org_id=usage.org_id,
                            lease_id=usage.lease_id,
                            key_id=usage.key_id,
                            model_id=usage.model_id,
                            route=usage.route,
                        )
                    )
            case BatchDebited():
                intake.org_ids.add(message.org_id)
                intake.closing_batches[message.batch_id] = message.org_id
                intake.debits.append(
                    Debit(
                        id=message.batch_id,
                        code=Code.BATCH,
                        amount=message.amount,
                        org_id=message.org_id,
                        lease_id=message.batch_id,
                        key_id=message.key_id,
                        memo=message.memo[:MEMO_LENGTH_MAX] or None,
                    )
                )
            case UsageVoided(org_id=org_id):
                intake.org_ids.add(org_id)
                intake.voids.append(message)
            case BatchRefunded(org_id=org_id):
                intake.org_ids.add(org_id)
                intake.refunds.append(message)
            case LeaseExpired(org_id=org_id, lease_id=lease_id):
                intake.org_ids.add(org_id)
                intake.expired_leases[lease_id] = org_id
            case _:
                raise TypeError(f"not a ledger message: {type(message).__name__}")
    return intake


class Posted(msgspec.Struct, kw_only=True):
    """What became of a batch; amounts are credits."""

    credits: dict[Code, int] = {}
    rows: int = 0
    waived: list[tuple[Waiver, int]] = []
    refused: list[PostError] = []  # put aside
    duplicates: int = 0
    dropped: int = 0  # arrived after their void
    voided_early: int = 0  # voids remembered, their debit had not arrived
    voided_late: int = 0  # voids of posted debits
    finished: int = 0  # leases that became final by their marker
    lag_ms_max: int = 0  # from admission to this posting

    def count_rows(self, rows: Sequence[Transfer], *, now_ms: int) -> None:
        for row in rows:
            code = Code(row.code)
            self.credits[code] = self.credits.get(code, 0) + row.amount
            self.lag_ms_max = max(self.lag_ms_max, now_ms - id_ms(row.id))
        self.rows += len(rows)

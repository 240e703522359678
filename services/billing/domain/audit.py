"""What the books say when they are read or checked. Nothing here moves credits; a person repairs, by `adjust`."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from libs.common.contracts.billing import Balance, Transactions
from services.billing.domain.plan import Plan


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the books; everything but the last block is 0 in a healthy ledger. Amounts are credits."""

    drift_accounts: int  # R1: buckets whose stored balance is not the sum of their transfers
    drift_credits: int
    negative_buckets: int  # R2
    lease_mismatches: int  # R3: leases whose `posted` is not the sum of their transfers
    refund_violations: int  # R4: refunds beyond their debit
    expire_violations: int  # R4: a bucket expired before its end
    grant_violations: int  # R4: more plan credits in a period than the plan's allowance
    seal_mismatches: int  # R5
    post_errors: int  # put aside, for a person
    refunds_overdue: int  # parked for over a day: their debit never came

    seal_number: int
    seal_lag_s: float  # age of the oldest transfer that is not sealed
    stranded_credits: int  # R8: in closing leases
    leases_open: dict[str, int]  # by holder
    lease_oldest_s: dict[str, float]


class OrganizationAudit(msgspec.Struct, frozen=True, kw_only=True):
    """An organization's sums, from its transfers and from its buckets. `credits` by the name of the transfer's code."""

    org_id: UUID
    credits_granted: int
    debits: dict[str, int]
    refunds: int
    voids: int
    waived: int
    balance: int  # of the buckets active now
    stored: int  # of all buckets, as stored
    derived: int  # of all buckets, from the transfers
    drift_accounts: int
    lease_mismatches: int
    seals: int
    seal_mismatches: int

    @property
    def is_ok(self) -> bool:
        return self.stored == self.derived and not (
            self.drift_accounts or self.lease_mismatches or self.seal_mismatches
        )


class SealHead(msgspec.Struct, frozen=True, kw_only=True):
    """The newest seal: who keeps its chain elsewhere can tell later that nothing below it was changed or cut off."""

    seal_no: int
    chain: str  # hexadecimal
    sealed_at: datetime
    sealed_rows: int  # of all seals
    unsealed_rows: int  # posted since; the next seal covers them


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """`verify`: every organization asked for, and the chain of seals over all of them."""

    organizations: list[OrganizationAudit]
    head: SealHead | None  # None: nothing is sealed yet
    seals: int
    seal_mismatches: int  # seals whose digest, counts or links do not recompute
    rule_violations: int

    @property
    def is_ok(self) -> bool:
        return not (self.seal_mismatches or self.rule_violations) and all(one.is_ok for one in self.organizations)


class LeaseLine(msgspec.Struct, frozen=True, kw_only=True):
    """A live lease, for the operator's list."""

    id: UUID
    org_id: UUID
    holder: str  # counter | batch
    ref: str
    amount: int
    posted: int
    state: str  # open | closing
    opened_at: datetime
    not_after: datetime | None
    final_after: datetime | None


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer of an organization, legs summed; `amount` is signed from the organization's side."""

    id: UUID
    type: str
    amount: int
    at: datetime
    route: str | None = None
    memo: str | None = None


class Books(Protocol):
    """Reads, checks and the housekeeping of the ledger. Every answer is of one instant."""

    async def balance(self, org_id: UUID) -> Balance:
        """What an organization has; zeros for one that billing does not know."""

    async def transactions(self, org_id: UUID, *, page: int, limit: int) -> Transactions:
        """A page of debits, top-ups and refunds, newest first, calls folded per UTC day."""

    async def seal(self) -> int:
        """Seal what is final; answers how many rows that were."""

    async def head(self) -> SealHead | None:
        """The newest seal; None before the first one."""

    async def chain_at(self, seal_no: int) -> str | None:
        """The chain of that seal, in hexadecimal; None if there is no such seal."""

    async def snapshot(self) -> None:
        """Note the balances at the newest seal, so that the next reconciliations start from there."""

    async def ensure_partitions(self) -> int:
        """Make the months ahead; answers how many months ahead there is room."""

    async def reconcile(self, *, in_full: bool) -> Reconciliation:
        """Check the books, in full or what changed since the last snapshot."""

    async def verify(self, org_id: UUID | None) -> Audit:
        """Recompute everything, of one organization or of all."""

    async def statement(self, org_id: UUID, *, limit: int) -> list[StatementLine]:
        """The newest transfers of an organization, one line each."""

    async def plans(self) -> list[Plan]:
        """All plans, the smallest first."""

    async def live_leases(self, org_id: UUID | None) -> list[LeaseLine]:
        """Leases that are not final."""

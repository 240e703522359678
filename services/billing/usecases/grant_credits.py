"""Give an organization credits beside its plan: bought ones (top-up) or a present (promo), each a bucket of its own."""

from datetime import timedelta
from uuid import UUID

from libs.common.clock import Clock
from libs.common.ids import uuid7
from services.billing.domain.bucket import BucketKind, balance_at
from services.billing.domain.ledger import ISSUANCE, PURCHASES, Code, Transfer
from services.billing.domain.ports import Ledger
from services.billing.usecases.announce import Announce

_ORIGIN = {BucketKind.TOPUP: (Code.TOPUP, PURCHASES), BucketKind.PROMO: (Code.PROMO, ISSUANCE)}


class GrantCredits:
    """Grant `amount` (≥ 1) credits, which never end or end after `days`; answers the transfer's id and the new balance."""

    def __init__(self, *, ledger: Ledger, clock: Clock, announce: Announce) -> None:
        self._ledger = ledger
        self._clock = clock
        self._announce = announce

    async def __call__(
        self, org_id: UUID, amount: int, *, kind: BucketKind, memo: str, days: int | None = None
    ) -> tuple[UUID, int]:
        code, source = _ORIGIN[kind]
        id_, now = uuid7(), self._clock.now()
        ends_at = None if days is None else now + timedelta(days=days)
        async with self._ledger.transaction() as tx:
            await tx.add_organization(org_id)
            await tx.lock([org_id])
            bucket = await tx.add_bucket(org_id, kind, id_, now, ends_at)
            row = Transfer(
                id=id_, code=code, amount=amount, org_id=org_id, debit_account=source, credit_account=bucket, memo=memo
            )
            await tx.append([row])
            balance = balance_at(await tx.buckets([org_id]), now)
            await self._announce(tx, org_id, balance, credits_came=True)
        return id_, balance

"""Tell the bus that a balance changed, and that it runs low."""

from collections.abc import Mapping
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.billing import BalanceChanged, CreditsLow
from services.billing.domain.bucket import balance_at
from services.billing.domain.plan import CANCELLED, Subscription, low_percents
from services.billing.domain.ports import Ledger, LedgerTx

_EVERY_MS = 1_000  # at most one announcement of spending per organization and this long


class Announce:
    """Say `billing.balance.changed` in the transaction of the change: at once when credits came (somebody may be waiting for
    them), at most once a second per organization when they went. What was held back is said by `owed`, a second later; a
    process that dies before that says nothing, and the next change does.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._said_at_ms: dict[UUID, int] = {}
        self._owed: set[UUID] = set()

    async def __call__(self, tx: LedgerTx, org_id: UUID, balance: int, *, credits_came: bool) -> None:
        if not credits_came:
            await self.spent(tx, {org_id: balance})
        else:
            await self._say(tx, {org_id: balance})

    async def spent(self, tx: LedgerTx, balances: Mapping[UUID, int]) -> None:
        """The same of many organizations whose credits went, with as few questions as for one."""
        now_ms, ripe = self._clock.stopwatch_ms(), dict[UUID, int]()
        for org_id, balance in balances.items():
            if now_ms - self._said_at_ms.get(org_id, -_EVERY_MS) < _EVERY_MS:
                self._owed.add(org_id)
            else:
                ripe[org_id] = balance
        if ripe:
            await self._say(tx, ripe)

    async def _say(self, tx: LedgerTx, balances: Mapping[UUID, int]) -> None:
        now_ms = self._clock.stopwatch_ms()
        versions = await tx.raise_versions(balances)
        await tx.say_all(
            [
                (org_id, BalanceChanged(org_id=org_id, balance=balance, version=versions[org_id]))
                for org_id, balance in balances.items()
            ]
        )
        for org_id, subscription in (await tx.subscriptions(balances)).items():
            await self._warn(tx, subscription, balances[org_id])
        for org_id in balances:
            self._said_at_ms[org_id] = now_ms
            self._owed.discard(org_id)

    async def owed(self, ledger: Ledger) -> None:
        """Say what was held back for long enough; a timer calls this."""
        now_ms = self._clock.stopwatch_ms()
        ripe = [org_id for org_id, said_at_ms in self._said_at_ms.items() if now_ms - said_at_ms >= _EVERY_MS]
        for org_id in ripe:
            if org_id in self._owed:
                async with ledger.transaction() as tx:
                    await tx.lock([org_id])
                    balance = balance_at(await tx.buckets([org_id]), self._clock.now())
                    await self(tx, org_id, balance, credits_came=False)
            else:
                del self._said_at_ms[org_id]

    async def _warn(self, tx: LedgerTx, subscription: Subscription, balance: int) -> None:
        if subscription.status == CANCELLED or not subscription.plan.monthly_credits:
            return  # no allowance to be low of
        org_id = subscription.org_id
        reached = low_percents(balance, subscription.plan.monthly_credits)
        if reached and (fresh := await tx.add_low_warnings(org_id, subscription.period_start, reached)):
            warning = CreditsLow(org_id=org_id, balance=balance, threshold_percent=min(fresh))
            await tx.say(warning, org_id=org_id)

"""Try refunds again that came before the debit they undo."""

from datetime import timedelta

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.takedowns import BatchRefunded
from services.billing.domain.ports import Ledger
from services.billing.domain.posting import Posted
from services.billing.usecases.append_transfers import AppendTransfers

_FOR = timedelta(hours=24)  # then the row stays where it is and the alarm says so
_PER_RUN = 100


class RetryRefunds:
    """Post what can be posted by now; the rest stays put aside."""

    def __init__(self, *, ledger: Ledger, clock: Clock, append: AppendTransfers) -> None:
        self._ledger = ledger
        self._clock = clock
        self._append = append

    async def __call__(self) -> Posted:
        since = self._clock.now() - _FOR
        waiting = await self._ledger.refunds_to_retry(since, limit=_PER_RUN)
        return await self._append([msgspec.json.decode(payload, type=BatchRefunded) for payload in waiting])

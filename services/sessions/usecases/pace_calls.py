"""Keep an organization from burning a platform account: calls wait their turn, per account, within their deadline.

An account is paced whoever calls it and as whichever model. Each process keeps its own share of the rate.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from libs.common.clock import Clock
from services.sessions.domain.errors import Paced
from services.sessions.domain.model import Model
from services.sessions.domain.pace import Allowance, Bucket, Rate

ACCOUNTS_MAX: Final = 20_000
HOLD_SECONDS_MAX: Final = 300  # a platform may ask for any pause; models are not dead because of one odd answer
_NO_LIMIT: Final = Rate(per_minute=0, burst=0)


class PaceCalls:
    """The port `Pace`. `rates` by provider; one that is not named has no limit."""

    def __init__(
        self,
        rates: Mapping[str, Rate],
        *,
        clock: Clock,
        count: Callable[[str], None],
        observe_wait: Callable[[float], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        processes: int = 1,
    ) -> None:
        """`count` notes an outcome (passed, waited, refused), `observe_wait` the seconds of those who waited; `processes` share
        what a platform allows, as `rates` is shared already.
        """
        self._processes = processes
        self._rates = rates
        self._clock = clock
        self._count = count
        self._observe_wait = observe_wait
        self._sleep = sleep
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()  # longest unused first

    async def wait(self, model: Model, *, patience_ms: int) -> None:
        rate = self._rates.get(model.provider, _NO_LIMIT)
        if rate.per_minute == 0:
            return
        bucket, now_ms = self._bucket(model), self._clock.stopwatch_ms()
        if 0 < bucket.learnt_per_minute < rate.per_minute:
            rate = Rate(bucket.learnt_per_minute, min(rate.burst, bucket.learnt_per_minute))
        wait_ms = bucket.wait_ms(rate, now_ms)
        if wait_ms > patience_ms:
            self._count("refused")
            raise Paced(retry_after_s=max(1, math.ceil(wait_ms / 1000)))
        bucket.take(rate, now_ms)
        if wait_ms == 0:
            self._count("passed")
            return
        self._count("waited")
        self._observe_wait(wait_ms / 1000)
        await self._sleep(wait_ms / 1000)

    def hold_off(self, model: Model, seconds: int) -> None:
        if self._rates.get(model.provider, _NO_LIMIT).per_minute:
            until_ms = self._clock.stopwatch_ms() + 1000 * min(seconds, HOLD_SECONDS_MAX)
            bucket = self._bucket(model)
            bucket.held_until_ms = max(bucket.held_until_ms, until_ms)

    def learn(self, model: Model, allowance: Allowance) -> None:
        if self._rates.get(model.provider, _NO_LIMIT).per_minute:
            # The platform's window is taken for a minute; where it is longer, the pause at its end evens that out.
            self._bucket(model).learnt_per_minute = max(1, allowance.limit // self._processes)
            if allowance.remaining <= 0:
                self.hold_off(model, allowance.reset_s)

    def _bucket(self, model: Model) -> Bucket:
        key = (model.provider, model.account or str(model.model_id))
        bucket = self._buckets.setdefault(key, Bucket())
        self._buckets.move_to_end(key)
        if len(self._buckets) > ACCOUNTS_MAX:
            self._buckets.popitem(last=False)
        return bucket

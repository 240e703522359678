"""The counters of slabs in Redis (`LeaseStore`). A step runs once or not at all; an answer that did not come is `UNKNOWN`."""

from typing import Final

from libs.common.redis.client import Epoch, Redis, RedisAway, RedisUnreached, StoreRefused
from libs.common.redis.keys import lease as lease_key
from libs.common.redis.scripts import load_script
from libs.common.telemetry.log import logger
from services.billing.domain.errors import LeaseStoreMismatch
from services.billing.domain.lease import Lease
from services.billing.domain.ports import Outcome

_INSTALL: Final = load_script(__package__, "install.lua")
_TAKE: Final = load_script(__package__, "take.lua")
_OTHER_REIGN: Final = -3
_log = logger(__name__)


class _ForeignEpoch(Exception):
    """The connection belongs to another Redis, or another reign of it, than the lease: nothing was sent."""


class RedisCounters:
    """Counters under the epoch of the connection that carries the command; `prefix` as everywhere in this system."""

    def __init__(self, redis: Redis, *, prefix: str = "") -> None:
        self._redis = redis
        self._prefix = prefix

    async def check(self, ref: str) -> None:
        epoch = await self._redis.epoch()
        if epoch.name != ref:
            raise LeaseStoreMismatch(detail=f"the edge sees {ref}, billing sees {epoch.name}")

    async def install(self, lease: Lease, credits_added: int, *, low: int, rest: int, is_new: bool) -> int | Outcome:
        assert lease.not_after is not None
        until_ms = int(lease.not_after.timestamp() * 1000)
        words = (str(lease.id), credits_added, until_ms, low, rest, int(is_new))
        try:
            avail = int(await self._redis.run(_INSTALL, self._keys(lease), lambda epoch: (*words, epoch.reign)))
        except (RedisUnreached, StoreRefused, _ForeignEpoch) as exc:
            _log.warning("a lease was not installed", reason=str(exc))
            return Outcome.REFUSED
        except RedisAway:
            return Outcome.UNKNOWN
        if avail == _OTHER_REIGN:
            await self._redis.reset()
        return avail if avail >= 0 else Outcome.REFUSED

    async def take(self, lease: Lease, *, close: bool) -> int | Outcome:
        words = (str(lease.id), int(close))
        try:
            left = int(await self._redis.run(_TAKE, self._keys(lease), lambda epoch: (*words, epoch.reign)))
        except _ForeignEpoch:
            return Outcome.REFUSED
        except (RedisAway, StoreRefused):
            return Outcome.UNKNOWN
        if left == _OTHER_REIGN:
            await self._redis.reset()
        return left if left >= 0 else Outcome.REFUSED

    def _keys(self, lease: Lease) -> "_Keys":
        return _Keys(lease, self._prefix)


class _Keys:
    """The lease's key on a connection, if the connection's epoch is the lease's."""

    def __init__(self, lease: Lease, prefix: str) -> None:
        self._lease = lease
        self._prefix = prefix

    def __call__(self, epoch: Epoch) -> tuple[str]:
        if epoch.name != self._lease.ref:
            raise _ForeignEpoch(f"lease of {self._lease.ref}, connection to {epoch.name}")
        return (lease_key(self._lease.org_id, epoch, self._prefix),)

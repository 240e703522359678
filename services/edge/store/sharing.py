"""Suspected sharing: from how many networks a key is used. Counted in this process and alarmed, never refused.

One integration calls from few places; a key that was passed around calls from many. Bounded: so many keys, so many
networks of each, one hour at a time. Every edge counts for itself, so the alarm errs on the side of silence.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.auth import Principal
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import Counter

WINDOW_MS: Final = 3_600_000
NETWORKS_MAX: Final = 20  # of one key in one window; the next one raises the alarm, and counting ends
KEYS_MAX: Final = 20_000  # with 20 networks each about 50 MB at the very worst; the longest unused key goes first

SUSPECTED = Counter("fangate_key_sharing_suspected_total", "Keys used from more networks in an hour than one user has")
_log = logger(__name__)


@dataclass(slots=True)
class _Seen:
    since: int  # of the stopwatch
    last: str = ""  # the address of the last call: most calls come from where the one before came from
    networks: set[str] = field(default_factory=set)
    is_alarmed: bool = False


class SharedKeys:
    """Tells of keys that seem to be in many hands."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: OrderedDict[UUID, _Seen] = OrderedDict()

    def saw(self, caller: Principal, address: str) -> None:
        """One authenticated call of `caller` from `address`. No I/O; raises nothing."""
        now = self._clock.stopwatch_ms()
        seen = self._keys.get(caller.key_id)
        if seen is None or now - seen.since >= WINDOW_MS:
            seen = self._keys[caller.key_id] = _Seen(since=now)
            if len(self._keys) > KEYS_MAX:
                self._keys.popitem(last=False)
        if seen.last == address or seen.is_alarmed:
            return
        seen.last = address
        seen.networks.add(client_network(address))
        self._keys.move_to_end(caller.key_id)
        if len(seen.networks) > NETWORKS_MAX:
            seen.is_alarmed = True
            seen.networks.clear()
            SUSPECTED.inc()
            _log.warning(
                "a key seems to be shared",
                key_id=str(caller.key_id),
                org_id=str(caller.org_id),
                networks=NETWORKS_MAX + 1,
            )


@lru_cache(maxsize=20_000)
def client_network(address: str) -> str:
    """The network of a client: /24 of IPv4, /64 of IPv6; what is no address stands for itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    bits = 8 if isinstance(parsed, ipaddress.IPv4Address) else 64
    return str(type(parsed)(int(parsed) >> bits << bits))

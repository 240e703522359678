"""Who does not listen: refusals counted by their code, and keys that go on calling although they were told to wait.

Counted in this process and alarmed, never refused here: the windows refuse such a key anyway, and a refusal costs us one look
into Redis. What slows guessers down is in `store/failures.py`, what tells of keys in many hands in `store/sharing.py`.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.auth import Principal
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import Counter
from services.edge.domain.refusal import CODES, Refusal

WINDOW_MS: Final = 3_600_000
EARLY_MAX: Final = 300  # calls before their time, of one key in one hour; the next one raises the alarm
KEYS_MAX: Final = 20_000  # remembered; the longest unseen goes first

REFUSALS: Final = Counter("fangate_refusals_total", "Requests refused, by the code of the refusal", ["code"])
IGNORED: Final = Counter(
    "fangate_waits_ignored_total", "Keys that called hundreds of times in an hour before they were told to come back"
)
_log = logger(__name__)


@dataclass(slots=True)
class _Told:
    since: int  # of the stopwatch
    until: int = 0  # when it may call again
    early: int = 0


class Refused:
    """Told of every refusal."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: OrderedDict[UUID, _Told] = OrderedDict()
        # All from the start: a series that is born with its first refusal has not risen, and its alert would miss it.
        self._counted = {code: REFUSALS.labels(code) for code in CODES}

    def saw(self, refusal: Refusal, caller: Principal | None) -> None:
        """One refusal, of `caller` if it was known. No I/O; raises nothing."""
        self._counted[refusal.code].inc()
        if caller is not None and refusal.code == "RATE_LIMIT_EXCEEDED":
            self._told_to_wait(caller, refusal.retry_after_s)

    def _told_to_wait(self, caller: Principal, retry_after_s: int) -> None:
        now = self._clock.stopwatch_ms()
        told = self._keys.get(caller.key_id)
        if told is None or now - told.since >= WINDOW_MS:
            told = self._keys[caller.key_id] = _Told(since=now)
            if len(self._keys) > KEYS_MAX:
                self._keys.popitem(last=False)
        self._keys.move_to_end(caller.key_id)
        if now < told.until:
            told.early += 1
            if told.early == EARLY_MAX + 1:
                IGNORED.inc()
                _log.warning("a key ignores Retry-After", key_id=str(caller.key_id), org_id=str(caller.org_id))
        else:
            told.until = now + 1_000 * retry_after_s

"""The metrics every process has, and the way to declare more.

Children are bound once, at wiring time: a bound `inc()` costs a fifth of `labels(...).inc()`. No organization, key, model,
host or URL is ever a label: those figures come from the ledger.
"""

import asyncio
from typing import Final

from libs.common.telemetry.instruments import Counter, Gauge, Histogram

LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
OVERHEAD_BUCKETS: Final = (0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05)  # seconds

BUILD_INFO = Gauge("fangate_build_info", "1, with the running version and service", ["service", "version"])
EVENT_LOOP_LAG = Gauge("fangate_eventloop_lag_seconds", "How late the event loop woke at the last look")
UNHANDLED_ERRORS = Counter("fangate_unhandled_errors_total", "Errors nobody expected", ["service"])

LAG_LOOK_SECONDS: Final = 1.0


async def watch_event_loop() -> None:
    """Measure the loop's lag for ever; run it as a background task of the process."""
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        await asyncio.sleep(LAG_LOOK_SECONDS)
        EVENT_LOOP_LAG.set(max(0.0, loop.time() - before - LAG_LOOK_SECONDS))


__all__ = [
    "BUILD_INFO", "EVENT_LOOP_LAG", "LATENCY_BUCKETS", "OVERHEAD_BUCKETS", "UNHANDLED_ERRORS",
    "Counter", "Gauge", "Histogram", "watch_event_loop",
]  # fmt: skip

"""The bus's metrics. Labels are names of types and queues, both of which are known in advance."""

from functools import lru_cache
from typing import Final

from libs.common.telemetry.metrics import LATENCY_BUCKETS, Counter, Gauge, Histogram

PUBLISHED: Final = Counter("fangate_bus_published_total", "Messages published", ["type", "outcome"])
PUBLISH_SECONDS: Final = Histogram("fangate_bus_publish_seconds", "Publish to confirm", buckets=LATENCY_BUCKETS)
HANDLED: Final = Counter("fangate_bus_handled_total", "Messages taken from a queue", ["queue", "type", "outcome"])
HANDLE_SECONDS: Final = Histogram("fangate_bus_handle_seconds", "One handler's run", ["queue"], buckets=LATENCY_BUCKETS)
QUEUE_WAIT_SECONDS: Final = Histogram(
    "fangate_bus_queue_wait_seconds", "From the sender's id to the handler's start", ["queue"], buckets=LATENCY_BUCKETS
)
BROKEN: Final = Counter("fangate_bus_broken_total", "Handlers that ended in an error nobody expected")
REDELIVERED: Final = Counter("fangate_bus_redelivered_total", "Messages the broker delivered again", ["queue"])
IN_FLIGHT: Final = Gauge("fangate_bus_in_flight", "Messages in hand", ["queue"])
BLOCKED: Final = Gauge("fangate_bus_blocked", "1 while the broker takes no publishes (memory or disk alarm)")
RECONNECTS: Final = Counter("fangate_bus_reconnects_total", "Connections made anew", ["role"])
RPC: Final = Counter("fangate_bus_rpc_total", "Calls made", ["type", "outcome"])
RPC_LATE: Final = Counter("fangate_bus_rpc_late_total", "Answers that nobody waited for any more")
RPC_EXPIRED: Final = Counter("fangate_bus_rpc_expired_total", "Calls dropped by the server, their deadline had passed")
RETRIED: Final = Counter("fangate_bus_retried_total", "Copies sent to a waiting room", ["queue", "rung"])
DEAD: Final = Counter("fangate_bus_dead_total", "Messages sent to the dead letters", ["queue", "reason"])
BRAKE: Final = Gauge("fangate_bus_brake", "1 while a consumer runs with one slow worker", ["queue"])
BATCH_SIZE: Final = Histogram(
    "fangate_bus_batch_size", "Messages of one batch", ["queue"], buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
)
BATCH_SECONDS: Final = Histogram("fangate_bus_batch_seconds", "One batch's run", ["queue"], buckets=LATENCY_BUCKETS)

CHILDREN_MAX: Final = 2_048  # kept bound: types, queues and outcomes are known in advance


@lru_cache(maxsize=CHILDREN_MAX)
def published(name: str, outcome: str) -> Counter:
    """The bound child of `PUBLISHED`: looking it up by its labels costs five times the count itself."""
    return PUBLISHED.labels(name, outcome)


@lru_cache(maxsize=CHILDREN_MAX)
def handled(queue: str, name: str, outcome: str) -> Counter:
    """The bound child of `HANDLED`."""
    return HANDLED.labels(queue, name, outcome)


@lru_cache(maxsize=CHILDREN_MAX)
def called(name: str, outcome: str) -> Counter:
    """The bound child of `RPC`."""
    return RPC.labels(name, outcome)

"""What becomes of a message whose handling failed: the ladder of waiting rooms, and the dead letters. Pure."""

import time
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from libs.common.bus.topology import DEAD, RUNGS, Rung
from libs.common.bus.transport import Delivery, Parcel
from libs.common.errors import Permanent, RetryAfter

ERROR_CHARS_MAX: Final = 500
ATTEMPTS_MAX: Final = len(RUNGS) + 1  # one try, then one after each rung


class Later(msgspec.Struct, frozen=True):
    """Send a copy to this waiting room."""

    rung: Rung


class Dead(msgspec.Struct, frozen=True):
    """Send it to the dead letters."""

    reason: str  # a metric's label: one of a few words


def decide(error: BaseException, attempt: int) -> Later | Dead:
    """After `error` on the `attempt`-th try (from 1). A `RetryAfter` takes the first rung that is long enough; beyond
    30 minutes a handler is to keep its own due date.
    """
    if isinstance(error, Permanent):
        return Dead("permanent")
    if attempt >= ATTEMPTS_MAX:
        return Dead("exhausted")
    if isinstance(error, RetryAfter):
        return Later(next((rung for rung in RUNGS if rung.seconds >= error.seconds), RUNGS[-1]))
    return Later(RUNGS[max(0, attempt - 1)])


def copy_for_later(delivery: Delivery, rung: Rung, error: BaseException, attempt: int) -> Parcel:
    """The copy that waits in `rung` and then falls back into the queue it came from. Same id: the inbox knows it."""
    headers = _kept(delivery.headers) | {"attempt": attempt + 1, "error": _sentence(error)}
    return _copy(delivery, exchange=rung.name, headers=headers)


def dead_letter(delivery: Delivery, reason: str, error: BaseException, attempt: int, service: str) -> Parcel:
    """The copy for `<queue>.dead`, with what an operator wants to know in its headers."""
    headers = _kept(delivery.headers) | {
        "dead-reason": reason,
        "error-type": type(error).__name__,
        "error": _sentence(error),
        "attempts": attempt,
        "failed-at": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        "service": service,
        "original-type": delivery.type,
        "original-user": delivery.user,
    }
    return _copy(delivery, exchange=DEAD, headers=headers)


def _copy(delivery: Delivery, *, exchange: str, headers: dict[str, Any]) -> Parcel:
    return Parcel(
        exchange=exchange,
        routing_key=delivery.queue,
        type=delivery.type,
        message_id=delivery.message_id,
        headers=headers,
        body=delivery.body,
        content_type=delivery.content_type,
    )


def _kept(headers: dict[str, Any]) -> dict[str, Any]:
    """The headers without the broker's own: 3.10 would read an `x-death` that we sent back to it."""
    return {name: value for name, value in headers.items() if not name.startswith("x-")}


def _sentence(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:ERROR_CHARS_MAX]

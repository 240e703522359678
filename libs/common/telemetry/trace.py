"""W3C trace context (traceparent): carried through every message and outbox row, whether or not spans are recorded."""

import contextvars
import re
import time
import uuid
from typing import Final

from libs.common.ids import id_ms, random_bytes

_PATTERN: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
SAMPLE: Final = 100  # of what went well, one in this many requests is logged: in every service the same ones
SLOW_SECONDS: Final = 2.0  # what took longer is logged, however it ended
_MARGIN_MS: Final = 86_400_000  # a trace id that reads as a moment of today is the id of a request
current_traceparent: contextvars.ContextVar[str] = contextvars.ContextVar("traceparent", default="")


def new_traceparent(request_id: uuid.UUID) -> str:
    """The unsampled trace of a request (W3C Trace Context section 3.2): its id is the request's, so one finds the other."""
    return f"00-{request_id.hex}-{random_bytes(8).hex()}-00"


def accept_traceparent(given: str | None, request_id: uuid.UUID) -> str:
    """`given` if it is well-formed, with a new parent id of ours; else a fresh one for the request."""
    if given and _PATTERN.fullmatch(given):
        return f"{given[:36]}{random_bytes(8).hex()}{given[52:]}"
    return new_traceparent(request_id)


def unsampled(given: str | None) -> str:
    """`given` if it is well-formed, but not asking to be recorded; else an empty string."""
    return f"{given[:53]}00" if given and _PATTERN.fullmatch(given) else ""


def is_sampled(traceparent: str) -> bool:
    """Whether what goes well in this trace is logged; every service says the same. What is no trace is not."""
    try:
        return int(traceparent[31:35], 16) % SAMPLE == 0  # the end of the trace id, its random part
    except ValueError:
        return False


def is_sampled_id(request_id: uuid.UUID) -> bool:
    """The same, by the id of a request whose trace is its own."""
    return (request_id.int & 0xFFFF) % SAMPLE == 0


def names_of(traceparent: str) -> dict[str, str]:
    """What a log line says of its trace: `request_id` where the edge began it, `trace_id` where the caller did."""
    try:
        trace = uuid.UUID(traceparent[3:35])
    except ValueError:  # none, or what a sender of ours would not write
        return {}
    if trace.version == 7 and abs(id_ms(trace) - time.time() * 1_000) < _MARGIN_MS:
        return {"request_id": str(trace)}
    return {"trace_id": trace.hex}

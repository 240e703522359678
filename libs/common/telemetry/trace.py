"""W3C trace context (traceparent): carried through every message and outbox row, whether or not spans are recorded."""

import contextvars
import re
from typing import Final

from libs.common.ids import random_bytes

_PATTERN: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
current_traceparent: contextvars.ContextVar[str] = contextvars.ContextVar("traceparent", default="")


def new_traceparent() -> str:
    """A fresh, unsampled trace (W3C Trace Context section 3.2)."""
    random = random_bytes(24).hex()
    return f"00-{random[:32]}-{random[32:]}-00"


def accept_traceparent(given: str | None) -> str:
    """`given` if it is well-formed, with a new parent id of ours; else a fresh one."""
    if given and _PATTERN.fullmatch(given):
        return f"{given[:36]}{random_bytes(8).hex()}{given[52:]}"
    return new_traceparent()


def unsampled(given: str | None) -> str:
    """`given` if it is well-formed, but not asking to be recorded; else an empty string."""
    return f"{given[:53]}00" if given and _PATTERN.fullmatch(given) else ""

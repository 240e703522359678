"""W3C trace context (traceparent): carried through every message and outbox row, whether or not spans are recorded."""

import contextvars
import os
import re
from typing import Final

_PATTERN: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
current_traceparent: contextvars.ContextVar[str] = contextvars.ContextVar("traceparent", default="")


def new_traceparent() -> str:
    """A fresh, unsampled trace (W3C Trace Context section 3.2)."""
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00"


def accept_traceparent(given: str | None) -> str:
    """`given` if it is well-formed, with a new parent id of ours; else a fresh one."""
    if given and _PATTERN.fullmatch(given):
        return f"{given[:36]}{os.urandom(8).hex()}{given[52:]}"
    return new_traceparent()

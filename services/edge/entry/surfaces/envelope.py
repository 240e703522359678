"""The envelope of a success on the surfaces that wrap: `{data,_meta}`, the platform's bytes in it untouched."""

from typing import Final

from services.edge.domain.ports import Reserved
from services.edge.domain.upstream import Upstream

_META: Final = (
    b',"_meta":{"_credits":{"used":%d,"balance":%b},"_rate_limits":{"limit_minute":%d,"remaining_minute":%d,'
    b'"limit_day":%d,"remaining_day":%d}}}'
)


def wrapped(upstream: Upstream, reserved: Reserved) -> tuple[int, bytes]:
    """Status and body of an answer that is charged."""
    windows = reserved.windows
    meta = _META % (
        reserved.cost,
        b"null" if reserved.balance is None else b"%d" % reserved.balance,
        windows.limits.minute,
        windows.remaining_minute,
        windows.limits.day,
        windows.remaining_day,
    )
    # Spliced, not parsed: byte order, spacing, duplicate keys and 20-digit numbers come through as the platform sent them.
    status = 200 if upstream.status in {204, 205} else upstream.status
    return status, b'{"data":' + (upstream.body or b"null") + meta

"""The canonical surface `/api` (Seed A): `X-API-Key` or Bearer, `{data,_meta}`, flat `{error,code}`."""

from typing import Final

import msgspec
import orjson

from libs.common.contracts.catalogue import catalogue
from services.edge.domain.catalogue import Route, proxied
from services.edge.domain.own import own_routes
from services.edge.domain.ports import Reserved
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream

BODY_BYTES_MAX: Final = 1_048_576

_META: Final = (
    b',"_meta":{"_credits":{"used":%d,"balance":%b},"_rate_limits":{"limit_minute":%d,"remaining_minute":%d,'
    b'"limit_day":%d,"remaining_day":%d}}}'
)


class Gateway:
    """Stateless; one object per process."""

    name = "gateway"
    prefix = "/api"
    key_headers = ("X-API-Key",)
    takes_bearer = True
    body_bytes_max = BODY_BYTES_MAX

    def routes(self) -> tuple[Route, ...]:
        calls = catalogue()
        delete_by_message = proxied(
            calls["messages_delete"],
            f"{self.prefix}/models/{{model_id}}/messages/{{message_id}}",
            name="messages_delete_by_id",  # Seed A's product names no fan; where the platform needs one it is a 404
        )
        return (
            Route(name="health", method="GET", path=f"{self.prefix}/health", permission=None),
            *(proxied(call, f"{self.prefix}/models/{{model_id}}{call.path}") for call in calls.values()),
            delete_by_message,
            *(msgspec.structs.replace(route, path=self.prefix + route.path) for route in own_routes()),
        )

    def success(self, upstream: Upstream, reserved: Reserved) -> tuple[int, bytes]:
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

    def own(self, body: bytes) -> bytes:
        return body

    def failure(self, refusal: Refusal) -> bytes:
        return orjson.dumps({"error": refusal.public, "code": refusal.code})

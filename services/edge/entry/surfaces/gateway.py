"""The canonical surface `/api` (Seed A): `X-API-Key` or Bearer, `{data,_meta}`, flat `{error,code}`."""

from collections.abc import Sequence
from typing import Final

import msgspec
import orjson

from libs.common.contracts.catalogue import catalogue
from services.edge.domain.catalogue import Route, proxied
from services.edge.domain.own import own_routes
from services.edge.domain.ports import Reserved
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.entry.surface import Schema, open_routes
from services.edge.entry.surfaces.envelope import META_SCHEMA, wrapped, wrapped_schema

BODY_BYTES_MAX: Final = 1_048_576


class Gateway:
    """Stateless; one object per process."""

    name = "gateway"
    prefix = "/api"
    key_headers = ("X-API-Key",)
    takes_bearer = True
    version_headers = ("X-API-Version",)
    wraps = True
    body_bytes_max = BODY_BYTES_MAX
    title = "The canonical dialect: models by UUID"
    about = (
        "Models are named by their UUID, and everything about keys, roles, models and credits is managed here. Every success is\n"
        "`{data, _meta}`, every error `{error, code}`."
    )
    schemas = META_SCHEMA

    def routes(self) -> tuple[Route, ...]:
        calls = catalogue()
        delete_by_message = proxied(
            calls["messages_delete"],
            f"{self.prefix}/models/{{model_id}}/messages/{{message_id}}",
            name="messages_delete_by_id",  # Seed A's product names no fan; where the platform needs one it is a 404
        )
        return (
            *open_routes(self.prefix),
            *(proxied(call, f"{self.prefix}/models/{{model_id}}{call.path}") for call in calls.values()),
            delete_by_message,
            *(msgspec.structs.replace(route, path=self.prefix + route.path) for route in own_routes()),
        )

    def success(self, upstream: Upstream, reserved: Reserved) -> tuple[int, bytes]:
        return wrapped(upstream, reserved)

    def own(self, body: bytes) -> bytes:
        return body

    def said(self, refusal: Refusal) -> Refusal:
        return refusal

    def failure(self, refusal: Refusal) -> bytes:
        return orjson.dumps({"error": refusal.public, "code": refusal.code})

    def success_schema(self, data: Schema) -> Schema:
        return wrapped_schema(data)

    def failure_schema(self, codes: Sequence[str]) -> Schema:
        properties: dict[str, Schema] = {"error": {"type": "string", "minLength": 1}, "code": {"enum": list(codes)}}
        return {
            "type": "object",
            "properties": properties,
            "required": ["error", "code"],
            "additionalProperties": False,
        }

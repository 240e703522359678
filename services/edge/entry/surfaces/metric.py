"""The surface `/v1/{account}` (Seed B): Bearer or `X-API-Key`, `{data,_meta}`, errors of exactly one member.

`{account}` is a model's UUID or the account's number on its platform. Some calls have a second path here, the one that
clients of Seed B know (`metric_alias` of the catalogue).
"""

from collections.abc import Sequence
from typing import Final

import orjson

from libs.common.contracts.catalogue import catalogue
from services.edge.domain.catalogue import ACCOUNT_PARAMETER, Route, proxied
from services.edge.domain.ports import Reserved
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.entry.surface import Schema, open_routes
from services.edge.entry.surfaces.envelope import META_SCHEMA, wrapped, wrapped_schema

BODY_BYTES_MAX: Final = 1_048_576


class Metric:
    """Stateless; one object per process."""

    name = "metric"
    prefix = "/v1"
    key_headers = ("X-API-Key",)
    takes_bearer = True
    version_headers = ("X-API-Version",)
    wraps = True
    body_bytes_max = BODY_BYTES_MAX
    title = "The dialect of clients that know accounts"
    about = (
        "Accounts are named by a model's UUID or by their number on the platform. Every success is `{data, _meta}`, every error\n"
        "`{error}`; its stable code is in `X-Error-Code`."
    )
    schemas = META_SCHEMA

    def routes(self) -> tuple[Route, ...]:
        calls = catalogue().values()
        below = f"{self.prefix}/{{{ACCOUNT_PARAMETER}}}"
        return (
            *open_routes(self.prefix),
            *(proxied(call, below + call.path) for call in calls),
            *(
                proxied(call, below + call.metric_alias, name=f"{call.name}_alias")
                for call in calls
                if call.metric_alias is not None
            ),
        )

    def success(self, upstream: Upstream, reserved: Reserved) -> tuple[int, bytes]:
        return wrapped(upstream, reserved)

    def own(self, body: bytes) -> bytes:
        return body

    def said(self, refusal: Refusal) -> Refusal:
        return refusal

    def failure(self, refusal: Refusal) -> bytes:
        return orjson.dumps({"error": refusal.public})

    def success_schema(self, data: Schema) -> Schema:
        return wrapped_schema(data)

    def failure_schema(self, codes: Sequence[str]) -> Schema:  # noqa: ARG002 - the header has the code
        properties: dict[str, Schema] = {"error": {"type": "string", "minLength": 1}}
        return {"type": "object", "properties": properties, "required": ["error"], "additionalProperties": False}

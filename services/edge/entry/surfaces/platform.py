"""The surface `/api/platforms` (Seed C): `X-API-Key`, bodies of its own without an envelope, errors of one member and facts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson

from libs.common.contracts.auth import PLATFORM
from services.edge.domain.catalogue import Route
from services.edge.domain.own import platform_routes
from services.edge.domain.ports import Reserved
from services.edge.domain.refusal import CODES, Refusal
from services.edge.domain.upstream import Upstream
from services.edge.entry.surface import Schema, open_routes

BODY_BYTES_MAX: Final = 5_242_880  # 10,000 URLs of 2,048 characters do not fit: the smaller limit binds first
_OWN_WORDS: Final = {"INSUFFICIENT_CREDITS": "Insufficient credits"}


class Platform:
    """Stateless; one object per process."""

    name = "platform"
    prefix = "/api/platforms"
    key_headers = ("X-API-Key",)
    takes_bearer = False
    version_headers = ("X-API-Version",)
    wraps = False
    body_bytes_max = BODY_BYTES_MAX
    title = "The dialect of takedown platforms"
    about = (
        "Register creators, submit URLs of stolen content for them, follow what it costs. Bodies are their own, without an envelope, and\n"
        "may have 5 MiB here: 10,000 URLs of up to 500 characters, not of 2,048. Every error is `{error}`, with `retryAfterSeconds` on a 429, and `required` and `balance` on a 402; its stable\n"
        "code is in `X-Error-Code`. No plan is needed: bought credits are enough.\n"
        "For partners: the operator opens it for single organizations; sandbox keys, the staging, always have it."
    )
    schemas: Mapping[str, Schema] = {}

    def routes(self) -> tuple[Route, ...]:
        return (
            *open_routes(self.prefix),
            *(
                msgspec.structs.replace(route, path=self.prefix + route.path, shows_balance=False, feature=PLATFORM)
                for route in platform_routes()
            ),
        )

    def success(self, upstream: Upstream, reserved: Reserved) -> tuple[int, bytes]:
        del reserved  # headroom is in the headers only
        return upstream.status, upstream.body

    def own(self, body: bytes) -> bytes:
        return body

    def said(self, refusal: Refusal) -> Refusal:
        if refusal.code == "ORGANIZATION_SUSPENDED":  # "Invalid API key or inactive account": one status for both
            return Refusal("INVALID_API_KEY", detail="the organization is suspended")
        return refusal

    def failure(self, refusal: Refusal) -> bytes:
        body: dict[str, Any] = {"error": _OWN_WORDS.get(refusal.code, refusal.public)}
        if refusal.status == 429:
            body["retryAfterSeconds"] = refusal.retry_after_s
        if refusal.status == 402:
            body |= {name: refusal.fields[name] for name in ("required", "balance") if name in refusal.fields}
        return orjson.dumps(body)

    def success_schema(self, data: Schema) -> Schema:
        return data

    def failure_schema(self, codes: Sequence[str]) -> Schema:
        properties: dict[str, Schema] = {"error": {"type": "string", "minLength": 1}}
        required = ["error"]
        statuses = {CODES[code][0] for code in codes}
        if statuses == {429}:
            properties["retryAfterSeconds"] = {"type": "integer", "minimum": 1}
            required.append("retryAfterSeconds")
        if "INSUFFICIENT_CREDITS" in codes:
            properties |= {"required": {"type": "integer", "minimum": 1}, "balance": {"type": "integer", "minimum": 0}}
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

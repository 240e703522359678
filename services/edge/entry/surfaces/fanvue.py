"""The surface `/fanvue` (Seed D): `X-Fanvue-API-Key` and a version on every call, the platform's bare bytes, flat errors.

Only calls to the platform are here, under its own paths (`fanvue_alias` of the catalogue); no path names a model: it is the one
that the key is bound to.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import orjson

from libs.common.contracts.catalogue import catalogue
from libs.common.contracts.versions import API_VERSIONS
from services.edge.domain.catalogue import Route, proxied
from services.edge.domain.ports import Reserved
from services.edge.domain.refusal import CODES, Refusal
from services.edge.domain.upstream import Upstream
from services.edge.entry.surface import Schema, open_routes

BODY_BYTES_MAX: Final = 1_048_576
_WITHOUT_BODY: Final = frozenset({204, 205})
# Errors about versions say what is wrong in `error` and the particulars in `message`.
_OF_VERSIONS: Final = {
    "VERSION_REQUIRED": "API version required",
    "UNSUPPORTED_VERSION": "Unsupported API version",
    "VERSION_SUNSET": CODES["VERSION_SUNSET"][1],
}
_TEXT: Final[Schema] = {"type": "string", "minLength": 1}


class Fanvue:
    """Stateless; one object per process."""

    name = "fanvue"
    prefix = "/fanvue"
    key_headers = ("X-Fanvue-API-Key",)
    takes_bearer = True  # clients with an OAuth token know no other way
    version_headers = ("X-Fanvue-API-Version", "X-API-Version")
    wraps = False
    body_bytes_max = BODY_BYTES_MAX
    title = "The dialect of clients of Fanvue's API"
    about = (
        "The account is the model that the key is bound to; `/creators/{creator_user_id}/…` are the creators of an agency's account.\n"
        "Every call names an API version. A success is the platform's own body, an error `{error}`; its stable code is in\n"
        "`X-Error-Code`. Errors about versions add `message` and, when a version has ended, `nextVersion`."
    )
    schemas: dict[str, Schema] = {}

    def routes(self) -> tuple[Route, ...]:
        return (
            *open_routes(self.prefix),
            *(
                msgspec.structs.replace(
                    proxied(call, self.prefix + call.fanvue_alias), model_is_keys=True, requires_version=True
                )
                for call in catalogue().values()
                if call.fanvue_alias is not None
            ),
        )

    def success(self, upstream: Upstream, reserved: Reserved) -> tuple[int, bytes]:  # noqa: ARG002 - no room for credits here
        return upstream.status, b"" if upstream.status in _WITHOUT_BODY else upstream.body

    def own(self, body: bytes) -> bytes:
        return body

    def said(self, refusal: Refusal) -> Refusal:
        return refusal

    def failure(self, refusal: Refusal) -> bytes:
        text = _OF_VERSIONS.get(refusal.code)
        if text is None:
            return orjson.dumps({"error": refusal.public})
        members = {"error": text, "message": refusal.public}
        if "next_version" in refusal.fields:
            members["nextVersion"] = refusal.fields["next_version"]
        return orjson.dumps(members)

    def success_schema(self, data: Schema) -> Schema:
        return data

    def failure_schema(self, codes: Sequence[str]) -> Schema:
        properties, required = {"error": _TEXT}, ["error"]
        if any(code in _OF_VERSIONS for code in codes):
            properties["message"] = _TEXT
            required += ["message"] if all(code in _OF_VERSIONS for code in codes) else []
        if "VERSION_SUNSET" in codes:
            properties["nextVersion"] = {"enum": list(API_VERSIONS)}
            required.append("nextVersion")
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

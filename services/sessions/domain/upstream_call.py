"""One call to a platform: what is asked, what came back, and the fence around writes that must never run twice."""

import uuid
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from libs.common.contracts.catalogue import CatalogueRoute, parameter_pattern
from services.sessions.domain.errors import InvalidRequest, RouteNotSupported
from services.sessions.domain.pace import Allowance

_QUERY_BYTES: Final = frozenset(range(0x21, 0x7F)) - {
    ord("#")
}  # visible ASCII: anything else would end the request line


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """What goes to the platform. `target` is path and query, ready for the wire."""

    method: str
    target: str
    content_type: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAnswer:
    """What the platform said, byte for byte. `is_session_refused`: it does not know the session any more."""

    status: int
    body: bytes = b""
    content_type: str = ""
    retry_after_s: int | None = None
    upstream_ms: int = 0
    is_session_refused: bool = False
    allowance: Allowance | None = None  # what the platform says of its limit


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a fenced call ended, as it is kept beside its row: an answer, or an error by its code."""

    status: int = 0  # 0 = an error
    content_type: str = ""
    retry_after_s: int | None = None
    upstream_ms: int = 0
    code: str = ""
    message: str = ""
    fields: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fenced call that was made before: its outcome and body. `body` None = it was not kept (too large, or too long ago)."""

    call_id: uuid.UUID
    outcome: Outcome
    body: bytes | None


def upstream_target(route: CatalogueRoute, provider: str, params: dict[str, str], query: str) -> str:
    """Path and query of `route` on `provider`.

    Raises RouteNotSupported when the provider lacks the route, or needs a parameter that the caller's dialect does not
    carry (a message deleted without its chat); InvalidRequest for a parameter or query that no caller may send.
    """
    template = route.upstream(provider)
    if template is None:
        raise RouteNotSupported
    parts = []
    for part in template.split("/"):
        if not part.startswith("{"):
            parts.append(part)
            continue
        name = part[1:-1]
        if (value := params.get(name)) is None:
            raise RouteNotSupported
        if not parameter_pattern(name).fullmatch(value) or value in {".", ".."}:
            raise InvalidRequest(f"{name}: not a valid id")
        parts.append(value)
    if not _QUERY_BYTES.issuperset(query.encode()):
        raise InvalidRequest("query: characters must be percent-encoded")
    return "/".join(parts) + (f"?{query}" if query else "")

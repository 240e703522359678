"""What a platform's answer becomes (requirements 3.2): charged and shown untouched if it is a 2xx, else one refusal."""

from typing import Final
from uuid import UUID

import msgspec
import orjson

from services.edge.domain.refusal import Refusal

TEXT_CHARACTERS_MAX: Final = 300  # of a platform's own words in our error
PARSE_BYTES_MAX: Final = 65_536  # a longer error body is not searched for a sentence
RETRY_AFTER_MAX_S: Final = 3_600  # a platform's wish beyond this is not passed on
_TEXT_MEMBERS: Final = ("error", "message", "error_description", "detail", "title")


class Upstream(msgspec.Struct, frozen=True):
    """A platform's answer; `body` is byte for byte what it sent."""

    status: int
    body: bytes
    retry_after_s: int | None = None
    upstream_ms: int = 0
    model_id: UUID | None = None  # which model answered, where the caller named an account

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def refusal_of(upstream: Upstream) -> Refusal:
    """The refusal that stands for an answer which is not a 2xx."""
    match upstream.status:
        case 401:
            return Refusal("SYNC_LOST")  # sessions refreshed once already; the session is dead
        case 402 | 403:
            return Refusal("UPSTREAM_FORBIDDEN", platform_text(upstream.body))
        case 404 | 410:
            return Refusal("UPSTREAM_NOT_FOUND")
        case 409:
            return Refusal("UPSTREAM_REJECTED", platform_text(upstream.body), status=409)
        case 429:
            wish_s = upstream.retry_after_s or 1
            return Refusal("UPSTREAM_RATE_LIMITED", retry_after_s=max(1, min(wish_s, RETRY_AFTER_MAX_S)))
        case status if 400 <= status < 500:
            return Refusal("UPSTREAM_REJECTED", platform_text(upstream.body))
        case _:
            return Refusal("OF_API_ERROR", detail=f"the platform answered {upstream.status}")


def platform_text(body: bytes) -> str:
    """The platform's own sentence in an error body, cut to a bearable length; empty if there is none to be found."""
    if len(body) > PARSE_BYTES_MAX:
        return ""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    for _ in range(3):  # {"error": {"message": "..."}} and the like, three levels at most
        if not isinstance(document, dict):
            break
        document = next((document[name] for name in _TEXT_MEMBERS if document.get(name)), None)
    if isinstance(document, list) and document:
        document = document[0]
    return document[:TEXT_CHARACTERS_MAX] if isinstance(document, str) else ""

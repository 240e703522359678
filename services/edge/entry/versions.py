"""Which version of the API a request asks for: row 5 of the order of checks, as far as headers tell."""

from typing import Final

from multidict import CIMultiDictProxy

from services.edge.domain.refusal import Refusal
from services.edge.domain.versions import VERSIONS, default_version

VERSION_HEADERS: Final = ("X-API-Version", "X-Fanvue-API-Version")  # one meaning; both may be sent if they agree


def requested_version(headers: CIMultiDictProxy[str], pinned: str | None) -> tuple[str, Refusal | None]:
    """The version to answer in, and the 400 if there is none: the refusal is not raised, for it is counted like any call."""
    asked = {value for name in VERSION_HEADERS for value in headers.getall(name, ())}
    if not asked:
        return default_version(pinned), None
    if len(asked) > 1:
        return "", Refusal("INVALID_REQUEST", f"{VERSION_HEADERS[0]}: different versions were asked for")
    version = asked.pop()
    if version not in VERSIONS:
        # `ascii`: a header may carry bytes that are no text
        return "", Refusal("UNSUPPORTED_VERSION", f"API version {version[:32]!a} is not supported")
    return version, None

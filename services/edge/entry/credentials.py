"""Which key a request carries: rows 3 and 4 of the order of checks, as far as headers tell. Never from a query string."""

from multidict import CIMultiDictProxy

from services.edge.domain.refusal import Refusal
from services.edge.entry.surface import Surface


def presented_key(headers: CIMultiDictProxy[str], surface: Surface) -> str:
    """The one key in the headers of `surface`. The same key in two accepted headers is fine.

    Raises Refusal: 400 for one header twice (RFC 6750 section 2) or keys that differ, 401 without any.
    """
    found = ""
    for name in surface.key_headers:
        values = headers.getall(name, ())
        if len(values) > 1:
            raise Refusal("MULTIPLE_CREDENTIALS", f"The header {name} was sent more than once")
        if values and values[0]:
            found = _one(found, values[0])
    values = headers.getall("Authorization", ())
    if len(values) > 1:
        raise Refusal("MULTIPLE_CREDENTIALS", "The header Authorization was sent more than once")
    if values and surface.takes_bearer:
        scheme, _, token = values[0].partition(" ")
        # Another scheme is a credential too, and no key: it ends in a 401 like any malformed one.
        given = token.strip() if scheme.lower() == "bearer" else values[0]
        if given:
            found = _one(found, given)
    if not found:
        raise Refusal("NO_API_KEY")
    return found


def _one(found: str, given: str) -> str:
    if found and found != given:
        raise Refusal("MULTIPLE_CREDENTIALS")
    return given

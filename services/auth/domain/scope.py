"""Scopes: what a personal key may do, fixed when it is issued. Which route asks for which is the catalogue's."""

from collections.abc import Iterable
from typing import Final

from libs.common.contracts.catalogue import catalogue
from services.auth.domain.errors import InvalidRequest, PermissionDenied

SCOPES: Final = frozenset(scope for route in catalogue().values() for scope in route.scopes)
READ_SCOPES: Final = frozenset(
    scope for scope in SCOPES if scope.startswith("read:")
)  # given where none are asked for (R159)


def checked_scopes(names: Iterable[str] | None) -> frozenset[str]:
    """`names` as a set if they are scopes; None: every read, and no write. Raises InvalidRequest."""
    if names is None:
        return READ_SCOPES
    wanted = frozenset(names)
    if unknown := sorted(wanted - SCOPES):
        raise InvalidRequest(f"No such scope: {', '.join(unknown[:5])}")
    if not wanted:
        raise InvalidRequest("A personal key has one scope at least")
    return wanted


def check_scopes(makers: frozenset[str], wanted: frozenset[str]) -> None:
    """Raise PermissionDenied if `wanted` are not all the maker's own."""
    if beyond := sorted(wanted - makers):
        raise PermissionDenied(f"This key cannot grant what it does not have: {', '.join(beyond)}")

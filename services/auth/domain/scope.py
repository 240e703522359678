"""Scopes: what a personal key may do, fixed when it is issued. Which route asks for which is the catalogue's."""

from collections.abc import Iterable
from typing import Final

from libs.common.contracts.catalogue import catalogue
from services.auth.domain.errors import InvalidRequest, PermissionDenied
from services.auth.domain.permission import SELF_READ, permissions_of_scopes

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


def check_role_allows(permissions: frozenset[str], scopes: frozenset[str] | None) -> None:
    """Raise PermissionDenied if a role with these `permissions` cannot do all that the `scopes` stand for."""
    if beyond := sorted(permissions_of_scopes(scopes or ()) - permissions - {SELF_READ}):
        raise PermissionDenied(f"Your role does not allow {', '.join(beyond[:5])}: ask for fewer scopes")

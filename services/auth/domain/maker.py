"""A key never grants more than its maker has: neither rights, nor models, nor calls a minute, nor time, nor places."""

import uuid
from datetime import UTC, datetime

import msgspec

from libs.common.contracts.auth import Principal
from services.auth.domain.address import is_within
from services.auth.domain.errors import PermissionDenied
from services.auth.domain.key import Key

NAMED_MAX = 5  # permissions named in a refusal


def check_grants(maker: Principal, permissions: frozenset[str]) -> None:
    """Raise PermissionDenied if `permissions` are not all the maker's own."""
    beyond = sorted(permissions - maker.permissions)
    if beyond:
        more = f" and {len(beyond) - NAMED_MAX} more" if len(beyond) > NAMED_MAX else ""
        raise PermissionDenied(f"This key cannot grant what it does not have: {', '.join(beyond[:NAMED_MAX])}{more}")


def bounded(key: Key, maker: Principal) -> Key:
    """`key` within its maker's bounds: what was left open is as the maker has it. Raises PermissionDenied for what was asked
    beyond them.
    """
    return msgspec.structs.replace(
        key,
        model_id=_model(key.model_id, maker.model_id),
        key_per_minute=_per_minute(key.key_per_minute, maker.limits.key_per_minute),
        expires_at=_end(key.expires_at, maker.expires_at_ms),
        read_only=key.read_only or maker.read_only,
        addresses=bounded_addresses(key.addresses, maker) if key.addresses else maker.addresses,
    )


def bounded_addresses(wanted: tuple[str, ...], maker: Principal) -> tuple[str, ...]:
    """`wanted`, if a key may be used from there. Raises PermissionDenied where its maker may not."""
    if maker.addresses and not (wanted and is_within(wanted, maker.addresses)):
        raise PermissionDenied("This key may be used from some addresses only, and so may the keys it makes or changes")
    return wanted


def _model(wanted: uuid.UUID | None, makers: uuid.UUID | None) -> uuid.UUID | None:
    if makers is not None and wanted not in {None, makers}:
        raise PermissionDenied("This key is bound to one model and can make keys for that one only")
    return wanted if makers is None else makers


def _per_minute(wanted: int | None, makers: int) -> int | None:
    if makers and wanted is not None and wanted > makers:
        raise PermissionDenied(f"This key may make {makers} calls a minute, and so may the keys it makes")
    return wanted if wanted is not None or not makers else makers


def _end(wanted: datetime | None, makers_ms: int | None) -> datetime | None:
    if makers_ms is None:
        return wanted
    end = datetime.fromtimestamp(makers_ms / 1_000, UTC)
    if wanted is not None and wanted > end:
        raise PermissionDenied("This key expires, and no key it makes can outlive it")
    return wanted or end

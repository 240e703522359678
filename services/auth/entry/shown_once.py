"""What is shown once, on its way to whoever asked: sealed to the key that the command brought, so that the bus carries no secret."""

import uuid

import msgspec

from libs.common.sealing import seal_form
from services.auth.domain.errors import InvalidRequest


class ShownOnce(msgspec.Struct, frozen=True, kw_only=True):
    """How a reply tells a secret: `sealed`, or in clear to an edge of a release that sends no key for it."""

    text: str = ""
    sealed: bytes = b""


def shown_once(secret: str, reply_key: bytes, *, bound_to: uuid.UUID) -> ShownOnce:
    """`secret` for a reply about `bound_to`; nothing if it is empty. Raises InvalidRequest for what is no key."""
    if not secret:
        return ShownOnce()
    if not reply_key:
        return ShownOnce(text=secret)
    return ShownOnce(sealed=sealed_secret(secret, reply_key, bound_to=bound_to))


def sealed_secret(secret: str, reply_key: bytes, *, bound_to: uuid.UUID) -> bytes:
    """`secret` as only the holder of the private half reads it. Raises InvalidRequest for what is no key."""
    try:
        return seal_form("reply", reply_key, bound_to=bound_to.bytes, form=secret.encode())
    except ValueError:
        raise InvalidRequest("reply_key: not an X25519 key") from None

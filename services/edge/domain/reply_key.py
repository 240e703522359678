"""The key that a secret in a service's answer is sealed to: made of the request's own token, which never leaves this process."""

import hashlib
from typing import Protocol
from uuid import UUID

from libs.common.sealing import FormKeys

_PURPOSE = b"fangate reply key 1"


def reply_key(token: str) -> FormKeys:
    """The pair of keys of one request; the service gets the public half. `token` is 256 random bits."""
    return FormKeys([("reply", hashlib.sha256(_PURPOSE + token.encode()).digest())])


class ShownOnce(Protocol):
    """A reply with a secret: `sealed`, or in clear from an auth of a release that seals none."""

    @property
    def text(self) -> str: ...
    @property
    def sealed(self) -> bytes: ...


def secret_of(reply: ShownOnce, token: str, *, bound_to: UUID) -> str:
    """What the reply about `bound_to` shows once. Raises FormBroken for what was sealed to another request."""
    if not reply.sealed:
        return reply.text
    return reply_key(token).open(reply.sealed, bound_to=bound_to.bytes).decode()

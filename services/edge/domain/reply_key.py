"""The key that a secret in a service's answer is sealed to: made of the request's own token, which never leaves this process."""

import hashlib

from libs.common.sealing import FormKeys

_PURPOSE = b"fangate reply key 1"


def reply_key(token: str) -> FormKeys:
    """The pair of keys of one request; the service gets the public half. `token` is 256 random bits."""
    return FormKeys([("reply", hashlib.sha256(_PURPOSE + token.encode()).digest())])

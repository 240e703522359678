"""Addresses that only those can know whom we wrote to: the notice's id and a keyed digest of it, in the local part (VERP).

`b+<id>.<digest>@…` is the envelope sender, so that bounces find their notice; `r+<id>.<digest>@…` is where answers go.
"""

import base64
import hmac
import re
import uuid
from collections.abc import Sequence
from typing import Final, Literal

Kind = Literal["b", "r"]  # bounces, replies
DIGEST_LENGTH: Final = 10  # of base32: 50 bits, and each guess costs a mail
KEY_BYTES_MIN: Final = 32
_LOCAL: Final = re.compile(r"([br])\+([0-9a-f]{32})\.([a-z2-7]{10})")


class MailTokens:
    """Keys, the active one first: those behind it are on their way out, their mails may still be answered."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def parse(cls, text: str) -> "MailTokens":
        """Read `hex64,hex64`. Raises ValueError, naming the position and never the value."""
        keys = []
        for position, word in enumerate(text.split(","), start=1):
            if not re.fullmatch(r"[0-9a-fA-F]{64}", word.strip()):
                raise ValueError(f"key {position}: 64 hexadecimal digits are expected")
            keys.append(bytes.fromhex(word.strip()))
        return cls(keys)

    def local_part(self, kind: Kind, notice_id: uuid.UUID) -> str:
        """What stands before the @: 45 characters, all lower case (mail servers may fold them)."""
        return f"{kind}+{notice_id.hex}.{_digest(self._keys[0], kind, notice_id)}"

    def read(self, address: str) -> tuple[Kind, uuid.UUID] | None:
        """What an address of ours says, or None for one that we did not make. Takes the same time for any forged digest."""
        match = _LOCAL.fullmatch(address.strip().lower().partition("@")[0])
        if match is None:
            return None
        kind: Kind = "b" if match[1] == "b" else "r"
        notice_id = uuid.UUID(hex=match[2])
        given = match[3].encode()
        is_ours = [hmac.compare_digest(given, _digest(key, kind, notice_id).encode()) for key in self._keys]
        return (kind, notice_id) if any(is_ours) else None

    def __repr__(self) -> str:
        return f"MailTokens({len(self._keys)} keys)"


def _digest(key: bytes, kind: str, notice_id: uuid.UUID) -> str:
    raw = hmac.digest(key, kind.encode() + notice_id.bytes, "sha256")
    return base64.b32encode(raw).decode().lower()[:DIGEST_LENGTH]

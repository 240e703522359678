"""Kept answers at rest: sealed, for some show what is shown once, and all of them what platforms know about people.

AES-256-GCM under a subkey of the pepper ring, which the database never sees: who reads a backup reads no answer. Each answer
has a key of its own (HMAC of a random salt), and is bound to its row: `a1 | salt | ciphertext`.
"""

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.common.peppers import PepperRing

VERSION: Final = b"a1"
PURPOSE: Final = "kept answers 1"
SALT_BYTES: Final = 16
_NONCE: Final = bytes(12)  # each key seals one answer only


class AnswerBroken(Exception):
    """A sealed answer cannot be opened: its pepper left the ring, or the row was changed."""


class SealedAnswers:
    """Seals with the active pepper, opens with any in the ring."""

    def __init__(self, ring: PepperRing) -> None:
        self._keys = ring.subkeys(PURPOSE)
        self._active = ring.active

    def seal(self, answer: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """The pepper's name, and `answer` sealed for the row that `bound_to` names."""
        salt = secrets.token_bytes(SALT_BYTES)
        return self._active, VERSION + salt + self._cipher(self._active, salt).encrypt(_NONCE, answer, bound_to)

    def open(self, name: str, sealed: bytes, *, bound_to: bytes) -> bytes:
        """The answer. Raises AnswerBroken."""
        salt, ciphertext = sealed[len(VERSION) :][:SALT_BYTES], sealed[len(VERSION) + SALT_BYTES :]
        if name not in self._keys or not sealed.startswith(VERSION):
            raise AnswerBroken("sealed under a pepper that is not in the ring")
        try:
            return self._cipher(name, salt).decrypt(_NONCE, ciphertext, bound_to)
        except InvalidTag:
            raise AnswerBroken("the row was changed") from None

    def _cipher(self, name: str, salt: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._keys[name], salt, "sha256"))

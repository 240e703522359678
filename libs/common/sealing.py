"""Forms with secrets on their way from the edge to sessions: sealed to a public key, so that nothing in between can read them.

X25519 with a fresh key per form, HKDF-SHA256, AES-256-GCM. A sealed form is `f1 | length, name of the key | ephemeral public
key | ciphertext`, and is bound to what it is for (`bound_to`): it cannot be used for another model or link.
"""

import re
from collections.abc import Sequence
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION: Final = b"f1"
KEY_BYTES: Final = 32
KEYS_MAX: Final = 8  # a ring is rotated, not collected
_NONCE: Final = bytes(12)  # each key seals one form only
_ENTRY: Final = re.compile(r"([a-z0-9][a-z0-9_.-]{0,31}):([0-9a-fA-F]{64})")


class FormBroken(Exception):
    """A sealed form cannot be opened: it was changed, or is for something else. Says which, never what."""


class FormKeyMissing(FormBroken):
    """The form is sealed to a key that is not in the ring (any more)."""


def seal_form(name: str, public: bytes, *, bound_to: bytes, form: bytes) -> bytes:
    """`form`, readable only for the holder of the private half of `public` (32 bytes). Raises ValueError for no such key."""
    ephemeral = X25519PrivateKey.generate()
    ours = ephemeral.public_key().public_bytes_raw()
    key = _key(ephemeral.exchange(X25519PublicKey.from_public_bytes(public)), ours, public)
    header = VERSION + bytes((len(name),)) + name.encode("ascii")
    return header + ours + AESGCM(key).encrypt(_NONCE, form, header + bound_to)


class FormKeys:
    """The private keys, the active one first: what is sealed to an older one is still opened."""

    __slots__ = ("_keys", "active", "public")

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._keys = {name: X25519PrivateKey.from_private_bytes(key) for name, key in keys}
        self.active = keys[0][0]
        self.public = self._keys[self.active].public_key().public_bytes_raw()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name:hex64,name:hex64`, active first. Raises ValueError naming the position, never a key."""
        keys: list[tuple[str, bytes]] = []
        for position, entry in enumerate(text.split(","), start=1):
            match = _ENTRY.fullmatch(entry.strip())
            if match is None:
                raise ValueError(f"key {position}: expected name:<64 hexadecimal digits>")
            keys.append((match[1], bytes.fromhex(match[2])))
        if len(keys) > KEYS_MAX or len({name for name, _ in keys}) < len(keys):
            raise ValueError(f"more than {KEYS_MAX} keys, or a name occurs twice")
        return cls(keys)

    def open(self, sealed: bytes, *, bound_to: bytes) -> bytes:
        """The form that was sealed for `bound_to`. Raises FormBroken, FormKeyMissing."""
        start = len(VERSION) + 1
        if sealed[: len(VERSION)] != VERSION or len(sealed) < start:
            raise FormBroken("not a sealed form of version 1")
        end = start + sealed[len(VERSION)]
        header, theirs, ciphertext = sealed[:end], sealed[end : end + KEY_BYTES], sealed[end + KEY_BYTES :]
        private = self._keys.get(header[start:].decode("ascii", errors="replace"))
        if private is None:
            raise FormKeyMissing("sealed to a key that is not in the ring")
        try:
            shared = private.exchange(X25519PublicKey.from_public_bytes(theirs))
            key = _key(shared, theirs, private.public_key().public_bytes_raw())
            return AESGCM(key).decrypt(_NONCE, ciphertext, header + bound_to)
        except (InvalidTag, ValueError):
            raise FormBroken("the form was changed, or is for something else") from None

    def __repr__(self) -> str:
        return f"FormKeys({', '.join(self._keys)})"


def _key(shared: bytes, ephemeral: bytes, recipient: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=ephemeral + recipient, info=b"fangate form 1").derive(shared)

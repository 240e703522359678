"""The vault: secrets at rest, sealed by envelope encryption (AES-256-GCM twice).

A sealed value is `v1 | kek id | nonce | wrapped DEK | nonce | ciphertext`: the value is encrypted under a fresh data key, the
data key under a key of the ring. Both are bound to the place where the value is stored, so a row cannot be moved to another
row, column, table or organization. Rotating the ring rewraps data keys only. No I/O; the ring comes from the settings.
"""

import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION: Final = b"v1"
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
KEYS_MAX: Final = 8  # a ring is rotated, not collected
_ENTRY: Final = re.compile(r"([a-z0-9][a-z0-9_.-]{0,31}):([0-9a-fA-F]{64})")


class SealBroken(Exception):
    """A sealed value cannot be opened: it was changed, moved, or its key is not in the ring. Says which, never what."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs. `schema_version` is that of the value's own shape."""

    table: str
    column: str
    org_id: uuid.UUID
    record_id: uuid.UUID
    schema_version: int = 1

    def aad(self) -> bytes:
        """The place as associated data; no two places have the same (names hold no separator)."""
        return "\x1f".join(
            (self.table, self.column, str(self.org_id), str(self.record_id), str(self.schema_version))
        ).encode()


class Vault:
    """Seals and opens values under a ring of keys, the active one first."""

    __slots__ = ("_active", "_keys")

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._active = keys[0][0]
        self._keys = {name: AESGCM(key) for name, key in keys}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name:hex64,name:hex64`, active first. Raises ValueError naming the position, never a key."""
        keys: list[tuple[str, bytes]] = []
        for position, entry in enumerate(text.split(","), start=1):
            match = _ENTRY.fullmatch(entry.strip())
            if match is None:
                raise ValueError(f"key {position}: expected name:<64 hexadecimal digits>")
            keys.append((match[1], bytes.fromhex(match[2])))
        if len(keys) > KEYS_MAX:
            raise ValueError(f"{len(keys)} keys, at most {KEYS_MAX} are allowed")
        if len({name for name, _ in keys}) < len(keys) or len({key for _, key in keys}) < len(keys):
            raise ValueError("a key's name or value occurs twice")
        return cls(keys)

    @property
    def active(self) -> str:
        """The name of the key that new values are sealed under."""
        return self._active

    def seal(self, place: Place, value: bytes) -> bytes:
        """`value` sealed for `place`, under a data key of its own."""
        data_key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
        nonce = os.urandom(NONCE_BYTES)
        return self._wrapped(place, data_key) + nonce + AESGCM(data_key).encrypt(nonce, value, place.aad())

    def open(self, place: Place, sealed: bytes) -> bytes:
        """The value that was sealed for `place`. Raises SealBroken."""
        data_key, rest = self._unwrap(place, sealed)
        try:
            return AESGCM(data_key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], place.aad())
        except InvalidTag:
            raise SealBroken(f"{place.table}.{place.column}: the value does not fit its place") from None

    def rewrapped(self, place: Place, sealed: bytes) -> bytes | None:
        """`sealed` with its data key under the active key; None when it is already. Raises SealBroken."""
        if key_name(sealed) == self._active:
            return None
        data_key, rest = self._unwrap(place, sealed)
        return self._wrapped(place, data_key) + rest

    def _wrapped(self, place: Place, data_key: bytes) -> bytes:
        name, nonce = self._active.encode(), os.urandom(NONCE_BYTES)
        wrapped = self._keys[self._active].encrypt(nonce, data_key, b"dek\x1f" + place.aad())
        return VERSION + bytes((len(name),)) + name + nonce + wrapped

    def _unwrap(self, place: Place, sealed: bytes) -> tuple[bytes, bytes]:
        name = key_name(sealed)
        if (key := self._keys.get(name)) is None:
            raise SealBroken(f"{place.table}.{place.column}: key {name!r} is not in the ring")
        start = len(VERSION) + 1 + len(name)
        end = start + NONCE_BYTES + KEY_BYTES + TAG_BYTES
        nonce, wrapped = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES : end]
        try:
            return key.decrypt(nonce, wrapped, b"dek\x1f" + place.aad()), sealed[end:]
        except InvalidTag:
            raise SealBroken(f"{place.table}.{place.column}: the value does not fit its place") from None

    def __repr__(self) -> str:
        return f"Vault({', '.join(self._keys)})"


def key_name(sealed: bytes) -> str:
    """The name of the key a value is sealed under. Raises SealBroken for what is no sealed value."""
    header = len(VERSION)
    if sealed[:header] != VERSION or len(sealed) < header + 1:
        raise SealBroken("not a sealed value of version 1")
    end = header + 1 + sealed[header]
    if len(sealed) < end + 2 * (NONCE_BYTES + TAG_BYTES) + KEY_BYTES:
        raise SealBroken("a sealed value is cut off")
    return sealed[header + 1 : end].decode("ascii", errors="replace")

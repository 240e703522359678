"""Identifiers: UUIDv7 for what happens now, UUIDv8 for what follows from it, and the format of API keys.

No I/O but the operating system's randomness.
"""

import hashlib
import os
import re
import secrets
import threading
import time
import uuid
import zlib
from typing import Final

_COUNTER_BITS = 12
_lock = threading.Lock()
_last = (0, 0)  # (milliseconds, counter) of the newest id of this process
_POOL_BYTES: Final = 4_096  # asked of the system at once: a system call for every id would cost more than the id
_pool, _pool_at = b"", 0


def uuid7() -> uuid.UUID:
    """A fresh UUIDv7 (RFC 9562 section 5.7); ids of one process rise strictly, also within one millisecond."""
    global _last  # noqa: PLW0603 - the monotonic counter is per process by definition
    with _lock:
        ms = time.time_ns() // 1_000_000
        random = int.from_bytes(_random(10), "big")
        last_ms, counter = _last
        if ms > last_ms:
            counter = random >> 69  # 11 random bits: room to count upwards
        else:
            ms, counter = last_ms, counter + 1
            if counter >> _COUNTER_BITS:
                ms, counter = ms + 1, 0
        _last = (ms, counter)
        tail = random & ((1 << 62) - 1)
    return uuid.UUID(int=ms << 80 | 7 << 76 | counter << 64 | 2 << 62 | tail)


def uuid7_run(count: int) -> list[bytes]:
    """The 16 bytes of each of `count` fresh UUIDv7, rising like those of `uuid7`: for rows by the thousand, where making the
    objects one by one would cost more than storing them.
    """
    global _last  # noqa: PLW0603
    random, run = os.urandom(8 * count), []
    with _lock:
        ms, counter = max((time.time_ns() // 1_000_000, 0), _last)
        for at in range(0, 8 * count, 8):
            counter += 1
            if counter >> _COUNTER_BITS:
                ms, counter = ms + 1, 0
            head = (ms << 16 | 7 << 12 | counter).to_bytes(8, "big")
            run.append(head + (2 << 6 | random[at] & 0x3F).to_bytes(1, "big") + random[at + 1 : at + 8])
        _last = (ms, counter)
    return run


def random_bytes(count: int) -> bytes:
    """Fresh randomness of the operating system, at most `_POOL_BYTES`."""
    with _lock:
        return _random(count)


def _random(count: int) -> bytes:
    """Bytes of the operating system's randomness, each used once. Only under the lock."""
    global _pool, _pool_at  # noqa: PLW0603
    if _pool_at + count > len(_pool):
        _pool, _pool_at = os.urandom(_POOL_BYTES), 0
    taken = _pool[_pool_at : _pool_at + count]
    _pool_at += count
    return taken


def _forget_random() -> None:
    global _pool  # noqa: PLW0603
    _pool = b""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_random)  # or parent and child would make the same ids


def derived_id(ms: int, key: str) -> uuid.UUID:
    """The UUIDv8 of an operation that follows from another: the same `ms` (of the business event) and `key` always
    give the same id, and it sorts by time beside the UUIDv7 ids.
    """
    h = int.from_bytes(hashlib.sha256(key.encode()).digest()[:10], "big") >> 6  # 74 bits
    return uuid.UUID(int=ms << 80 | 8 << 76 | (h >> 62) << 64 | 2 << 62 | h & (1 << 62) - 1)


def id_ms(id_: uuid.UUID) -> int:
    """The Unix milliseconds inside a UUIDv7 or a derived id."""
    return id_.int >> 80


# API keys: `fg<kind>_` + 30 base62 characters (178 bits) + 6 base62 characters of CRC32 over all before them.
KEY_KINDS: Final = {
    "fgk_": "organization",
    "fgt_": "sandbox",
    "fgu_": "personal",
    "fgo_": "oauth_access",
    "fgr_": "oauth_refresh",
    "fgs_": "app_secret",
}
KEY_PATTERN: Final = re.compile(r"fg[ktuors]_[0-9A-Za-z]{36}")
KEY_START_LENGTH: Final = 8  # prefix and four characters: enough to recognise a key in a list, useless to guess it
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_key(prefix: str) -> str:
    """A fresh key of the kind `prefix` (one of `KEY_KINDS`), 40 characters."""
    if prefix not in KEY_KINDS:
        raise ValueError(f"not a key prefix: {prefix!r}")
    body = prefix + "".join(secrets.choice(_BASE62) for _ in range(30))
    return body + _checksum(body)


def key_kind(text: str) -> str | None:
    """The kind of a well-formed key, or None for anything else; no I/O, so garbage costs next to nothing."""
    if not KEY_PATTERN.fullmatch(text) or _checksum(text[:34]) != text[34:]:
        return None
    return KEY_KINDS[text[:4]]


def _checksum(body: str) -> str:
    crc, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(6):
        crc, digit = divmod(crc, 62)
        digits = _BASE62[digit] + digits
    return digits

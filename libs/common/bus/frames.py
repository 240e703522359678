"""Several calls in one message: u32 length + Struct JSON, u32 length + blob, again and again. Lengths are big-endian.

A message costs far more than its bytes, so the calls of one loop tick share one. Pure.
"""

import struct
import uuid
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from libs.common.contracts.envelope import RpcFailure

CALLS_MAX: Final = 32  # of one message
GROUP_BYTES_MAX: Final = 1 << 20  # a fuller message is closed; a larger call travels alone
FRAME_OVERHEAD_BYTES: Final = 8
_LENGTH: Final = struct.Struct(">I")


class CallHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The envelope of one call and, raw, its request."""

    id: uuid.UUID
    deadline: int  # Unix ms
    body: msgspec.Raw
    org: uuid.UUID | None = None
    trace: str = ""


class AnswerHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to the call of that id: `ok` or `error`. Also, without an id, the body of a single reply."""

    id: uuid.UUID | None = None
    ok: msgspec.Raw = msgspec.Raw()
    error: RpcFailure | None = None


encode_head: Final = msgspec.json.Encoder().encode
decode_call: Final = msgspec.json.Decoder(CallHead).decode
decode_answer: Final = msgspec.json.Decoder(AnswerHead).decode


class BadFrames(ValueError):
    """The bytes are no sequence of frames."""


def pack(frames: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Join (head, blob) pairs."""
    parts: list[bytes] = []
    for head, blob in frames:
        parts += (_LENGTH.pack(len(head)), head, _LENGTH.pack(len(blob)), blob)
    return b"".join(parts)


def unpack(body: bytes) -> list[tuple[bytes, bytes]]:
    """Split into (head, blob) pairs. Raises `BadFrames` unless the bytes end with the last frame."""
    parts = list(_parts(body))
    if len(parts) % 2:
        raise BadFrames("a head without its blob")
    return list(zip(parts[::2], parts[1::2], strict=True))


def _parts(body: bytes) -> Iterator[bytes]:
    at, end = 0, len(body)
    while at < end:
        if at + _LENGTH.size > end:
            raise BadFrames("ends within a length")
        (size,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if at + size > end:
            raise BadFrames("ends within a part")
        yield body[at : at + size]
        at += size


def group(frames: list[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """Cut into messages of at most `CALLS_MAX` frames and about `GROUP_BYTES_MAX` bytes."""
    current: list[tuple[bytes, bytes]] = []
    size = 0
    for head, blob in frames:
        more = len(head) + len(blob) + FRAME_OVERHEAD_BYTES
        if current and (len(current) == CALLS_MAX or size + more > GROUP_BYTES_MAX):
            yield current
            current, size = [], 0
        current.append((head, blob))
        size += more
    if current:
        yield current

"""Pages as 64 bits: pages that say nearly the same differ in few of them (simhash, Charikar 2002). Only these are ever kept."""

import hashlib
import re
from typing import Final

import msgspec

from services.takedowns.domain.page_text import text_of, title_of

ALIKE_BITS_MAX: Final = 3  # of 64: similarity of 0.95
WORDS_MAX: Final = 5_000
SHINGLE_WORDS: Final = 3
_WORD: Final = re.compile(r"[^\W\d_]{2,}")  # numbers change from visit to visit: counters, dates, tokens


class Fingerprint(msgspec.Struct, frozen=True):
    """A page's title and the simhash of its text."""

    title: str
    simhash: int  # unsigned 64 bits

    @property
    def title_hash(self) -> bytes:
        return hashlib.sha256(self.title.encode()).digest()[:16]

    @property
    def signed(self) -> int:
        """The simhash as PostgreSQL's bigint."""
        return self.simhash - (1 << 64) if self.simhash >> 63 else self.simhash


def fingerprint(html: str) -> Fingerprint:
    """The fingerprint of a page."""
    words = [match[0] for match in _WORD.finditer(text_of(html).casefold())][:WORDS_MAX]
    shingles = {" ".join(words[at : at + SHINGLE_WORDS]) for at in range(max(1, len(words) - SHINGLE_WORDS + 1))}
    sums = [0] * 64
    for shingle in shingles:
        bits = int.from_bytes(hashlib.blake2b(shingle.encode(), digest_size=8).digest(), "big")
        for bit in range(64):
            sums[bit] += 1 if bits >> bit & 1 else -1
    simhash = sum(1 << bit for bit in range(64) if sums[bit] > 0)
    return Fingerprint(title_of(html), simhash)


def is_alike(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two pages say nearly the same."""
    return (one.simhash ^ other.simhash).bit_count() <= ALIKE_BITS_MAX

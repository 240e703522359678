"""The ring of peppers under which API keys are stored: a digest is HMAC-SHA256(pepper, key).

Edge and auth share the ring, so the bus and the database carry digests only: who reads either can neither check a leaked
key nor forge a row. The active pepper comes first; the ones behind it are on their way out, and their rows are rewritten
at the next use. No I/O.
"""

import hmac
import re
from collections.abc import Sequence
from typing import Final, Self

_ENTRY: Final = re.compile(r"([a-z0-9][a-z0-9_.-]{0,31}):([0-9a-fA-F]{64})")
PEPPERS_MAX: Final = 8  # one digest per pepper and look-up: a ring is rotated, not collected


class PepperRing:
    """Peppers by name, active first. Never shows a pepper."""

    __slots__ = ("_keyed",)

    def __init__(self, peppers: Sequence[tuple[str, bytes]]) -> None:
        # An HMAC object keyed once and copied per key costs a third of keying it every time.
        self._keyed = tuple((name, hmac.new(pepper, digestmod="sha256")) for name, pepper in peppers)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name:hex64,name:hex64`, active first: names of lower-case letters, digits and `_.-`, peppers of 32 bytes.

        Raises ValueError, naming the position and never the value, for an empty ring, a malformed entry, a name or a
        pepper given twice, or more than `PEPPERS_MAX` entries.
        """
        peppers: list[tuple[str, bytes]] = []
        for position, entry in enumerate(text.split(","), start=1):
            match = _ENTRY.fullmatch(entry.strip())
            if match is None:
                raise ValueError(f"pepper {position}: expected name:<64 hexadecimal digits>")
            peppers.append((match[1], bytes.fromhex(match[2])))
        if len(peppers) > PEPPERS_MAX:
            raise ValueError(f"{len(peppers)} peppers, at most {PEPPERS_MAX} are allowed")
        if len({name for name, _ in peppers}) < len(peppers) or len({pepper for _, pepper in peppers}) < len(peppers):
            raise ValueError("a pepper's name or value occurs twice")
        return cls(peppers)

    @property
    def active(self) -> str:
        """The name of the pepper that new rows are written under."""
        return self._keyed[0][0]

    def digests(self, key: str) -> tuple[tuple[str, str], ...]:
        """`(pepper name, 64 lower-case hex digits)` of `key` under every pepper, active first. About 1 µs each."""
        found = []
        raw = key.encode()
        for name, keyed in self._keyed:
            mac = keyed.copy()
            mac.update(raw)
            found.append((name, mac.hexdigest()))
        return tuple(found)

    def subkeys(self, purpose: str) -> dict[str, bytes]:
        """32 bytes for `purpose` from every pepper, by its name, active first. No API key has a digest like these."""
        return {name: bytes.fromhex(digest) for name, digest in self.digests(f"\0{purpose}")}

    def __repr__(self) -> str:
        return f"PepperRing({', '.join(name for name, _ in self._keyed)})"

"""The dates under which our API may be asked for: exact, known dates only."""

from typing import Final

VERSIONS: Final = ("2025-06-26",)  # oldest first
NEWEST: Final = VERSIONS[-1]


def default_version(pinned: str | None) -> str:
    """What a caller gets who asks for none: the date pinned on the key at issue, else the newest."""
    return pinned if pinned in VERSIONS else NEWEST

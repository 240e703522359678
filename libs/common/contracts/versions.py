"""The dates under which our API may be asked for: exact, known dates only. How long each lives is the edge's business."""

from typing import Final

API_VERSIONS: Final = ("2025-06-26", "2026-11-20")  # oldest first; what changed with each: services/edge/domain/changes
NEWEST: Final = API_VERSIONS[-1]
UNPINNED: Final = API_VERSIONS[0]  # of keys without a date: they were issued while there was only this one

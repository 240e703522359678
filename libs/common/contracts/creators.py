"""Commands of `takedowns` about creators: the rights holders on whose behalf notices are filed.

A creator of another organization does not exist for the caller. Fail with CREATOR_NOT_FOUND, INVALID_REQUEST (naming the place:
`creators[3].email: …`), CONFLICT (the e-mail is another creator's), UNAVAILABLE.
"""

import uuid
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from libs.common.contracts.envelope import Message


class OfficialLink(msgspec.Struct, frozen=True):
    """A profile that is the creator's own: evidence of the work, and never a target."""

    platform: str  # one of 19
    handle: str


class CreatorInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A creator to register, or to bring up to date by e-mail. Left out: as it was; null: cleared."""

    stage_name: str
    email: str
    official_links: tuple[OfficialLink, ...]
    legal_name: str | UnsetType | None = UNSET
    notification_email: str | UnsetType | None = UNSET
    notes: str | UnsetType | None = UNSET


class SubmitCreators(Message, frozen=True, kw_only=True):
    """Register or update in bulk, all or none."""

    org_id: uuid.UUID
    creators: tuple[CreatorInput, ...]
    sandbox_only: bool = False


class CreatorsSubmitted(Message, frozen=True, kw_only=True):
    """How many were new, and how many were known."""

    created: int
    updated: int


class CreatorShown(msgspec.Struct, frozen=True, kw_only=True):
    """A creator as its organization sees it."""

    id: uuid.UUID
    stage_name: str
    email: str
    official_links: tuple[OfficialLink, ...]
    legal_name: str | None
    notification_email: str | None
    notes: str | None
    created_at: datetime
    updated_at: datetime


class ListCreators(Message, frozen=True, kw_only=True):
    """`limit` creators from `offset` on, oldest first."""

    org_id: uuid.UUID
    limit: int = 50
    offset: int = 0


class CreatorPage(Message, frozen=True, kw_only=True):
    """A page, and how many there are in all."""

    creators: tuple[CreatorShown, ...]
    total: int


class _OfCreator(Message, frozen=True, kw_only=True):
    org_id: uuid.UUID
    creator_id: uuid.UUID


class GetCreator(_OfCreator, frozen=True, kw_only=True):
    """One creator."""


class UpdateCreator(_OfCreator, frozen=True, kw_only=True):
    """Change what is named; null clears what may be cleared."""

    stage_name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    official_links: tuple[OfficialLink, ...] | UnsetType = UNSET
    legal_name: str | UnsetType | None = UNSET
    notification_email: str | UnsetType | None = UNSET
    notes: str | UnsetType | None = UNSET


class CreatorAnswer(Message, frozen=True, kw_only=True):
    """A creator after a command."""

    creator: CreatorShown


class DeleteCreator(_OfCreator, frozen=True, kw_only=True):
    """Delete a creator; `is_dry_run`: only say what hangs on it."""

    is_dry_run: bool = False


class CreatorDeletion(Message, frozen=True, kw_only=True):
    """What hangs on a creator: URLs, and those of them that a sent notice names."""

    creator_id: uuid.UUID
    stage_name: str
    associated_urls: int
    associated_takedowns: int
    is_deleted: bool = False


class GetCreatorStats(Message, frozen=True, kw_only=True):
    """Submissions by creator, of creators whose stage name contains `search`, whatever its case."""

    org_id: uuid.UUID
    search: str = ""


class CreatorStats(msgspec.Struct, frozen=True, kw_only=True):
    """What was submitted for one creator; total = new + duplicate + invalid."""

    creator_id: uuid.UUID
    stage_name: str
    total_urls: int
    new_urls: int
    duplicate_urls: int
    invalid_urls: int


class CreatorStatsAnswer(Message, frozen=True, kw_only=True):
    """One line per creator."""

    stats: tuple[CreatorStats, ...]

"""Creators: what may be written about one, when two addresses or handles are the same, and what an update makes of what is known.

Errors name the place in the request: `creators[3].email: …`.
"""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from email_validator import EmailNotValidError, validate_email
from msgspec import UNSET, UnsetType

from libs.common.contracts.creators import CreatorInput, OfficialLink, UpdateCreator
from services.takedowns.domain.errors import InvalidRequest

CREATORS_MAX: Final = 500  # of one request (Seed C)
LINKS_MAX: Final = 50
NAME_LENGTH_MAX: Final = 255
NOTES_LENGTH_MAX: Final = 10_000
PLATFORMS: Final = (
    "onlyfans", "fansly", "fanvue", "manyvids", "chaturbate", "stripchat", "cam4", "bongacams", "livejasmin", "camsoda",
    "patreon", "twitter", "instagram", "tiktok", "reddit", "pornhub", "xvideos", "xhamster", "other",
)  # fmt: skip

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # in a name: it stands in a mail's subject one day
_PROFILE_URL: Final = {
    platform: re.compile(
        rf"(?:https?://)?(?:www\.|m\.)?{'(?:twitter|x)' if platform == 'twitter' else platform}\.com/(?:user/|u/)?",
        re.IGNORECASE,
    )
    for platform in PLATFORMS
    if platform != "other"
}
_AFTER_HANDLE: Final = re.compile(r"[/?#].*", re.DOTALL)


class Creator(msgspec.Struct, frozen=True, kw_only=True):
    """A rights holder on whose behalf notices are filed. `id` is the rows' number; callers know the `public_id`."""

    public_id: uuid.UUID
    org_id: uuid.UUID
    stage_name: str
    email: str  # as it was given
    email_key: str  # the same for all spellings of one address
    links: tuple[OfficialLink, ...]
    legal_name: str | None = None
    notification_email: str | None = None
    notes: str | None = None
    is_sandbox: bool = False
    id: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None


class CreatorChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says about a creator, checked and normalised. Unset: not said."""

    stage_name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    email_key: str | UnsetType = UNSET
    links: tuple[OfficialLink, ...] | UnsetType = UNSET
    legal_name: str | UnsetType | None = UNSET
    notification_email: str | UnsetType | None = UNSET
    notes: str | UnsetType | None = UNSET

    def over(self, creator: Creator) -> Creator:
        """`creator` with the change made."""
        said = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}
        return msgspec.structs.replace(creator, **said)


def change_of(said: CreatorInput | UpdateCreator, place: str, *, allows_test_domains: bool) -> CreatorChange:
    """The checked form of one creator of a request. Raises InvalidRequest naming the member below `place`."""
    email, email_key = _address(said.email, f"{place}email", allows_test_domains=allows_test_domains)
    notification_email = said.notification_email
    if isinstance(notification_email, str):
        notification_email, _ = _address(
            notification_email, f"{place}notification_email", allows_test_domains=allows_test_domains
        )
    return CreatorChange(
        stage_name=_name(said.stage_name, f"{place}stage_name", is_needed=True) or UNSET,
        email=email,
        email_key=email_key,
        links=said.official_links
        if isinstance(said.official_links, UnsetType)
        else links_of(said.official_links, f"{place}official_links"),
        legal_name=_name(said.legal_name, f"{place}legal_name", is_needed=False),
        notification_email=notification_email,
        notes=checked_notes(said.notes, f"{place}notes"),
    )


def checked_notes(notes: str | UnsetType | None, place: str) -> str | UnsetType | None:
    """Internal notes: any text that can be stored. Raises InvalidRequest."""
    if isinstance(notes, str):
        if len(notes) > NOTES_LENGTH_MAX:
            raise InvalidRequest(f"{place}: at most {NOTES_LENGTH_MAX} characters are allowed")
        if "\x00" in notes:
            raise InvalidRequest(f"{place}: the character NUL is not allowed")
    return notes


def links_of(links: Sequence[OfficialLink], place: str) -> tuple[OfficialLink, ...]:
    """Official links in their plain form, repeats folded, the first spelling kept. Raises InvalidRequest."""
    if not 1 <= len(links) <= LINKS_MAX:
        raise InvalidRequest(f"{place}: 1 to {LINKS_MAX} links are expected")
    kept: dict[tuple[str, str], OfficialLink] = {}
    for at, link in enumerate(links):
        if link.platform not in PLATFORMS:
            raise InvalidRequest(f"{place}[{at}].platform: must be one of {', '.join(PLATFORMS)}")
        handle = plain_handle(link.platform, link.handle)
        if not 1 <= len(handle) <= NAME_LENGTH_MAX:
            raise InvalidRequest(f"{place}[{at}].handle: 1 to {NAME_LENGTH_MAX} characters are expected")
        if _CONTROL.search(handle):
            raise InvalidRequest(f"{place}[{at}].handle: control characters are not allowed")
        kept.setdefault((link.platform, handle_key(handle)), OfficialLink(link.platform, handle))
    return tuple(kept.values())


def plain_handle(platform: str, handle: str) -> str:
    """A handle without a leading `@` and without the profile's URL around it. Of `other` it may be a URL, and stays one."""
    plain = handle.strip()
    pattern = _PROFILE_URL.get(platform)
    if pattern is None:
        return plain
    prefix = pattern.match(plain)
    if prefix is not None:
        plain = _AFTER_HANDLE.sub("", plain[prefix.end() :])
    return plain.removeprefix("@").strip()


def handle_key(handle: str) -> str:
    """The same for all spellings of a handle."""
    return handle.casefold()


def _address(
    text: str | UnsetType, place: str, *, allows_test_domains: bool
) -> tuple[str | UnsetType, str | UnsetType]:
    """An e-mail address as it was given, and its key. Whether anybody reads it is not asked."""
    if isinstance(text, UnsetType):
        return UNSET, UNSET
    given = text.strip()
    try:
        valid = validate_email(given, check_deliverability=False, test_environment=allows_test_domains)
    except EmailNotValidError as exc:
        raise InvalidRequest(f"{place}: not a valid address: {str(exc).rstrip('.')}") from None
    local_part = valid.local_part
    return given, f"{local_part.casefold()}@{(valid.ascii_domain or valid.domain).lower()}"


def _name(text: str | UnsetType | None, place: str, *, is_needed: bool) -> str | UnsetType | None:
    if not isinstance(text, str):
        return text
    name = text.strip()
    if (is_needed and not name) or len(name) > NAME_LENGTH_MAX:
        raise InvalidRequest(f"{place}: {1 if is_needed else 0} to {NAME_LENGTH_MAX} characters are expected")
    if _CONTROL.search(name):
        raise InvalidRequest(f"{place}: control characters are not allowed")
    return name or None

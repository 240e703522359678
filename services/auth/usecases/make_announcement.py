"""A significant change of the terms or the API, told to every organization (R179)."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.webhooks import Announcement
from libs.common.ids import uuid7
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.webhook_ports import Announcements

SUBJECTS: Final = ("terms", "api", "other")
TITLE_CHARACTERS_MAX: Final = 200
TEXT_CHARACTERS_MAX: Final = 5_000
URL_CHARACTERS_MAX: Final = 2_048


@dataclass(frozen=True, slots=True)
class MakeAnnouncement:
    """It can be read at once, and goes to every endpoint that takes announcements. Raises InvalidRequest."""

    announcements: Announcements
    clock: Clock

    async def __call__(
        self, *, subject: str, title: str, text: str, effective_at: datetime | None = None, url: str = ""
    ) -> uuid.UUID:
        if subject not in SUBJECTS:
            raise InvalidRequest(f"The subject is one of {', '.join(SUBJECTS)}")
        if not 1 <= len(title.strip()) <= TITLE_CHARACTERS_MAX or not 1 <= len(text.strip()) <= TEXT_CHARACTERS_MAX:
            raise InvalidRequest(
                f"A title has 1 to {TITLE_CHARACTERS_MAX} characters, a text 1 to {TEXT_CHARACTERS_MAX}"
            )
        if url and (not re.fullmatch(r"https://\S+", url) or len(url) > URL_CHARACTERS_MAX):
            raise InvalidRequest("The URL begins with https://")
        announcement = Announcement(
            announcement_id=uuid7(),
            made_at=self.clock.now(),
            subject=subject,
            title=title.strip(),
            text=text.strip(),
            effective_at=effective_at,
            url=url,
        )
        await self.announcements.add(announcement)
        return announcement.announcement_id

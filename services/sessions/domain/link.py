"""A connect link: for a quarter of an hour its holder may type, once, what a model signs in with."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.sessions.domain.model import BY_CONSENT, State

LINK_LIFE: Final = timedelta(minutes=15)
ATTEMPTS_MAX: Final = 10  # forms: typing errors are human, guessing is not served


@dataclass(frozen=True, slots=True)
class Link:
    """A link that can be followed. `digest` is the SHA-256 of its token, which is nowhere but in the link."""

    digest: bytes
    org_id: uuid.UUID
    model_id: uuid.UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A link and its model as the page needs them."""

    link: Link
    label: str
    provider: str
    state: State
    reason: str
    has_credentials: bool  # or the code of a consent
    is_used: bool

    @property
    def step(self) -> str:
        """What the page asks for or says."""
        if self.is_used or self.state in (State.CONNECTED, State.REFRESHING):
            return "connected"
        if self.state is State.AWAITING_2FA:
            return "code"
        if self.state is State.CONNECTING and self.has_credentials:
            return "working"
        return "consent" if self.provider in BY_CONSENT else "credentials"

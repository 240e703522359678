"""What has ended long ago is dropped: sessions, codes, tokens."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from services.auth.domain.app_ports import SignIns, Tokens

SESSIONS_KEPT: Final = timedelta(days=30)  # after their end, for whoever asks what happened
CODES_KEPT: Final = timedelta(days=1)  # a replay within it still ends the grant
TOKENS_KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ForgetSignIns:
    """Drop a portion; how many rows."""

    tokens: Tokens
    sign_ins: SignIns
    clock: Clock

    async def __call__(self) -> int:
        now = self.clock.now()
        dropped = await self.tokens.forget(now - CODES_KEPT, now - TOKENS_KEPT)
        return dropped + await self.sign_ins.forget(now - SESSIONS_KEPT)

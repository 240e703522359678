"""Sealing what users type to sessions' public key: between here and there nobody can read it, the bus included."""

from typing import Final

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.models import Form, FormKey, GetFormKey
from libs.common.sealing import seal_form
from services.edge.domain.ports import Services

KEY_MS_MAX: Final = 60_000  # a key is believed this long; sessions opens what is sealed to older ones
DEADLINE_MS: Final = 2_000


class SealedForms:
    """The port `Forms`."""

    def __init__(self, services: Services, clock: Clock) -> None:
        self._services = services
        self._clock = clock
        self._known: tuple[int, FormKey] | None = None  # (since, of the stopwatch; key)

    async def seal(self, form: Form, *, bound_to: bytes) -> bytes:
        key = await self._key()
        return seal_form(key.name, key.public, bound_to=bound_to, form=msgspec.json.encode(form))

    async def _key(self) -> FormKey:
        now_ms = self._clock.stopwatch_ms()
        if self._known is None or now_ms - self._known[0] > KEY_MS_MAX:
            reply = await self._services.ask(
                GetFormKey(), org_id=None, deadline_ms=self._clock.now_ms() + DEADLINE_MS, may_repeat=True
            )
            assert isinstance(reply, FormKey)
            self._known = (now_ms, reply)
        return self._known[1]

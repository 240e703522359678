"""Sealing what users type to the public key of the service that may read it: nobody between here and there can, the bus included."""

from typing import Final

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.models import Form, FormKey, GetFormKey
from libs.common.contracts.sign_in import GetPasswordKey, PasswordForm, PasswordKey
from libs.common.sealing import seal_form
from services.edge.domain.ports import Services

KEY_MS_MAX: Final = 60_000  # a key is believed this long; sessions opens what is sealed to older ones
DEADLINE_MS: Final = 2_000


class SealedForms:
    """The port `Forms`: to sessions."""

    def __init__(self, services: Services, clock: Clock) -> None:
        self._keys = _PublicKey(services, clock, GetFormKey())

    async def seal(self, form: Form, *, bound_to: bytes) -> bytes:
        name, public = await self._keys.get()
        return seal_form(name, public, bound_to=bound_to, form=msgspec.json.encode(form))


class SealedPasswords:
    """The port `SealedPasswords`: to auth."""

    def __init__(self, services: Services, clock: Clock) -> None:
        self._keys = _PublicKey(services, clock, GetPasswordKey())

    async def seal(self, password: str, *, bound_to: bytes) -> bytes:
        name, public = await self._keys.get()
        return seal_form(name, public, bound_to=bound_to, form=msgspec.json.encode(PasswordForm(password)))


class _PublicKey:
    """The key of the service that answers `question`, believed for a while."""

    def __init__(self, services: Services, clock: Clock, question: GetFormKey | GetPasswordKey) -> None:
        self._services = services
        self._clock = clock
        self._question = question
        self._known: tuple[int, FormKey | PasswordKey] | None = None  # (since, of the stopwatch; key)

    async def get(self) -> tuple[str, bytes]:
        now_ms = self._clock.stopwatch_ms()
        if self._known is None or now_ms - self._known[0] > KEY_MS_MAX:
            reply = await self._services.ask(
                self._question, org_id=None, deadline_ms=self._clock.now_ms() + DEADLINE_MS, may_repeat=True
            )
            assert isinstance(reply, FormKey | PasswordKey)
            self._known = (now_ms, reply)
        return self._known[1].name, self._known[1].public

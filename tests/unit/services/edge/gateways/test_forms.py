"""Forms are sealed to the key that sessions names; the key is asked for once a minute."""

from uuid import UUID

import msgspec

from libs.common.contracts.envelope import Message
from libs.common.contracts.models import Form, FormKey, GetFormKey
from libs.common.sealing import FormKeys
from services.edge.gateways.forms import KEY_MS_MAX, SealedForms
from tests.support.edge import ManualClock

KEYS = FormKeys.parse(f"k1:{'11' * 32}")


class KeyHolder:
    def __init__(self) -> None:
        self.asked = 0

    async def ask(
        self, command: Message, *, org_id: UUID | None, deadline_ms: int, may_repeat: bool, blob: bytes = b""
    ) -> Message:
        assert isinstance(command, GetFormKey)
        assert (org_id, may_repeat, deadline_ms > 0) == (None, True, True)
        self.asked += 1
        return FormKey(name=KEYS.active, public=KEYS.public)


async def test_a_form_is_readable_for_the_holder_of_the_key_only() -> None:
    sealed = await SealedForms(KeyHolder(), ManualClock()).seal(Form(code="123456"), bound_to=b"x")
    assert b"123456" not in sealed
    assert msgspec.json.decode(KEYS.open(sealed, bound_to=b"x"), type=Form) == Form(code="123456")


async def test_the_key_is_asked_for_once_a_minute() -> None:
    holder, clock = KeyHolder(), ManualClock()
    forms = SealedForms(holder, clock)
    for _ in range(3):
        await forms.seal(Form(code="1"), bound_to=b"x")
    assert holder.asked == 1
    clock.advance(KEY_MS_MAX + 1)
    await forms.seal(Form(code="1"), bound_to=b"x")
    assert holder.asked == 2

"""Passwords that the edge sealed to our key: opened here, and nowhere before."""

import msgspec

from libs.common.contracts.sign_in import PasswordForm
from libs.common.sealing import FormBroken, FormKeys
from services.auth.domain.errors import InvalidRequest


class OpenedForms:
    """The port `SealedPasswords`."""

    def __init__(self, keys: FormKeys) -> None:
        self.keys = keys

    def password(self, sealed: bytes, *, bound_to: bytes) -> str:
        try:
            return msgspec.json.decode(self.keys.open(sealed, bound_to=bound_to), type=PasswordForm).password
        except (FormBroken, msgspec.DecodeError):
            raise InvalidRequest("The form could not be opened: send it again") from None

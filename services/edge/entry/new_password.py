"""The two fields in which somebody chooses a password, and what they hold."""

from collections.abc import Mapping
from typing import Final

from services.edge.domain.refusal import Refusal

FIELDS: Final = """\
<label for="password">Choose a password</label>
<input id="password" name="password" type="password" autocomplete="new-password" minlength="12" required>
<label for="again">The same once more</label>
<input id="again" name="again" type="password" autocomplete="new-password" minlength="12" required>"""


def typed_password(fields: Mapping[str, str]) -> str:
    """What was typed, twice the same. Raises Refusal (400)."""
    password = fields.get("password", "")
    if not password:
        raise Refusal("INVALID_REQUEST", "Choose a password.")
    if password != fields.get("again", ""):
        raise Refusal("INVALID_REQUEST", "The two passwords are not the same.")
    return password

"""The page behind a link to set a password."""

from collections.abc import Mapping
from html import escape
from typing import Final

from libs.common.contracts.sign_in import PasswordLinkShown
from services.edge.entry.link_pages import Sent
from services.edge.entry.new_password import FIELDS, typed_password
from services.edge.entry.page import a_page, alert
from services.edge.usecases.set_password import SetUsersPassword

_FORM: Final = """\
{problem}<p>The password of {email}.</p>
<form method="post">
<input type="hidden" name="form" value="{form}">
{fields}
<button type="submit">Set the password</button>
</form>
<p class="note">The link works once, until {until} UTC. Whoever is signed in as you is signed out everywhere.</p>"""

_DONE: Final = """\
<p class="done" role="status">Done. {email} can sign in at <a href="/account">the account</a>; the link is used up.</p>"""


class PasswordPage:
    """Behind `/password/{token}`."""

    prefix = "/password/"
    name = "password_page"

    def __init__(self, set_password: SetUsersPassword) -> None:
        self._set_password = set_password

    async def show(self, token: str) -> PasswordLinkShown:
        return await self._set_password.show(token)

    def render(self, shown: PasswordLinkShown, *, form: str, problem: str = "") -> bytes:
        body = _FORM.format(
            problem=alert(problem),
            email=escape(shown.email),
            form=escape(form),
            fields=FIELDS,
            until=shown.expires_at.strftime("%Y-%m-%d %H:%M"),
        )
        return a_page(f"Sign in to {escape(shown.organization)}", body)

    async def send(self, token: str, fields: Mapping[str, str], *, address: str) -> Sent:
        shown = await self._set_password(token, typed_password(fields), address=address)
        return Sent(is_done=True, page=a_page("The password is set", _DONE.format(email=escape(shown.email))))

"""The page of an invitation: who is asked where, and the password to sign in with from then on."""

from collections.abc import Mapping
from html import escape
from typing import Final

from libs.common.contracts.auth import InvitationShown
from services.edge.entry.link_pages import Sent
from services.edge.entry.new_password import FIELDS, typed_password
from services.edge.entry.page import a_page, alert
from services.edge.usecases.join_organization import JoinOrganization

_INVITED: Final = """\
{problem}<p>{email} is invited to join as <strong>{role}</strong>.</p>
<form method="post">
<input type="hidden" name="form" value="{form}">
{fields}
<button type="submit">Join</button>
</form>
<p class="note">The link works once, until {until} UTC. If you did not expect it, close this page.</p>"""

_JOINED: Final = """\
<p class="done" role="status">Done. {email} belongs to {organization} now. The link is used up; you can sign in at \
<a href="/account">your account</a>.</p>"""


class JoinPage:
    """Behind `/join/{token}`."""

    prefix = "/join/"
    name = "join_page"

    def __init__(self, join: JoinOrganization) -> None:
        self._join = join

    async def show(self, token: str) -> InvitationShown:
        return await self._join.show(token)

    def render(self, shown: InvitationShown, *, form: str, problem: str = "") -> bytes:
        body = _INVITED.format(
            problem=alert(problem),
            email=escape(shown.email),
            role=escape(shown.role),
            form=escape(form),
            fields=FIELDS,
            until=shown.expires_at.strftime("%Y-%m-%d %H:%M"),
        )
        return a_page(f"Join {escape(shown.organization)}", body)

    async def send(self, token: str, fields: Mapping[str, str], *, address: str) -> Sent:
        shown = await self._join(token, typed_password(fields), address=address)
        text = _JOINED.format(email=escape(shown.email), organization=escape(shown.organization))
        return Sent(is_done=True, page=a_page(f"You have joined {escape(shown.organization)}", text))

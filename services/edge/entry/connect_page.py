"""The page of a connect link: a platform's credentials are typed here, and a code where the platform asks for one."""

from collections.abc import Mapping
from html import escape
from typing import Final

from libs.common.contracts.models import Form, LinkShown
from services.edge.entry.page import a_page
from services.edge.usecases.follow_link import FollowLink

RELOAD_SECONDS: Final = 3  # while the platform is signing in

_REASONS: Final = {
    "credentials_refused": "The platform did not accept this e-mail address and password.",
    "code_refused": "The platform did not accept this code.",
    "another_account": "These credentials belong to another account than the one connected here before.",
    "account_connected_already": "This account is connected already.",
    "two_factor_required": "The platform asks for a two-factor code: sign in again.",
}

_NOTE: Final = """\
<p class="note">What you type is encrypted at once and used for nothing but signing in to the platform. Whoever sent you this link
never sees it. The link works once, until {until} UTC. If you did not expect it, close this page.</p>"""

_CREDENTIALS: Final = """\
{problem}<p>Sign in with the e-mail address and password of the creator's account on the platform.</p>
<form method="post" autocomplete="off">
<input type="hidden" name="form" value="{form}">
<label for="email">E-mail address</label>
<input id="email" name="email" type="email" maxlength="320" autocomplete="off" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" maxlength="1024" autocomplete="off" required>
<button type="submit">Connect</button>
</form>"""

_CODE: Final = """\
{problem}<p>The platform asks for a two-factor code. It sent you one, or your authenticator app shows it.</p>
<form method="post" autocomplete="off">
<input type="hidden" name="form" value="{form}">
<label for="code">Code</label>
<input id="code" name="code" inputmode="numeric" maxlength="32" autocomplete="one-time-code" required autofocus>
<button type="submit">Send the code</button>
</form>"""


def link_page(shown: LinkShown, *, form: str, problem: str = "") -> bytes:
    """The page of a link in its present step. `form` is the form's own token; `problem` what went wrong just now."""
    label = escape(shown.label)
    if shown.step == "connected":
        return a_page(
            f"{label} is connected",
            '<p class="done" role="status">Done. You can close this page; the link is used up.</p>',
        )
    if shown.step == "working":
        return a_page(
            f"Connecting {label}",
            '<p role="status">The platform is signing in. This page looks again by itself.</p>',
            head=f'\n<meta http-equiv="refresh" content="{RELOAD_SECONDS}">',
        )
    text = problem or (shown.reason and _REASONS.get(shown.reason, "The last attempt did not work."))
    alert = f'<p class="problem" role="alert">{escape(text)}</p>\n' if text else ""
    template = _CODE if shown.step == "code" else _CREDENTIALS
    note = _NOTE.format(until=shown.expires_at.strftime("%H:%M"))
    return a_page(f"Connect {label}", template.format(problem=alert, form=escape(form)) + "\n" + note)


class ConnectPage:
    """Behind `/connect/{token}`."""

    prefix = "/connect/"
    name = "connect_page"

    def __init__(self, follow: FollowLink) -> None:
        self._follow = follow

    async def show(self, token: str) -> LinkShown:
        return await self._follow.show(token)

    def render(self, shown: LinkShown, *, form: str, problem: str = "") -> bytes:
        return link_page(shown, form=form, problem=problem)

    async def send(self, token: str, fields: Mapping[str, str], *, address: str) -> tuple[bool, bytes | None]:
        form = Form(
            email=fields.get("email", "").strip(),
            password=fields.get("password", ""),
            code=fields.get("code", "").strip(),
        )
        shown = await self._follow.send(token, form, address=address)
        return not shown.reason, None

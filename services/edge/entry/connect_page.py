"""The page of a connect link: a platform's credentials are typed here, and a code where the platform asks for one."""

from collections.abc import Mapping
from html import escape
from typing import Final

from libs.common.contracts.models import Form, LinkShown
from services.edge.entry.consent_callback import kept
from services.edge.entry.link_pages import Sent
from services.edge.entry.page import a_page
from services.edge.usecases.ask_consent import AskConsent
from services.edge.usecases.follow_link import FollowLink

RELOAD_SECONDS: Final = 3  # while the platform is signing in

_PLATFORMS: Final = {"fanvue": "Fanvue"}

_REASONS: Final = {
    "credentials_refused": "The platform did not accept this e-mail address and password.",
    "code_refused": "The platform did not accept this code.",
    "another_account": "This is another account than the one that was connected here before.",
    "account_connected_already": "This account is connected already.",
    "account_unknown": "The platform did not say which account this is. Try again.",
    "client_refused": "The platform does not accept this gateway at the moment. Whoever sent you this link knows what to do.",
    "consent_denied": "You did not allow it. Nothing was connected.",
    "consent_failed": "The platform did not go through with it. Try again.",
    "consent_mixed_up": "The answer came from another platform than the one you were sent to. Nothing was connected.",
    "consent_refused": "The platform's answer was too old, or was used already. Try again.",
    "grant_refused": "The platform does not know this connection any more: allow it again.",
    "renewal_interrupted": "The connection was lost while it was being renewed: allow it again.",
    "no_consent": "It took too long. Try again.",
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

_CONSENT: Final = """\
{problem}<p>{platform} asks you whether the creator's account may be used from here. You sign in there: nobody here sees your password.</p>
<form method="post" autocomplete="off">
<input type="hidden" name="form" value="{form}">
<button type="submit" name="consent" value="ask">Connect with {platform}</button>
</form>
<p class="note">You can withdraw your consent at {platform} at any time, and whoever sent you this link can end the connection. The link
works once, until {until} UTC. If you did not expect it, close this page.</p>"""

_LEAVING: Final = """\
<p role="status">You are being taken to {platform}.</p>
<p><a href="{url}" rel="noreferrer">Continue at {platform}</a></p>"""

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
    if shown.step == "consent":
        text = _CONSENT.format(
            problem=alert,
            form=escape(form),
            platform=_platform(shown.provider),
            until=shown.expires_at.strftime("%H:%M"),
        )
        return a_page(f"Connect {label}", text)
    template = _CODE if shown.step == "code" else _CREDENTIALS
    note = _NOTE.format(until=shown.expires_at.strftime("%H:%M"))
    return a_page(f"Connect {label}", template.format(problem=alert, form=escape(form)) + "\n" + note)


def leaving_page(platform: str, url: str) -> bytes:
    """The way out. Not a redirect: a browser would take that for a form that is sent to another site, which our pages forbid."""
    to = escape(url)
    return a_page(
        f"Connect with {platform}",
        _LEAVING.format(platform=platform, url=to),
        head=f'\n<meta http-equiv="refresh" content="0;url={to}">',
    )


def _platform(provider: str) -> str:
    return escape(_PLATFORMS.get(provider, provider))


class ConnectPage:
    """Behind `/connect/{token}`."""

    prefix = "/connect/"
    name = "connect_page"

    def __init__(self, follow: FollowLink, ask: AskConsent) -> None:
        self._follow = follow
        self._ask = ask

    async def show(self, token: str) -> LinkShown:
        return await self._follow.show(token)

    def render(self, shown: LinkShown, *, form: str, problem: str = "") -> bytes:
        return link_page(shown, form=form, problem=problem)

    async def send(self, token: str, fields: Mapping[str, str], *, address: str) -> Sent:
        if "consent" in fields:
            url, trip = await self._ask.start(token)
            shown = await self._follow.show(token)
            return Sent(is_done=True, page=leaving_page(_platform(shown.provider), url), kept=kept(token, trip))
        form = Form(
            email=fields.get("email", "").strip(),
            password=fields.get("password", ""),
            code=fields.get("code", "").strip(),
        )
        shown = await self._follow.send(token, form, address=address)
        return Sent(is_done=not shown.reason)

"""The HTML of connect links: plain, without script, readable by a screen reader; every value that is not ours is escaped."""

from html import escape
from typing import Final

from libs.common.contracts.models import LinkShown

STYLE_PATH: Final = "/connect/style.css"
RELOAD_SECONDS: Final = 3  # while the platform is signing in

STYLE: Final = b"""\
:root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; }
main { max-width: 26rem; margin: 12vh auto 3rem; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; font: inherit; padding: .6rem .7rem; border: 1px solid GrayText; border-radius: .5rem;
  background: Field; color: FieldText; }
button { margin-top: 1.5rem; width: 100%; font: inherit; font-weight: 600; padding: .7rem; border: 0; border-radius: .5rem;
  background: #1f4fd8; color: #fff; cursor: pointer; }
input:focus-visible, button:focus-visible { outline: 3px solid #7aa2ff; outline-offset: 2px; }
.problem { border-left: 4px solid #c62828; padding: .5rem .8rem; background: color-mix(in srgb, #c62828 12%, Canvas); }
.done { border-left: 4px solid #2e7d32; padding: .5rem .8rem; background: color-mix(in srgb, #2e7d32 12%, Canvas); }
.note { color: GrayText; font-size: .88rem; margin-top: 1.5rem; }
"""

_REASONS: Final = {
    "credentials_refused": "The platform did not accept this e-mail address and password.",
    "code_refused": "The platform did not accept this code.",
    "another_account": "These credentials belong to another account than the one connected here before.",
    "account_connected_already": "This account is connected already.",
    "two_factor_required": "The platform asks for a two-factor code: sign in again.",
}

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">{head}
<title>{title}</title>
<link rel="stylesheet" href="{style}">
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""

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
        return _page(
            f"{label} is connected",
            '<p class="done" role="status">Done. You can close this page; the link is used up.</p>',
        )
    if shown.step == "working":
        return _page(
            f"Connecting {label}",
            '<p role="status">The platform is signing in. This page looks again by itself.</p>',
            head=f'\n<meta http-equiv="refresh" content="{RELOAD_SECONDS}">',
        )
    text = problem or (shown.reason and _REASONS.get(shown.reason, "The last attempt did not work."))
    alert = f'<p class="problem" role="alert">{escape(text)}</p>\n' if text else ""
    template = _CODE if shown.step == "code" else _CREDENTIALS
    note = _NOTE.format(until=shown.expires_at.strftime("%H:%M"))
    return _page(f"Connect {label}", template.format(problem=alert, form=escape(form)) + "\n" + note)


def message_page(title: str, text: str) -> bytes:
    """A page that says one thing."""
    return _page(escape(title), f'<p class="problem" role="alert">{escape(text)}</p>')


def _page(title: str, body: str, *, head: str = "") -> bytes:
    return _PAGE.format(title=title, body=body, head=head, style=STYLE_PATH).encode()

"""How the pages of the account look. Pure: every value that is not ours is escaped."""

from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import quote

from libs.common.contracts.apps import Grant
from libs.common.contracts.models import ModelShown
from libs.common.contracts.personal_keys import CallSeen, PersonalKey
from libs.common.contracts.sign_in import SessionShown
from services.edge.entry.page import a_page, alert
from services.edge.entry.scope_words import SCOPES, in_words
from services.edge.entry.session_pages import SIGN_IN

_SIGN_IN: Final = """\
{problem}<form method="post" action="{action}">
<input type="hidden" name="form" value="{form}">
<label for="email">E-mail address</label>
<input id="email" name="email" type="email" autocomplete="username" value="{email}" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Sign in</button>
</form>
<p class="note">No password yet, or forgotten? Ask whoever runs this gateway for a link.</p>"""

_HOME: Final = """\
<p>Signed in as <strong>{email}</strong> of {organization} ({role}).</p>
<ul>
<li><a href="/account/key">Your personal API key</a></li>
<li><a href="/account/apps">Apps that you allowed access</a></li>
</ul>
<form method="post" action="/account/sign-out">
<input type="hidden" name="form" value="{form}">
<button type="submit">Sign out</button>
</form>
<form method="post" action="/account/sign-out">
<input type="hidden" name="form" value="{form}">
<input type="hidden" name="everywhere" value="1">
<button type="submit" class="plain">Sign out everywhere</button>
</form>"""

_KEY: Final = """\
{problem}{secret}{current}<h2>{heading}</h2>
<form method="post" action="/account/key">
<input type="hidden" name="form" value="{form}">
<label for="label">Label</label>
<input id="label" name="label" maxlength="100" value="personal" required>
<label for="model">Model</label>
<select id="model" name="model">
<option value="">none: for /api and /v1 only</option>
{models}</select>
<fieldset><legend>What it may do</legend>
{scopes}</fieldset>
<label for="password">Your password once more</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">{button}</button>
</form>
<p class="note">A key is shown once, when it is made. What it may do cannot be changed afterwards. A new key ends the one before. Keep it \
secret: nobody who helps you needs it.</p>
<p><a href="/account">Back</a></p>"""

_CURRENT: Final = """\
<p>Your key <code>{start}…</code> ({label}) is {state}. Made {created}, last used {used}. It may: {scopes}.</p>
<form method="post" action="/account/key/revoke">
<input type="hidden" name="form" value="{form}">
<button type="submit" class="plain">End this key now</button>
</form>
<h2>Recent calls</h2>
{calls}
"""

_APP: Final = """\
<h2>{app}</h2>
<p>By {owner}{domains}. Since {since}, with the model {model}.</p>
<ul>{scopes}</ul>
<form method="post" action="/account/apps/revoke">
<input type="hidden" name="form" value="{form}">
<input type="hidden" name="grant" value="{grant}">
<button type="submit" class="plain">Take it back</button>
</form>
"""

_TIME: Final = "%Y-%m-%d %H:%M UTC"


def sign_in(*, form: str, back: str, email: str, problem: str) -> bytes:
    """The form of everybody."""
    action = escape(f"{SIGN_IN}?next={quote(back, safe='')}")
    return a_page("Sign in", _SIGN_IN.format(problem=alert(problem), action=action, form=form, email=escape(email)))


def home(who: SessionShown, *, form: str) -> bytes:
    """Where everything begins."""
    body = _HOME.format(
        email=escape(who.email), organization=escape(who.organization), role=escape(who.role), form=form
    )
    return a_page("Your account", body)


def key(
    current: PersonalKey | None,
    calls: Sequence[CallSeen],
    models: Sequence[ModelShown],
    *,
    form: str,
    problem: str,
    secret: str,
) -> bytes:
    """The key there is, what was called with it, and the form for the next."""
    body = _KEY.format(
        problem=alert(problem),
        secret=f'<p class="done" role="status">Your new key, shown this once:</p>\n<p><code id="secret">{escape(secret)}</code></p>\n'
        if secret
        else "",
        current="" if current is None else _current(current, calls, form),
        heading="Make a key" if current is None else "Make another one in its place",
        button="Make the key",
        form=form,
        models="".join(f'<option value="{each.model_id}">{escape(each.label)}</option>\n' for each in models),
        scopes="".join(_scope_box(scope) for scope in SCOPES),
    )
    return a_page("Your personal API key", body)


def apps(grants: Sequence[Grant], models: Sequence[ModelShown], *, form: str) -> bytes:
    """Who may do what, and the way to take it back."""
    labels = {each.model_id: each.label for each in models}
    shown = "".join(
        _APP.format(
            app=escape(grant.app),
            owner=escape(grant.owner),
            domains=escape(f" ({', '.join(grant.domains)})" if grant.domains else ""),
            since=grant.created_at.strftime(_TIME),
            model=escape(labels.get(grant.model_id, str(grant.model_id))),
            scopes="".join(f"<li>{escape(in_words(scope))}</li>" for scope in grant.scopes),
            form=form,
            grant=grant.grant_id,
        )
        for grant in grants
    )
    note = (
        '<p class="note">Take back what you do not know or do not use any more: it ends at once. If somebody asked you to make an app or '
        "to hand over a secret, it is fraud: take it back here, and report it.</p>\n"
    )
    return a_page(
        "Apps that you allowed access",
        (shown or "<p>You allowed no app anything.</p>\n") + note + '<p><a href="/account">Back</a></p>',
    )


def _current(current: PersonalKey, calls: Sequence[CallSeen], form: str) -> str:
    rows = "".join(
        f"<tr><td>{each.at.strftime(_TIME)}</td><td>{escape(each.method)} {escape(each.path)}</td><td>{each.status}</td></tr>\n"
        for each in calls
    )
    table = f"<table><tr><th>When</th><th>What</th><th>Status</th></tr>\n{rows}</table>"
    return _CURRENT.format(
        start=escape(current.start),
        label=escape(current.label),
        state=escape(current.state),
        created=current.created_at.strftime(_TIME),
        used="never" if current.last_used_at is None else current.last_used_at.strftime(_TIME),
        scopes=escape(", ".join(current.scopes)),
        form=form,
        calls=table if calls else "<p>None that we know of.</p>",
    )


def _scope_box(scope: str) -> str:
    checked = " checked" if scope.startswith("read:") else ""
    words = f"{escape(in_words(scope))} <code>{escape(scope)}</code>"
    return (
        f'<label><input type="checkbox" name="scope" value="{escape(scope)}"{checked}> <span>{words}</span></label>\n'
    )

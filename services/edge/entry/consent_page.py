"""`/oauth2/auth`: a user is asked whether an app may have what it wants. Whoever the app cannot be sure to be is sent nowhere."""

from collections.abc import Sequence
from html import escape
from typing import Final
from uuid import UUID

from aiohttp import web

from libs.common.contracts.apps import Client
from libs.common.contracts.auth import APPS
from libs.common.contracts.models import ModelShown
from libs.common.contracts.sign_in import SessionShown
from libs.common.http.server import Answer
from services.edge.domain.refusal import Refusal
from services.edge.entry.authorization import Asked, OAuthProblem, unknown_client
from services.edge.entry.page import a_page, alert
from services.edge.entry.pages import METHODS, POLICY, html, see_other
from services.edge.entry.scope_words import in_words
from services.edge.entry.session_pages import SessionPages, form_token, to_sign_in
from services.edge.usecases.authorize_app import AuthorizeApp
from services.edge.usecases.keep_session import KeepSession
from services.edge.usecases.manage_account import ManageAccount

PATH: Final = "/oauth2/auth"

_CONSENT: Final = """\
{problem}<p><strong>{app}</strong>, by {owner}{domains}, asks for access to a model of {organization}. You are signed in as {email}.</p>
{warning}<p>It wants to:</p>
<ul>
{scopes}</ul>
<form method="post">
<input type="hidden" name="form" value="{form}">
<fieldset><legend>With which model</legend>
{models}</fieldset>
<p class="warning">Allow this only if you came here from {app} yourself, and meant to. If somebody in a chat, a bot or a mail asked you to \
do this, or to make an app or hand over a secret for them, it is likely fraud: do not allow it, and report it.</p>
<button type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny" class="plain">Do not allow</button>
</form>
<p class="note">You will be sent to {host}. You can take this back at any time at <a href="/account/apps">your account</a>.</p>"""

_DEVELOPMENT: Final = """\
<p class="warning">This app is in development: nobody has checked where it sends you, and it serves you alone, because you registered it.</p>
"""


class ConsentPages(SessionPages):
    """The handler of the authorization endpoint."""

    prefix = PATH
    name = "consent_page"

    def __init__(
        self, authorize: AuthorizeApp, account: ManageAccount, sessions: KeepSession, **wiring: object
    ) -> None:
        super().__init__(sessions, **wiring)
        self._authorize = authorize
        self._account = account

    async def _answer(self, request: web.BaseRequest) -> Answer:
        self._check_https(request)
        if request.rel_url.raw_path != PATH:
            raise Refusal("NOT_FOUND", "There is no such page.")
        if request.method not in METHODS:
            raise Refusal("METHOD_NOT_ALLOWED", allow="GET, HEAD, POST")
        address = self._address(request)
        self._check_blocked(address)
        asked, who = Asked.read(request.rel_url.raw_query_string), await self._who(request)
        client = await self._authorize.client(asked.client_id, asked.redirect_uri, who)
        if client is None:
            await self._failures.count(address)  # guesses of apps and redirects count
            raise unknown_client()
        issuer = self._own_origin(request)
        try:
            scopes, challenge = asked.checked()
            if who is None:
                return to_sign_in(f"{PATH}?{request.rel_url.raw_query_string}")
            self._check_serves(client, who)
            if request.method == "POST":
                return await self._decide(request, asked, client, who, scopes, challenge)
            return await self._ask(request, asked, client, who, scopes)
        except OAuthProblem as problem:
            # The redirect is the app's own: only there is anybody sent, also with bad news.
            return see_other(asked.back(issuer, error=problem.error, error_description=problem.description))

    def _check_serves(self, client: Client, who: SessionShown) -> None:
        """Raise Refusal (403): the user is told, for the app can do nothing about it."""
        if APPS not in who.features:
            raise Refusal("NOT_ENABLED", "Apps are not enabled for your organization: ask the operator.")
        if not client.serves_user:
            raise Refusal("PERMISSION_DENIED", "This app is in development: it serves the user who registered it only.")

    async def _decide(
        self, request: web.BaseRequest, asked: Asked, client: Client, who: SessionShown, scopes: tuple[str, ...], challenge: str
    ) -> Answer:  # fmt: skip
        cookie = self._cookie(request)
        fields = await self._form(request, cookie)
        decision = (fields.get("decision") or [""])[-1]
        if decision == "deny":
            raise OAuthProblem("access_denied", "The user did not allow it")
        if decision != "allow":
            raise Refusal("INVALID_REQUEST", "The form could not be read: open the page again.")
        chosen = (fields.get("model") or [""])[-1]
        models = {str(each.model_id): each.model_id for each in await self._account.models(who)}
        if chosen not in models:
            return await self._ask(request, asked, client, who, scopes, status=400, problem="Choose a model.")
        code = await self._authorize.allow(
            cookie, asked.client_id, asked.redirect_uri, scopes=scopes, model_id=models[chosen], challenge=challenge,
            address=self._address(request),
        )  # fmt: skip
        return see_other(asked.back(self._own_origin(request), code=code))

    async def _ask(
        self, request: web.BaseRequest, asked: Asked, client: Client, who: SessionShown, scopes: tuple[str, ...], *,
        status: int = 200, problem: str = "",
    ) -> Answer:  # fmt: skip
        models = await self._account.models(who)
        if not models:
            raise Refusal("CONFLICT", "Your organization has no model yet: connect one first.")
        form = form_token(self._cookie(request))
        answer = html(status, _consent(asked, client, who, scopes, models, form=form, problem=problem))
        # Browsers hold the redirect after a form to the policy of its page, too.
        answer.headers["Content-Security-Policy"] = POLICY.format(also=f" {asked.origin}")
        return answer


def _consent(
    asked: Asked, client: Client, who: SessionShown, scopes: Sequence[str], models: Sequence[ModelShown], *, form: str,
    problem: str,
) -> bytes:  # fmt: skip
    body = _CONSENT.format(
        problem=alert(problem),
        app=escape(client.name),
        owner=escape(client.owner),
        domains=escape(f" ({', '.join(client.domains)})" if client.domains else " (no verified domain)"),
        organization=escape(who.organization),
        email=escape(who.email),
        warning=_DEVELOPMENT if client.stage == "development" else "",
        scopes="".join(f"<li>{escape(in_words(scope))} <code>{escape(scope)}</code></li>\n" for scope in scopes),
        models="".join(_choice(each, only=len(models) == 1) for each in models),
        host=escape(asked.origin),
        form=form,
    )
    return a_page(f"Allow {escape(client.name)}?", body)


def _choice(model: ModelShown, *, only: bool) -> str:
    checked = " checked" if only else ""
    words = f"{escape(model.label)} <small>{escape(model.provider)}</small>"
    return f'<label><input type="radio" name="model" value="{_text(model.model_id)}"{checked} required> <span>{words}</span></label>\n'


def _text(model_id: UUID) -> str:
    return escape(str(model_id))

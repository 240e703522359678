"""`/account`: sign in and out, the own key, the apps that were allowed something. Small pages without script, rendered here."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from libs.common.contracts.auth import PERSONAL_KEYS
from libs.common.contracts.sign_in import SessionShown
from libs.common.http.server import Answer
from services.edge.domain.ports import Failures
from services.edge.domain.refusal import Refusal
from services.edge.entry import account_views as views
from services.edge.entry.pages import METHODS, html, see_other
from services.edge.entry.session_pages import SIGN_IN, SessionPages, form_token, next_of, to_sign_in
from services.edge.usecases.keep_session import KeepSession
from services.edge.usecases.manage_account import ManageAccount

EMAIL_CHARACTERS_MAX: Final = 320
_NOT_RIGHT: Final = "The address or the password is not right."

Fields = Mapping[str, Sequence[str]]


class AccountPages(SessionPages):
    """The handler of `/account` and all below it."""

    prefix = "/account"
    name = "account_page"

    def __init__(self, account: ManageAccount, sessions: KeepSession, *, accounts: Failures, **wiring: Any) -> None:
        """`failures` (of all pages) count by the client's address, `accounts` by the account that is tried."""
        super().__init__(sessions, **wiring)
        self._account = account
        self._accounts = accounts
        self._shown: dict[str, Callable[[web.BaseRequest, SessionShown], Awaitable[Answer]]] = {
            "/account": self._home,
            "/account/key": self._key,
            "/account/apps": self._apps,
        }
        self._taken: dict[str, Callable[[web.BaseRequest, SessionShown, Fields], Awaitable[Answer]]] = {
            "/account/sign-out": self._sign_out,
            "/account/key": self._issue_key,
            "/account/key/revoke": self._revoke_key,
            "/account/apps/revoke": self._revoke_grant,
        }

    async def _answer(self, request: web.BaseRequest) -> Answer:
        self._check_https(request)
        path = request.rel_url.raw_path
        if request.method not in METHODS:
            raise Refusal("METHOD_NOT_ALLOWED", allow="GET, HEAD, POST")
        if path == SIGN_IN:
            return await (self._take_sign_in(request) if request.method == "POST" else self._sign_in(request))
        shown, taken = self._shown.get(path), self._taken.get(path)
        if shown is None and taken is None:
            raise Refusal("NOT_FOUND", "There is no such page.")
        if request.method == "POST":
            if taken is None:
                raise Refusal("METHOD_NOT_ALLOWED", allow="GET, HEAD")
            fields = await self._form(request, self._cookie(request))
            who = await self._who(request)
            return to_sign_in("/account") if who is None else await taken(request, who, fields)
        if shown is None:
            raise Refusal("METHOD_NOT_ALLOWED", allow="POST")
        who = await self._who(request)
        return to_sign_in(path) if who is None else await shown(request, who)

    # -- in and out

    async def _sign_in(self, request: web.BaseRequest) -> Answer:
        if await self._who(request) is not None:
            return see_other(next_of(request))
        return self._sign_in_page(request)

    def _sign_in_page(
        self, request: web.BaseRequest, *, status: int = 200, email: str = "", problem: str = ""
    ) -> Answer:
        secret, is_new = self._form_secret(request)
        page = views.sign_in(form=form_token(secret), back=next_of(request), email=email, problem=problem)
        answer = html(status, page)
        if is_new:
            self._keep_form_secret(answer, request, secret)
        return answer

    async def _take_sign_in(self, request: web.BaseRequest) -> Answer:
        address = self._address(request)
        fields = await self._form(request, self._form_secret(request)[0])
        email, password = _last(fields, "email").strip(), _last(fields, "password")
        account = hashlib.sha256(email.casefold().encode()).hexdigest()
        for failures, tried in ((self._failures, address), (self._accounts, account)):
            if blocked_ms := failures.blocked_ms(tried):
                wait_s = -(-blocked_ms // 1_000)
                problem = f"Too many attempts. Wait {wait_s} seconds, then try again."
                answer = self._sign_in_page(request, status=429, email=email, problem=problem)
                answer.headers["Retry-After"] = str(wait_s)
                return answer
        begun = None
        if email and password and len(email) <= EMAIL_CHARACTERS_MAX:
            begun = await self._sessions.begin(email, password, address=address)
        if begun is None:
            await self._failures.count(address)
            await self._accounts.count(account)
            return self._sign_in_page(request, status=400, email=email, problem=_NOT_RIGHT)
        if before := self._cookie(request):
            await self._sessions.end(before)  # whoever knew it knows nothing any more
        answer = see_other(next_of(request))
        self._begin_session(answer, request, begun[0])
        return answer

    async def _sign_out(self, request: web.BaseRequest, _who: SessionShown, fields: Fields) -> Answer:
        await self._sessions.end(self._cookie(request), is_everywhere=_last(fields, "everywhere") == "1")
        answer = see_other(SIGN_IN)
        self._end_session(answer, request)
        return answer

    # -- what is there

    async def _home(self, request: web.BaseRequest, who: SessionShown) -> Answer:
        return html(200, views.home(who, form=self._token(request)))

    async def _key(self, request: web.BaseRequest, who: SessionShown) -> Answer:
        return await self._key_page(request, who)

    async def _key_page(
        self, request: web.BaseRequest, who: SessionShown, *, status: int = 200, problem: str = "", secret: str = ""
    ) -> Answer:
        if PERSONAL_KEYS not in who.features:
            raise Refusal("NOT_ENABLED", "Personal keys are not enabled for your organization: ask the operator.")
        key = await self._account.key(who)
        calls = () if key is None else await self._account.calls(who, key.key_id)
        models = await self._account.models(who)
        page = views.key(key, calls, models, form=self._token(request), problem=problem, secret=secret)
        return html(status, page)

    async def _issue_key(self, request: web.BaseRequest, who: SessionShown, fields: Fields) -> Answer:
        address = self._address(request)
        self._check_blocked(address)
        try:
            secret = await self._account.issue_key(
                who,
                self._cookie(request),
                _last(fields, "password"),
                label=_last(fields, "label") or "personal",
                scopes=tuple(fields.get("scope", ())),
                model_id=_id(_last(fields, "model")) if _last(fields, "model") else None,
                address=address,
            )
        except Refusal as exc:
            if exc.status >= 500:
                raise
            if exc.code == "PERMISSION_DENIED":
                await self._failures.count(address)  # a password was guessed, or more was wanted than there is
            return await self._key_page(request, who, status=400, problem=exc.public)
        return await self._key_page(request, who, secret=secret)

    async def _revoke_key(self, request: web.BaseRequest, who: SessionShown, _fields: Fields) -> Answer:
        await self._account.revoke_key(who, address=self._address(request))
        return see_other("/account/key")

    async def _apps(self, request: web.BaseRequest, who: SessionShown) -> Answer:
        grants, models = await self._account.grants(who), await self._account.models(who)
        return html(200, views.apps(grants, models, form=self._token(request)))

    async def _revoke_grant(self, request: web.BaseRequest, who: SessionShown, fields: Fields) -> Answer:
        await self._account.revoke_grant(who, _id(_last(fields, "grant")), address=self._address(request))
        return see_other("/account/apps")

    def _token(self, request: web.BaseRequest) -> str:
        return form_token(self._cookie(request))


def _last(fields: Fields, name: str) -> str:
    return (fields.get(name) or [""])[-1]


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refusal("INVALID_REQUEST", "The form could not be read: send it again.") from None

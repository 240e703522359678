"""HTTP of the sandbox's authorization server: `/oauth2/auth` (its page, and the decision), `/oauth2/token`, `/oauth2/revoke`.

The page asks for the address of an account of the sandbox and its password. Where there is nobody to click, `prompt=none` and
`login_hint` in the address of the page stand for an account that allows everything at once.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import Final
from urllib.parse import unquote, urlencode

from aiohttp import web

from libs.common.contracts.catalogue import catalogue
from services.sessions.sandbox.calls import PlatformError
from services.sessions.sandbox.data.account import Account
from services.sessions.sandbox.grants import GrantRefusedError, Tokens
from services.sessions.sandbox.world import World, hang_up, refusal_by, spoil, spoiled_answer

SCOPES: Final = frozenset(scope for route in catalogue().values() for scope in route.scopes) | {
    "openid", "offline_access", "offline",
}  # fmt: skip
STATE_LENGTH_MIN: Final = 8
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PASSED_ON: Final = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
)  # fmt: skip

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Sandbox: allow access</title></head>
<body style="font: 17px/1.5 system-ui, sans-serif; max-width: 28rem; margin: 10vh auto; padding: 0 1rem">
<h1>Sandbox platform</h1>
{problem}<p>An application asks for access to your account:</p>
<ul>{scopes}</ul>
<form method="post" action="/oauth2/auth">
{hidden}
<p><label for="email">E-mail address (any at @sandbox.test)</label><br><input id="email" name="email" type="email" autocomplete="username" value="{email}"></p>
<p><label for="password">Password</label><br><input id="password" name="password" type="password" autocomplete="current-password"></p>
<button id="allow" name="decision" value="allow">Allow</button>
<button id="deny" name="decision" value="deny">Deny</button>
</form>
</body>
</html>
"""


def add_oauth_routes(app: web.Application, world: World) -> None:
    """Serve the authorization server on `app`."""
    server = _Server(world)
    app.router.add_get("/oauth2/auth", server.ask)
    app.router.add_post("/oauth2/auth", server.decide)
    app.router.add_post("/oauth2/token", _counted(world, "auth_token", server.token))
    app.router.add_post("/oauth2/revoke", _counted(world, "auth_revoke", server.revoke))


class _Server:
    """The handlers."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """The page, or at once the answer that `prompt=none` asks for."""
        asked = dict(request.query)
        if (broken := self._broken(asked)) is not None:
            return broken
        if asked.get("prompt") == "none":
            account = self._world.signin.account(asked.get("login_hint", ""))
            return self._allowed(asked, account) if account else self._back(asked, error="login_required")
        return _page(asked)

    async def decide(self, request: web.Request) -> web.StreamResponse:
        """What the user said."""
        form = await request.post()
        asked = {name: value for name, value in form.items() if isinstance(value, str)}
        if (broken := self._broken(asked)) is not None:
            return broken
        if asked.get("decision") != "allow":
            return self._back(asked, error="access_denied", error_description="The user said no")
        try:
            account = self._world.signin.known(asked.get("email", ""), asked.get("password", ""))
        except PlatformError as exc:
            return _page(asked, problem=exc.message)
        return self._allowed(asked, account)

    async def token(self, request: web.Request) -> web.StreamResponse:
        """RFC 6749 §3.2, for a client that says who it is by HTTP Basic."""
        form = await request.post()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        fault = self._world.faults.take("auth_token", None)
        if fault.drops_before:
            return hang_up(request)
        if (refused := refusal_by(fault)) is not None:
            await asyncio.sleep(fault.delay_ms / 1000)
            return refused
        if not self._is_client(request):
            return _error(401, "invalid_client", "Not an application of this platform")
        try:
            answer = self._granted(fields)
        except GrantRefusedError as exc:
            answer = _error(400, exc.error, exc.why)
        # From here on it had its effect: what is lost now is lost for whoever asked.
        if fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault.drops_after:
            return hang_up(request)
        return await spoiled_answer(request, fault) or answer

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """RFC 7009."""
        form = await request.post()
        if (spoiled := await spoil(self._world, request, "auth_revoke", None)) is not None:
            return spoiled
        if not self._is_client(request):
            return _error(401, "invalid_client", "Not an application of this platform")
        self._world.grants.revoke(str(form.get("token", "")))
        return web.Response(status=200)

    def _granted(self, fields: Mapping[str, str]) -> web.Response:
        grants = self._world.grants
        match fields.get("grant_type"):
            case "authorization_code":
                code, redirect_url = fields.get("code", ""), fields.get("redirect_uri", "")
                tokens = grants.exchange(code, redirect_url, fields.get("code_verifier", ""))
            case "refresh_token":
                tokens = grants.renew(fields.get("refresh_token", ""))
            case _:
                return _error(400, "unsupported_grant_type", "authorization_code or refresh_token is expected")
        return web.json_response(_shown(tokens), headers={"Cache-Control": "no-store"})

    def _broken(self, asked: Mapping[str, str]) -> web.Response | None:
        """The answer to an address that no application of ours made; None = it is in order. What cannot be sent back to the
        application, because the application itself is in doubt, is said here.
        """
        client = self._world.grants.client
        if not client.client_id or asked.get("client_id") != client.client_id:
            return web.Response(status=400, text="No such application")
        if asked.get("redirect_uri") != client.redirect_url:
            return web.Response(status=400, text="The address to come back to is not the registered one")
        scopes = asked.get("scope", "").split()
        if asked.get("response_type") != "code":
            return self._back(asked, error="unsupported_response_type")
        if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
            return self._back(asked, error="invalid_request", error_description="PKCE with S256 is required")
        if len(asked.get("state", "")) < STATE_LENGTH_MIN:
            return self._back(asked, error="invalid_state")
        if not scopes or not SCOPES.issuperset(scopes):
            return self._back(asked, error="invalid_scope")
        return None

    def _allowed(self, asked: Mapping[str, str], account: Account) -> web.Response:
        scopes = tuple(asked["scope"].split())
        code = self._world.grants.give_code(account, scopes, asked["redirect_uri"], asked["code_challenge"])
        return self._back(asked, code=code, scope=asked["scope"])

    def _back(self, asked: Mapping[str, str], **said: str) -> web.Response:
        """Send the browser back to the application."""
        query = {**said, "state": asked.get("state", "")}
        if self._world.grants.issuer:
            query["iss"] = self._world.grants.issuer
        location = f"{self._world.grants.client.redirect_url}?{urlencode(query)}"
        return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})

    def _is_client(self, request: web.Request) -> bool:
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        try:
            login = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, ValueError):
            return False
        client_id, _, client_secret = login.partition(":")
        return kind.lower() == "basic" and self._world.grants.client.is_it(unquote(client_id), unquote(client_secret))


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _counted(world: World, name: str, handler: _Handler) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        world.calls.auth[name] += 1
        answer = await handler(request)
        if answer.status < 300:
            world.calls.auth[f"{name}_ok"] += 1
        return answer

    return handle


def _page(asked: Mapping[str, str], problem: str = "") -> web.Response:
    hidden = "\n".join(
        f'<input type="hidden" name="{name}" value="{escape(asked[name])}">' for name in _PASSED_ON if name in asked
    )
    text = _PAGE.format(
        problem=f'<p role="alert">{escape(problem)}</p>' if problem else "",
        scopes="".join(f"<li>{escape(scope)}</li>" for scope in asked["scope"].split()),
        hidden=hidden,
        email=escape(asked.get("email", "")),
    )
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})


def _shown(tokens: Tokens) -> dict[str, object]:
    return {
        "access_token": tokens.access,
        "token_type": "bearer",
        "expires_in": tokens.seconds,
        "refresh_token": tokens.refresh,
        "scope": " ".join(tokens.scopes),
    }


def _error(status: int, error: str, why: str) -> web.Response:
    return web.json_response({"error": error, "error_description": why}, status=status)

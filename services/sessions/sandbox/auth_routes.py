"""HTTP of the sign-in: `/auth/login`, `/auth/two-factor`, `/auth/refresh`, `/auth/logout`."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from services.sessions.sandbox.calls import PlatformError
from services.sessions.sandbox.data.account import account_id_of
from services.sessions.sandbox.signin import COOKIE
from services.sessions.sandbox.world import World, refusal, spoil


class Login(msgspec.Struct, kw_only=True):
    """Body of a login."""

    email: str
    password: str


class Code(msgspec.Struct, kw_only=True):
    """Body of a two-factor answer."""

    challenge: str
    code: str


def add_auth_routes(app: web.Application, world: World) -> None:
    """Serve the sign-in on `app`."""
    auth = _Auth(world)
    for path, name, handler in (
        ("/auth/login", "auth_login", auth.login),
        ("/auth/two-factor", "auth_two_factor", auth.two_factor),
        ("/auth/refresh", "auth_refresh", auth.refresh),
        ("/auth/logout", "auth_logout", auth.logout),
    ):
        app.router.add_post(path, _counted(world, name, handler))


class _Auth:
    """The handlers. Each meets the faults that name it, before it does anything."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def login(self, request: web.Request) -> web.StreamResponse:
        """200 with a cookie, or 202 with a challenge."""
        body = await _body(request, Login)
        if (spoiled := await spoil(self._world, request, "auth_login", account_id_of(body.email))) is not None:
            return spoiled
        cookie, challenge = self._world.signin.log_in(body.email, body.password)
        if cookie is None:
            return web.json_response({"twoFactor": {"challenge": challenge, "method": "app"}}, status=202)
        return self._signed_in(cookie)

    async def two_factor(self, request: web.Request) -> web.StreamResponse:
        """The cookie for a challenge and its code."""
        body = await _body(request, Code)
        if (spoiled := await spoil(self._world, request, "auth_two_factor", None)) is not None:
            return spoiled
        return self._signed_in(self._world.signin.confirm(body.challenge, body.code))

    async def refresh(self, request: web.Request) -> web.StreamResponse:
        """A fresh cookie for one that still lives."""
        if (spoiled := await spoil(self._world, request, "auth_refresh", self._account(request))) is not None:
            return spoiled
        return self._signed_in(self._world.signin.renew(request.cookies.get(COOKIE, "")))

    async def logout(self, request: web.Request) -> web.StreamResponse:
        if (spoiled := await spoil(self._world, request, "auth_logout", self._account(request))) is not None:
            return spoiled
        self._world.signin.log_out(request.cookies.get(COOKIE, ""))
        return web.Response(status=204)

    def _account(self, request: web.Request) -> int | None:
        account = self._world.signin.account_of(request.cookies.get(COOKIE, ""))
        return account.id if account else None

    def _signed_in(self, cookie: str) -> web.Response:
        account = self._world.signin.account_of(cookie)
        assert account is not None, "a session that was opened just now"
        seconds = int(self._world.signin.session_seconds)
        answer = web.json_response({"user": {"id": account.id, "name": account.name}, "expiresIn": seconds})
        answer.set_cookie(COOKIE, cookie, max_age=seconds, httponly=True, samesite="Lax")
        return answer


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _counted(world: World, name: str, handler: _Handler) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        world.calls.auth[name] += 1
        try:
            answer = await handler(request)
        except PlatformError as exc:
            answer = refusal(exc)
        if answer.status < 300:
            world.calls.auth[f"{name}_ok"] += 1
        return answer

    return handle


async def _body(request: web.Request, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.MsgspecError as exc:
        raise PlatformError(400, "invalid_body", str(exc)) from None

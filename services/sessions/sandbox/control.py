"""The control endpoints of tests and demos: faults, expiry, counters, the bytes last served. Not part of the platform."""

import msgspec
from aiohttp import web

from services.sessions.sandbox.faults import Fault
from services.sessions.sandbox.world import World


class Expire(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /_control/expire-sessions`."""

    account: int | None = None


class Limit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `PUT /_control/rate-limit`: calls that an account with a token may make in a minute."""

    limit: int


class SessionLength(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `PUT /_control/session-length`: how long sessions and tokens made from now on live."""

    seconds: float


def add_control_routes(app: web.Application, world: World) -> None:
    """Serve the control endpoints on `app`."""
    control = _Control(world)
    app.router.add_post("/_control/faults", control.add_faults)
    app.router.add_get("/_control/faults", control.show_faults)
    app.router.add_delete("/_control/faults", control.clear_faults)
    app.router.add_post("/_control/expire-sessions", control.expire)
    app.router.add_put("/_control/session-length", control.set_length)
    app.router.add_post("/_control/expire-tokens", control.expire_tokens)
    app.router.add_post("/_control/withdraw-grants", control.withdraw)
    app.router.add_get("/_control/grants", control.show_grants)
    app.router.add_put("/_control/rate-limit", control.set_limit)
    app.router.add_get("/_control/calls", control.show_calls)
    app.router.add_delete("/_control/calls", control.reset_calls)
    app.router.add_get("/_control/last", control.last)
    app.router.add_get("/livez", _alive)
    app.router.add_get("/readyz", _alive)


class _Control:
    """The handlers; a body that cannot be used is answered 400 with the reason."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def add_faults(self, request: web.Request) -> web.Response:
        """One fault, or a list of them."""
        try:
            faults = msgspec.json.decode(await request.read(), type=Fault | list[Fault], strict=False)
            for fault in faults if isinstance(faults, list) else [faults]:
                self._world.faults.add(fault)
        except ValueError as exc:  # msgspec's errors are ValueErrors too
            return _unusable(exc)
        return web.json_response({"waiting": len(self._world.faults.waiting())}, status=201)

    async def show_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(msgspec.to_builtins(self._world.faults.waiting()))

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._world.faults.clear()
        return web.Response(status=204)

    async def expire(self, request: web.Request) -> web.Response:
        """End the sessions of `account`, or all."""
        try:
            wanted = msgspec.json.decode(await request.read() or b"{}", type=Expire, strict=False)
        except ValueError as exc:
            return _unusable(exc)
        return web.json_response({"expired": self._world.signin.expire(wanted.account)})

    async def set_length(self, request: web.Request) -> web.Response:
        try:
            seconds = msgspec.json.decode(await request.read(), type=SessionLength).seconds
        except ValueError as exc:
            return _unusable(exc)
        self._world.signin.session_seconds = self._world.grants.token_seconds = seconds
        return web.Response(status=204)

    async def expire_tokens(self, request: web.Request) -> web.Response:
        """End the access tokens of `account`, or all; their grants live on."""
        try:
            wanted = msgspec.json.decode(await request.read() or b"{}", type=Expire, strict=False)
        except ValueError as exc:
            return _unusable(exc)
        return web.json_response({"expired": self._world.grants.expire(wanted.account)})

    async def withdraw(self, request: web.Request) -> web.Response:
        """As if the users of `account`, or all, had ended their consents at the platform."""
        try:
            wanted = msgspec.json.decode(await request.read() or b"{}", type=Expire, strict=False)
        except ValueError as exc:
            return _unusable(exc)
        return web.json_response({"withdrawn": self._world.grants.withdraw(wanted.account)})

    async def show_grants(self, _request: web.Request) -> web.Response:
        """How many live, and what was counted: `exchanges`, `renewals`, `reuses`, `revocations`."""
        grants = self._world.grants
        return web.json_response({"living": grants.living(), **grants.counts})

    async def set_limit(self, request: web.Request) -> web.Response:
        try:
            self._world.bearers.limit = msgspec.json.decode(await request.read(), type=Limit).limit
        except ValueError as exc:
            return _unusable(exc)
        return web.Response(status=204)

    async def show_calls(self, _request: web.Request) -> web.Response:
        return web.json_response(self._world.calls.shown())

    async def reset_calls(self, _request: web.Request) -> web.Response:
        self._world.calls.reset()
        return web.Response(status=204)

    async def last(self, request: web.Request) -> web.Response:
        """The exact bytes last served for a path; the status is in `X-Status`."""
        served = self._world.calls.last.get(request.query.get("path", ""))
        if served is None:
            return web.json_response({"error": "nothing was served for this path"}, status=404)
        status, body = served
        return web.Response(body=body, headers={"X-Status": str(status)}, content_type="application/octet-stream")


async def _alive(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def _unusable(error: ValueError) -> web.Response:
    return web.json_response({"error": str(error)}, status=400)

"""The sandbox platform inside the test's own process, on a real socket."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from deploy.local import ports
from services.sessions.sandbox.faults import Fault
from services.sessions.sandbox.grants import Client
from services.sessions.sandbox.server import build_application
from services.sessions.sandbox.signin import PASSWORD
from services.sessions.sandbox.world import World

DEMO_EMAIL = "demo@sandbox.test"
CLIENT = Client("test:app", "test secret/%", "http://127.0.0.1:9/connect/fanvue/callback")  # signs that must be escaped


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox and what it holds."""

    url: str
    world: World

    def fault(self, **fault: Any) -> None:
        """From now on fail like this."""
        self.world.faults.add(Fault(**fault))

    @property
    def logins(self) -> int:
        """How often somebody tried to sign in with a password."""
        return self.world.calls.auth["auth_login"]

    def delivered(self, route: str) -> int:
        """How many writes of `route` had their effect."""
        return sum(write["route"] == route for write in self.world.calls.delivered)


@contextlib.asynccontextmanager
async def running_sandbox(port: int = 0) -> AsyncIterator[Sandbox]:
    """A fresh sandbox, gone afterwards."""
    world = World()
    world.grants.client = CLIENT
    runner = web.AppRunner(build_application(world), access_log=None)
    await runner.setup()
    (free,) = [port] if port else ports.pick(1)
    world.grants.issuer = f"http://127.0.0.1:{free}"
    try:
        await web.TCPSite(runner, host="127.0.0.1", port=free).start()
        yield Sandbox(world.grants.issuer, world)
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def signed_in(sandbox: Sandbox, email: str = DEMO_EMAIL) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser that is signed in."""
    async with aiohttp.ClientSession(sandbox.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.post("/auth/login", json={"email": email, "password": PASSWORD}) as answer:
            assert answer.status == 200
        yield browser

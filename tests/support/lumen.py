"""The Lumen database's submission interface as a real server on a socket. No request leaves this machine."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from deploy.local import ports
from tests.support.serving import serving

TOKEN = "lumen-secret-token"


@dataclass
class FakeLumen:
    """`notices`: what was published. `answers`: statuses instead of taking, one each; 0 hangs up."""

    port: int
    notices: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if request.headers.get("X-Authentication-Token") != TOKEN:
            return web.json_response({"documentation_link": "https://…"}, status=401)
        status = self.answers.pop(0) if self.answers else 201
        if status == 0:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        said = (await request.json())["notice"]
        roles = {role["name"] for role in said["entity_notice_roles_attributes"]}
        if not (said["title"] and said["works_attributes"] and "recipient" in roles):
            return web.json_response({"notices": ["is invalid"]}, status=422)
        if status != 201:
            return web.Response(status=status)
        self.notices.append(said)
        return web.Response(status=201, headers={"Location": f"{self.url}/notices/{len(self.notices)}"})


@contextlib.asynccontextmanager
async def a_lumen() -> AsyncIterator[FakeLumen]:
    """A database that is there while the block runs."""
    fake = FakeLumen(port=ports.pick(1)[0])
    async with serving([web.post("/notices.json", fake.answer)], fake.port):
        yield fake

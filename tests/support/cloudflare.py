"""Cloudflare's abuse interface as a real server on a socket, as its public documents describe it. No request leaves this machine."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from deploy.local import ports
from tests.support.serving import serving

ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "desk-secret-token"
REQUIRED = {
    "act", "agree", "address1", "agent_name", "city", "state", "country", "name", "email", "email2", "original_work", "signature",
    "urls", "host_notification", "owner_notification",
}  # fmt: skip
LENGTHS = {"address1": 100, "agent_name": 60, "city": 255, "state": 255, "country": 255, "name": 255, "original_work": 255, "title": 255,
           "comments": 2_000, "tele": 20}  # fmt: skip


@dataclass
class FakeCloudflare:
    """`reports`: what was taken. `answers`: (status, text) instead of taking, one each; a text of None hangs up."""

    port: int
    reports: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, str | None]] = field(default_factory=list)
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/client/v4"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"success": False, "errors": [{"code": 10000}]}, status=401)
        said = await request.json()
        if self.answers:
            status, text = self.answers.pop(0)
            if text is None:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return web.Response(status=status, text=text)
        wrong = _wrong(said)
        if wrong:
            return web.json_response({"success": False, "errors": [{"message": wrong}]}, status=400)
        self.reports.append(said)
        return web.json_response(
            {"abuse_rand": f"rand-{len(self.reports)}", "request": {"act": said["act"]}, "result": "success"}
        )


def _wrong(said: dict[str, Any]) -> str:
    missing = [name for name in REQUIRED if said.get(name) in (None, "")]
    if missing:
        return f"missing: {missing}"
    if any(len(str(said.get(name, ""))) > most for name, most in LENGTHS.items()):
        return "too long"
    urls = said["urls"].split("\n")
    if len(urls) > 250 or len(set(urls)) != len(urls) or len({urlsplit(url).hostname for url in urls}) != 1:
        return "urls: at most 250, unique, of one hostname"
    is_signed = said["signature"] == said["name"] and said["email"] == said["email2"] and said["agree"] == 1
    is_named = said["host_notification"] == "send" and said["owner_notification"] == "send"
    return "" if is_signed and is_named else "a copyright report cannot be anonymous"


@contextlib.asynccontextmanager
async def a_cloudflare() -> AsyncIterator[FakeCloudflare]:
    """A desk that is there while the block runs."""
    fake = FakeCloudflare(port=ports.pick(1)[0])
    async with serving([web.post(f"/client/v4/accounts/{ACCOUNT}/abuse-reports/abuse_dmca", fake.answer)], fake.port):
        yield fake

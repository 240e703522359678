"""A real web site on loopback whose pages a test changes under its visitors' feet."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from deploy.local import ports
from tests.support.serving import serving

Page = Callable[[web.Request], web.StreamResponse] | web.Response | tuple[int, str] | str


@dataclass(slots=True)
class Site:
    """`pages`: what stands at a path (with its query, or without); all else is `missing`."""

    port: int
    pages: dict[str, Any] = field(default_factory=dict)
    missing: Any = (404, "not found")
    asks: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The page, made anew for every visit."""
        self.asks.append(request.path_qs)
        self.agents.append(request.headers.get("User-Agent", ""))
        page = self.pages.get(request.path_qs, self.pages.get(request.path, self.missing))
        if callable(page):
            page = page(request)
            if not isinstance(page, web.StreamResponse) and hasattr(page, "__await__"):
                page = await page
        if isinstance(page, str):
            page = (200, page)
        if isinstance(page, tuple):
            status, text = page
            kind = "application/rdap+json" if text.startswith(("{", "[")) else "text/html"
            return web.Response(status=status, text=text, content_type=kind)
        assert isinstance(page, web.StreamResponse)
        return page


@contextlib.asynccontextmanager
async def a_site(**pages: Any) -> AsyncIterator[Site]:
    """A site that is up while the block runs. Paths are put in `pages` of what it gives."""
    site = Site(port=ports.pick(1)[0], pages=dict(pages))
    async with serving([web.route("*", "/{path:.*}", site.answer)], site.port):
        yield site

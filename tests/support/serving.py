"""A web server of a test's own on a port of this machine."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from aiohttp import web
from aiohttp.web_routedef import AbstractRouteDef


@contextlib.asynccontextmanager
async def serving(routes: Sequence[AbstractRouteDef], port: int) -> AsyncIterator[None]:
    """Up while the block runs."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()

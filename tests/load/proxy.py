"""The floor of our language: a plain aiohttp reverse proxy, `python -m tests.load.proxy PORT UPSTREAM`. One process, uvloop,
keep-alive on both sides, no access log; it checks nothing, counts nothing and charges nothing.
"""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web
from yarl import URL


async def serve(port: int, upstream: str) -> None:
    """Serve on 127.0.0.1 until killed."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=256), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )

    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        url = URL(upstream + request.rel_url.raw_path_qs, encoded=True)
        async with session.request(request.method, url, headers={"Accept": "application/json"}) as answer:
            body = await answer.read()
            return web.Response(status=answer.status, body=body, headers={"Content-Type": answer.content_type})

    runner = web.ServerRunner(web.Server(forward, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))

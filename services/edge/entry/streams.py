"""An answer in chunks: of no known length, at the pace of its reader."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from libs.common.telemetry.log import logger

STREAM_SECONDS_MAX: Final = 600.0  # a reader who takes longer is cut off

_log = logger(__name__)


class Stream(web.StreamResponse):
    """Chunked, and without a `Server` header."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self._headers["Server"]  # aiohttp sets it by default just above


async def send(request: web.BaseRequest, headers: CIMultiDict[str], chunks: AsyncIterator[bytes]) -> Stream:
    """Send a 200 with `chunks`. What fails half-way ends the connection without the last chunk: the reader sees that the
    answer is not whole. Raises nothing.
    """
    answer = Stream(status=200, headers=headers)
    try:
        async with asyncio.timeout(STREAM_SECONDS_MAX):
            await answer.prepare(request)
            async for chunk in chunks:
                await answer.write(chunk)
            await answer.write_eof()
    except Exception as exc:  # the reader left, a service did, or time is up: nothing can be said any more
        _log.warning("an answer was cut off", request_id=headers["X-Request-Id"], exc_info=exc)
        answer.force_close()
        if request.transport is not None:
            request.transport.abort()
    return answer

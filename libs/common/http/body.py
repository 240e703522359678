"""Reading a request's body within a bound of bytes and of time."""

import asyncio
from typing import Final

from aiohttp import HttpVersion11, http_exceptions, web

CONTINUE: Final = "100-continue"


class BodyTooLarge(Exception):
    """The body is longer than allowed, whatever its `Content-Length` said."""


class BodyBroken(Exception):
    """The body ended early, was malformed, or did not arrive in time; the message says which, for the caller."""


async def read_body(request: web.BaseRequest, *, bytes_max: int, timeout_s: float) -> bytes:
    """The whole body, empty if there is none. Answers `Expect: 100-continue` before it reads.

    Raises BodyTooLarge with the first byte beyond `bytes_max`, BodyBroken.
    """
    if not request.can_read_body:
        return b""
    try:
        async with asyncio.timeout(timeout_s):
            if request.version == HttpVersion11 and request.headers.get("Expect", "").lower() == CONTINUE:
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0  # an interim answer does not count as the answer begun
            return await _read(request, bytes_max)
    except TimeoutError:
        raise BodyBroken("the body did not arrive in time") from None
    except (web.RequestPayloadError, http_exceptions.HttpProcessingError, ConnectionError):
        raise BodyBroken("the body is incomplete or malformed") from None


async def _read(request: web.BaseRequest, bytes_max: int) -> bytes:
    content = request.content
    first = await content.readany()
    if content.at_eof():
        chunks = [first]
    else:
        chunks, size = [first], len(first)
        while size <= bytes_max and (chunk := await content.readany()):
            chunks.append(chunk)
            size += len(chunk)
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if len(body) > bytes_max:
        raise BodyTooLarge
    return body

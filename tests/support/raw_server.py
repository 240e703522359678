"""A web server that answers byte for byte what a test tells it to, however wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from deploy.local import ports

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def talking(talk: Talk, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """A server that has each connection by `talk`, and hangs up where that ends; gives its port."""
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    port = port or ports.pick(1)[0]
    server = await asyncio.start_server(serve, host, port)
    try:
        yield port
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await server.wait_closed()


@contextlib.asynccontextmanager
async def serving(
    *answers: bytes, asks: list[bytes] | None = None, stay_s: float = 0.0, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """A server that reads a request and writes the next of `answers`, raw; then it hangs up after `stay_s`."""
    left = list(answers)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ask = await reader.readuntil(b"\r\n\r\n")
        if asks is not None:
            asks.append(ask)
        writer.write(left.pop(0))
        await writer.drain()
        await asyncio.sleep(stay_s)

    async with talking(talk, host=host, port=port) as at:
        yield f"http://{host}:{at}"


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer with this body, after which the server hangs up."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

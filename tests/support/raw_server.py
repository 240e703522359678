"""A web server that answers byte for byte what a test tells it to, however wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from deploy.local import ports


@contextlib.asynccontextmanager
async def serving(
    *answers: bytes, asks: list[bytes] | None = None, stay_s: float = 0.0, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """A server that reads a request and writes the next of `answers`, raw; then it hangs up after `stay_s`."""
    left = list(answers)
    serving_now: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving_now.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            ask = await reader.readuntil(b"\r\n\r\n")
            if asks is not None:
                asks.append(ask)
            writer.write(left.pop(0))
            await writer.drain()
            await asyncio.sleep(stay_s)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    port = port or ports.pick(1)[0]
    server = await asyncio.start_server(serve, host, port)
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        for task in serving_now:
            task.cancel()
        await asyncio.gather(*serving_now, return_exceptions=True)
        await server.wait_closed()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer with this body, after which the server hangs up."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

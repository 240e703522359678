"""A TCP proxy that breaks connections in the ways a network does."""

import asyncio
import contextlib
from typing import Final

_CHUNK: Final = 65536


class TcpProxy:
    """Forwards 127.0.0.1:`port` to a target, until it is told to misbehave."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []  # (to the client, to the server)
        self._half_open: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.connections = 0
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for writer in self._half_open:
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def redirect(self, port: int) -> None:
        """New connections go to another port."""
        self._target = (self._target[0], port)

    def cut(self) -> None:
        """Reset every connection on both sides."""
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()
        self._pairs.clear()

    def cut_client_side(self) -> None:
        """Reset the client's side only: the server goes on believing that the client is there (half-open)."""
        for to_client, to_server in self._pairs:
            self._half_open.append(to_server)
            to_client.transport.abort()
        self._pairs.clear()

    def stall(self) -> None:
        """Swallow nothing, forward nothing: a black hole with the connections open."""
        self._flowing.clear()

    def flow(self) -> None:
        """End of the black hole."""
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server_reader, to_server = await asyncio.open_connection(*self._target)
        except OSError:
            to_client.transport.abort()
            return
        self.connections += 1
        self._pairs.append((to_client, to_server))
        for source, sink in ((reader, to_server), (server_reader, to_client)):
            task = asyncio.ensure_future(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while chunk := await source.read(_CHUNK):
                await self._flowing.wait()
                sink.write(chunk)
                await sink.drain()
        if sink not in self._half_open:
            sink.close()

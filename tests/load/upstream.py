"""The platform of the bench: `python -m tests.load.upstream PORT` answers every GET with the same 1 KiB of JSON, and a
sign-in with a cookie. Raw protocol, so that it costs next to nothing beside what is measured.
"""

import asyncio
import json
import sys
from typing import Final, cast

import uvloop

PASSWORD: Final = "any"
_ITEMS: Final = [{"id": 100_000 + n, "name": f"fan {n:03d}", "unread": n % 3, "muted": False} for n in range(15)]


def _answer(value: object, *headers: str) -> bytes:
    body = json.dumps(value).encode()
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


ANSWER: Final = _answer({"data": _ITEMS, "hasMore": True})
SIGNED_IN: Final = _answer({"user": {"id": 1_000_001}, "expiresIn": 86_400}, "Set-Cookie: session=bench; Path=/")


class Upstream(asyncio.Protocol):
    """One connection. Requests are told apart by their length only, so a client must not send half ones."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        self._head = b""

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET") and data.endswith(b"\r\n\r\n") and not self._head:
            self._transport.write(ANSWER)
            return
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
        if len(body) >= length:
            self._head = b""
            self._transport.write(ANSWER if head.startswith(b"GET") else SIGNED_IN)


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))

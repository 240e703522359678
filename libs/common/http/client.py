"""Outgoing HTTP to platforms and other strangers: one shared pool of connections, and a bound on everything.

No redirects, no cookie jar, no decompression (we ask for none and refuse it), a cap on the body, a deadline per exchange.
Every failure says whether a byte of the request may have left. It is never repeated here.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final, Self

import aiohttp
from aiohttp import hdrs
from yarl import URL

CONNECTIONS_MAX: Final = 256
KEEPALIVE_SECONDS: Final = 15.0  # below what servers keep (60 s and more): a call rarely meets a connection just closed
CONNECT_SECONDS: Final = 5.0
BODY_BYTES_MAX: Final = 8 << 20


class HttpError(Exception):
    """The exchange did not end with a usable answer. `may_have_left` False = not one byte of the request was sent."""

    def __init__(self, detail: str, *, may_have_left: bool) -> None:
        self.may_have_left = may_have_left
        super().__init__(detail)


class HttpTimeout(HttpError):
    """No whole answer in time."""


class HttpTooLarge(HttpError):
    """The answer's body is over the cap."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer. `cookies` are those it set."""

    status: int
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    body: bytes


class HttpClient:
    """Use `open`; `close` ends all connections."""

    def __init__(self, plain: aiohttp.ClientSession, watched: aiohttp.ClientSession, body_bytes_max: int) -> None:
        self._plain = plain
        self._watched = watched
        self._body_bytes_max = body_bytes_max

    @classmethod
    async def open(cls, *, connections_max: int = CONNECTIONS_MAX, body_bytes_max: int = BODY_BYTES_MAX) -> Self:
        """A client with its own pool."""
        connector = aiohttp.TCPConnector(
            limit=connections_max, limit_per_host=0, keepalive_timeout=KEEPALIVE_SECONDS, ttl_dns_cache=60
        )
        watch = aiohttp.TraceConfig()
        watch.on_connection_create_end.append(_connected)
        watch.on_connection_reuseconn.append(_connected)
        return cls(_session(connector, []), _session(connector, [watch]), body_bytes_max)

    async def close(self) -> None:
        await self._watched.close()  # does not own the pool
        await self._plain.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout_s: float,
        is_watched: bool = False,
    ) -> HttpAnswer:
        """One exchange; `url` is sent as it is (percent-encoding untouched).

        `is_watched` makes `may_have_left` exact; without it, it is True unless the connection was refused. Raises
        HttpTimeout, HttpTooLarge, HttpError.
        """
        connected = _Connected()
        session = self._watched if is_watched else self._plain
        may_have_left = True
        try:
            async with asyncio.timeout(timeout_s):
                async with session.request(
                    method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    trace_request_ctx=connected,
                ) as response:
                    return HttpAnswer(
                        status=response.status,
                        headers=response.headers,
                        cookies={name: morsel.value for name, morsel in response.cookies.items()},
                        body=await self._body(response),
                    )
        except HttpError:
            raise
        except aiohttp.ConnectionTimeoutError as exc:
            raise HttpTimeout("no connection in time", may_have_left=False) from exc
        except TimeoutError as exc:
            may_have_left = connected.is_had if is_watched else True
            raise HttpTimeout(f"no answer within {timeout_s:.1f} s", may_have_left=may_have_left) from exc
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as exc:
            raise HttpError(f"no connection: {type(exc).__name__}", may_have_left=False) from exc
        except (aiohttp.ClientError, OSError) as exc:
            may_have_left = connected.is_had if is_watched else True
            raise HttpError(f"connection lost: {type(exc).__name__}", may_have_left=may_have_left) from exc

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            raise HttpError("the answer is compressed, though we asked for none", may_have_left=True)
        length = response.content_length
        if length is not None and length > self._body_bytes_max:
            raise HttpTooLarge(f"a body of {length} bytes is announced", may_have_left=True)
        if length is not None:
            return await response.read()  # the announced length bounds it
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._body_bytes_max:
                raise HttpTooLarge(f"a body of over {self._body_bytes_max} bytes", may_have_left=True)
            chunks.append(chunk)
        return b"".join(chunks)


class _Connected:
    """Whether an exchange got hold of a connection: from then on bytes may have left."""

    __slots__ = ("is_had",)

    def __init__(self) -> None:
        self.is_had = False


async def _connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    connected = context.trace_request_ctx
    assert isinstance(connected, _Connected)
    connected.is_had = True


def _session(connector: aiohttp.TCPConnector, traces: list[aiohttp.TraceConfig]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=not traces,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        raise_for_status=False,
        # The whole exchange is bounded by `request`; this bounds the wait for a connection within it.
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=CONNECT_SECONDS, sock_read=None),
        headers={hdrs.USER_AGENT: "fangate", hdrs.ACCEPT_ENCODING: "identity"},
        trace_configs=traces,
    )

"""A client of Seed B, as its reader would write it from the text alone: a key in one of two headers, headroom in `_meta`,
flat errors whose status says what went wrong.
"""

import enum
from types import TracebackType
from typing import Any, Self

import aiohttp


class Failure(enum.Enum):
    """What the seed's list of errors tells apart."""

    MALFORMED = 400
    AUTH = 401
    BILLING = 402
    PERMISSION = 403
    NOT_FOUND = 404
    TOO_LARGE = 413
    SYNC_LOST = 424
    RATE_LIMIT = 429
    SERVER = 500


class ApiError(Exception):
    """An error response: a status and one sentence."""

    def __init__(self, status: int, error: str) -> None:
        self.status = status
        self.kind = Failure.SERVER if status >= 500 else Failure(status)
        super().__init__(error)


class Page:
    """A successful response."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.data = body["data"]
        limits = body["_meta"]["_rate_limits"]
        self.remaining_minute: int = limits["remaining_minute"]
        self.remaining_day: int = limits["remaining_day"]


class MetricClient:
    """`base_url` and `api_key` are all there is to configure; `bearer` chooses between the two headers."""

    def __init__(self, base_url: str, api_key: str | None, *, bearer: bool = True) -> None:
        self._base_url = base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if bearer else {"X-API-Key": str(api_key)}
        self._session = aiohttp.ClientSession(headers={} if api_key is None else headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, account: str, path: str, **options: Any) -> Page:
        """One call for a connected account. Raises ApiError."""
        async with self._session.request(method, f"{self._base_url}/{account}{path}", **options) as response:
            body = await response.json()
        if response.status >= 300:
            assert set(body) == {"error"}, 'a flat { "error": "..." } body: no data and no _meta'
            raise ApiError(response.status, body["error"])
        return Page(body)

    async def chats(self, account: str, **params: str) -> Page:
        return await self.call("GET", account, "/chats", params=params)

    async def send_message(self, account: str, fan_id: int, text: str) -> Page:
        return await self.call("POST", account, f"/chats/{fan_id}/messages", json={"text": text})

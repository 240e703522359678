"""A client of Seed A, as its reader would write it from the text alone: a key in `X-API-Key`, a model's UUID in the path,
`{ data, _meta }` around what the platform said, and errors that are never wrapped.
"""

from types import TracebackType
from typing import Any, Self

import aiohttp


class RequestFailed(Exception):
    """An error response (4xx, 5xx)."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.body = body
        super().__init__(f"{status}: {body}")


class Proxied:
    """A successful proxy response."""

    def __init__(self, raw: bytes, body: dict[str, Any]) -> None:
        self.raw = raw
        self.data = body["data"]
        self.credits = body["_meta"]["_credits"]
        self.rate_limits = body["_meta"]["_rate_limits"]


class CoreConceptsClient:
    """`base_url` and `api_key` are all there is to configure."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._session = aiohttp.ClientSession(headers={"X-API-Key": api_key})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, model_uuid: str, path: str, **options: Any) -> Proxied:
        """One proxy call for a model. Raises RequestFailed."""
        async with self._session.request(method, f"{self._base_url}/models/{model_uuid}{path}", **options) as response:
            raw, body = await response.read(), await response.json()
        if response.status >= 300:
            assert "data" not in body, "error responses are never wrapped"
            assert "_meta" not in body
            raise RequestFailed(response.status, body)
        assert set(body) == {"data", "_meta"}
        return Proxied(raw, body)

    async def chats(self, model_uuid: str) -> Proxied:
        return await self.call("GET", model_uuid, "/chats")

    async def send_message(self, model_uuid: str, fan_id: int, text: str) -> Proxied:
        return await self.call("POST", model_uuid, f"/chats/{fan_id}/messages", json={"text": text})

    async def payout_stats(self, model_uuid: str) -> Proxied:
        return await self.call("GET", model_uuid, "/payouts/stats")

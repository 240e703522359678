"""A client of Seed C, as its reader would write it from the text alone: a key in `X-API-Key`, JSON in and out, errors with an
`error` string, `Retry-After` respected.
"""

from types import TracebackType
from typing import Any, Self

import aiohttp

DOCUMENTED = {400, 401, 402, 404, 413, 429, 500}


class PlatformError(Exception):
    """An error response: an `error` string, and whatever the page says comes with it."""

    def __init__(self, status: int, body: dict[str, Any], retry_after_s: int | None) -> None:
        self.status = status
        self.error: str = body["error"]
        self.body = body
        self.retry_after_s = retry_after_s
        super().__init__(f"{status}: {body}")


class PlatformClient:
    """`base_url` and `api_key` are all there is to configure."""

    def __init__(self, base_url: str, api_key: str | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._session = aiohttp.ClientSession(headers={} if api_key is None else {"X-API-Key": api_key})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """One request. Raises PlatformError."""
        async with self._session.request(method, f"{self._base_url}{path}", **options) as response:
            body = await response.json()
            if response.status >= 300:
                assert isinstance(body["error"], str), "all errors return JSON with an error string"
                seconds = response.headers.get("Retry-After")
                raise PlatformError(response.status, body, None if seconds is None else int(seconds))
        return response.status, body

    async def health(self) -> Any:
        return (await self.call("GET", "/health"))[1]

    async def submit_creators(self, *creators: dict[str, Any]) -> Any:
        status, body = await self.call("POST", "/submit-creators", json={"creators": creators})
        assert status == 201
        return body

    async def creators(self, **params: int) -> Any:
        return (await self.call("GET", "/creators", params=params))[1]

    async def creator(self, creator_id: str) -> Any:
        return (await self.call("GET", f"/creators/{creator_id}"))[1]["creator"]

    async def update_creator(self, creator_id: str, **fields: Any) -> Any:
        return (await self.call("PATCH", f"/creators/{creator_id}", json=fields))[1]

    async def delete_creator(self, creator_id: str, confirm: str | None = None) -> Any:
        params = {} if confirm is None else {"confirm": confirm}
        return (await self.call("DELETE", f"/creators/{creator_id}", params=params))[1]

    async def stats(self, search: str | None = None) -> Any:
        params = {} if search is None else {"search": search}
        return (await self.call("GET", "/creators/stats", params=params))[1]["stats"]

    async def submit_urls(self, *groups: dict[str, Any], notes: str | None = None) -> Any:
        body: dict[str, Any] = {"groups": groups}
        if notes is not None:
            body["notes"] = notes
        status, answer = await self.call("POST", "/submit-urls", json=body)
        assert status in {201, 207}
        return answer

    async def transactions(self, **params: int) -> Any:
        return (await self.call("GET", "/transactions", params=params))[1]

"""A client of Seed D, as its reader would write it from the text alone: a key and a version in two headers, bare bodies, limits in
headers, and a version that says when it will stop working.
"""

import asyncio
import email.utils
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import aiohttp


class ApiError(Exception):
    """An error response."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        super().__init__(body["error"])


class InvalidRequest(ApiError):
    """400: an unsupported version, or malformed parameters; the message says which."""


class Unauthorised(ApiError):
    """401: missing or invalid authentication."""


class Forbidden(ApiError):
    """403: insufficient permissions."""


class Gone(ApiError):
    """410: the version was removed; `next_version` is where to go."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status, body)
        self.next_version: str = body["nextVersion"]


class TooManyRequests(ApiError):
    """429: the limit was exceeded; `retry_after` in seconds."""

    retry_after: int = 0


_ERRORS = {400: InvalidRequest, 401: Unauthorised, 403: Forbidden, 410: Gone, 429: TooManyRequests}


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What a deprecated version says of itself."""

    deprecated: datetime
    sunset: datetime
    next_version: str


@dataclass(frozen=True, slots=True)
class Limit:
    """The state of the window, as of the last response."""

    limit: int
    remaining: int
    reset: int


class FanvueClient:
    """`base_url`, `api_key` and `version` are all there is to configure."""

    def __init__(self, base_url: str, api_key: str | None, version: str | None = "2025-06-26") -> None:
        self._base_url = base_url.rstrip("/")
        headers = {"X-Fanvue-API-Key": api_key, "X-Fanvue-API-Version": version}
        self._session = aiohttp.ClientSession(headers={name: value for name, value in headers.items() if value})
        self.limit: Limit | None = None
        self.lifecycle: Lifecycle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """One call; None for a response without a body. Raises ApiError."""
        async with self._session.request(method, self._base_url + path, **options) as response:
            body: Any = await response.json() if response.status != 204 else None
            self._read(response.headers)
        if response.status < 300:
            return body
        error = _ERRORS.get(response.status, ApiError)(response.status, body)
        if isinstance(error, TooManyRequests):
            error.retry_after = int(response.headers["Retry-After"])
        raise error

    async def patiently(self, method: str, path: str, *, attempts: int = 5, **options: Any) -> Any:
        """The same with exponential backoff, honouring Retry-After."""
        for attempt in range(attempts):
            try:
                return await self.call(method, path, **options)
            except TooManyRequests as refused:
                if attempt == attempts - 1:
                    raise
                await asyncio.sleep(max(refused.retry_after, 2**attempt))
        raise AssertionError

    def _read(self, headers: Any) -> None:
        if "X-RateLimit-Limit" in headers:
            self.limit = Limit(*(int(headers[f"X-RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset")))
        self.lifecycle = None
        if "Deprecation" in headers:
            self.lifecycle = Lifecycle(
                datetime.fromtimestamp(int(headers["Deprecation"].removeprefix("@")), UTC),
                email.utils.parsedate_to_datetime(headers["Sunset"]),
                headers["X-Fanvue-API-Next-Version"],
            )

    # Users
    async def current_user(self) -> Any:
        return await self.call("GET", "/users/me")

    # Chats
    async def chats(self, **params: str) -> Any:
        return await self.call("GET", "/chats", params=params)

    async def create_chat(self, user_id: str) -> Any:
        return await self.call("POST", "/chats", json={"userId": user_id})

    async def send_message(self, user_id: str, text: str) -> Any:
        return await self.call("POST", f"/chats/{user_id}/message", json={"text": text})

    async def messages(self, user_id: str, **params: str) -> Any:
        return await self.call("GET", f"/chats/{user_id}/messages", params=params)

    # Creators
    async def followers(self) -> Any:
        return await self.call("GET", "/followers")

    async def subscribers(self) -> Any:
        return await self.call("GET", "/subscribers")

    # Insights
    async def earnings(self) -> Any:
        return await self.call("GET", "/insights/earnings")

    async def top_spenders(self) -> Any:
        return await self.call("GET", "/insights/top-spenders")

    async def subscriber_counts(self) -> Any:
        return await self.call("GET", "/insights/subscribers")

    # Agencies
    async def creators(self) -> Any:
        return await self.call("GET", "/creators")

    async def of_creator(self, method: str, creator_user_id: str, path: str, **options: Any) -> Any:
        return await self.call(method, f"/creators/{creator_user_id}{path}", **options)

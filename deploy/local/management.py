"""The few verbs of RabbitMQ's management API that we use: virtual hosts, definitions, connections."""

from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import aiohttp

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0)  # importing definitions declares two dozen quorum queues


class Management:
    """A client for `http://user:password@host:port`. Every verb raises aiohttp.ClientResponseError on a refusal."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        self._base = f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"
        self.user = unquote(parts.username or "")
        self._headers = {"Authorization": aiohttp.encode_basic_auth(self.user, unquote(parts.password or ""))}

    async def ping(self) -> None:
        await self._call("GET", "/api/overview")

    async def create_vhost(self, vhost: str) -> None:
        """A virtual host in which the administrator may do everything."""
        await self._call("PUT", f"/api/vhosts/{quote(vhost, safe='')}")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        await self._call("PUT", f"/api/permissions/{quote(vhost, safe='')}/{quote(self.user, safe='')}", everything)

    async def delete_vhost(self, vhost: str) -> None:
        await self._call("DELETE", f"/api/vhosts/{quote(vhost, safe='')}")

    async def import_definitions(self, definitions: dict[str, Any]) -> None:
        """Create what is missing of users, permissions, exchanges, queues, bindings and policies. Repeatable."""
        await self._call("POST", "/api/definitions", definitions)

    async def connections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._call("GET", "/api/connections")
        return found

    async def close_connection(self, name: str) -> None:
        await self._call("DELETE", f"/api/connections/{quote(name, safe='')}")

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT) as session,
            session.request(method, self._base + path, json=body) as answer,
        ):
            if answer.status >= 400:
                raise aiohttp.ClientResponseError(
                    answer.request_info, answer.history, status=answer.status, message=(await answer.text())[:500]
                )
            return await answer.json() if answer.content_type == "application/json" and answer.status == 200 else None

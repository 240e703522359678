"""A client of the gateway surface, written from seed A's documentation alone: a key in `X-API-Key`, a model's UUID in the
path, `{data, _meta}` on success, a flat body on failure.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as it came over the wire."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data_bytes(self) -> bytes:
        """The bytes of `data`, cut out without parsing them."""
        assert self.body.startswith(b'{"data":')
        end = self.body.rindex(b',"_meta":')
        return self.body[len(b'{"data":') : end]

    @property
    def used(self) -> int:
        used = self.json["_meta"]["_credits"]["used"]
        assert isinstance(used, int)
        return used


class GatewayClient:
    """`async with GatewayClient(url, key) as client: await client.get(model, "/chats")`."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url, self._headers = url, {} if key is None else {"X-API-Key": key}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=90), connector=aiohttp.TCPConnector(limit=0)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Any request below the base URL; `body` is sent as JSON unless `headers` say otherwise."""
        assert self._session is not None
        sent = dict(self._headers)
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        data = None if body is None else io.BytesIO(body)
        async with self._session.request(method, self._url + path, data=data, headers=sent) as response:
            return Answer(status=response.status, headers=response.headers, body=await response.read())

    async def ask(self, method: str, path: str, **body: Any) -> Answer:
        """One of the gateway's own routes, `path` below `/api`; members of the body by name, none = no body."""
        return await self.call(method, f"/api{path}", body=json.dumps(body).encode() if body else None)

    async def get(self, model_id: str, path: str) -> Answer:
        return await self.call("GET", f"/api/models/{model_id}{path}")

    async def send_message(self, model_id: str, fan_id: str, text: str) -> Answer:
        body = json.dumps({"text": text}).encode()
        return await self.call("POST", f"/api/models/{model_id}/chats/{fan_id}/messages", body=body)

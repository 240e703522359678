"""Bytes that are the same for everybody, made once at start: documents and pages. Told apart by their ETag, never kept unasked."""

import hashlib
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from aiohttp import web
from multidict import CIMultiDict

from libs.common.http.server import Answer
from services.edge.entry.answers import EVERY_ANSWER

_ETAG_DIGITS: Final = 32  # of a SHA-256


class Published:
    """One thing to be read."""

    def __init__(self, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """`headers`: beside those of every answer."""
        self.body = body
        self.etag = hashlib.sha256(body).hexdigest()[:_ETAG_DIGITS]  # without its quotes
        self._content_type = content_type
        self._headers = headers or {}

    def answer(self, request: web.BaseRequest, request_id: UUID) -> Answer:
        """200 with the bytes; 304 to whoever has them."""
        known = request.if_none_match or ()
        headers: CIMultiDict[str] = EVERY_ANSWER.copy()
        headers.update(self._headers)
        headers.update({"Cache-Control": "no-cache", "ETag": f'"{self.etag}"', "X-Request-Id": str(request_id)})
        if any(each.value in {self.etag, "*"} for each in known):
            del headers["Content-Type"]
            return Answer(status=304, body=b"", headers=headers)
        headers["Content-Type"] = self._content_type
        return Answer(status=200, body=self.body, headers=headers)

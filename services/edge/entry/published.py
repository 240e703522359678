"""Bytes that are the same for everybody, made once at start: documents and pages. Told apart by their ETag, never kept unasked."""

import hashlib
from collections.abc import Mapping
from uuid import UUID

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from libs.common.http.server import Answer
from services.edge.entry.answers import EVERY_ANSWER

_ETAG_DIGITS = 32  # of a SHA-256


class Published(msgspec.Struct, frozen=True):
    """One thing to be read."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = {}  # beside those of every answer

    @property
    def etag(self) -> str:
        """Without its quotes."""
        return hashlib.sha256(self.body).hexdigest()[:_ETAG_DIGITS]

    def answer(self, request: web.BaseRequest, request_id: UUID) -> Answer:
        """200 with the bytes; 304 to whoever has them."""
        etag = self.etag
        known = request.if_none_match or ()
        headers: CIMultiDict[str] = EVERY_ANSWER.copy()
        headers.update(self.headers)
        headers.update({"Cache-Control": "no-cache", "ETag": f'"{etag}"', "X-Request-Id": str(request_id)})
        if any(each.value in {etag, "*"} for each in known):
            del headers["Content-Type"]
            return Answer(status=304, body=b"", headers=headers)
        headers["Content-Type"] = self.content_type
        return Answer(status=200, body=self.body, headers=headers)

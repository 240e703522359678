"""`/.well-known/security.txt` (RFC 9116): whom to tell of a weakness. Served only where the operator named a contact."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from libs.common.clock import Clock
from libs.common.ids import uuid7
from services.edge.entry.observe import DURATION, INFLIGHT, REQUESTS
from services.edge.entry.published import Published

PATH: Final = "/.well-known/security.txt"
LASTS: Final = timedelta(days=180)  # from today: less than a year, and never over while an edge runs (RFC 9116 §2.5.5)
_ROUTE: Final = "security_txt"
_CONTENT_TYPE: Final = "text/plain; charset=utf-8"


class SecurityTxt:
    """The handler of that path. Answers everything, raises nothing."""

    def __init__(self, contact: str, clock: Clock, *, base_url: str) -> None:
        """`contact`: a URI. With a `base_url` the file says where it belongs."""
        self._contact = contact
        self._clock = clock
        self._canonical = f"Canonical: {base_url.rstrip('/')}{PATH}\n" if base_url else ""
        self._day = datetime.min.replace(tzinfo=UTC)
        self._file = Published(b"", _CONTENT_TYPE)

    @property
    def paths(self) -> frozenset[str]:
        """The one path."""
        return frozenset({PATH})

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        INFLIGHT.inc()
        if request.method in {"GET", "HEAD"}:
            method, answer = request.method, self._today().answer(request, uuid7())
        else:
            method, answer = "other", Published(b"", _CONTENT_TYPE).answer(request, uuid7())
            answer.set_status(405)
            answer.headers["Allow"] = "GET, HEAD"
        INFLIGHT.dec()
        REQUESTS.labels(_ROUTE, method, f"{answer.status // 100}xx", "" if answer.status < 400 else "caller").inc()
        DURATION.labels(_ROUTE).observe(time.perf_counter() - started)
        return answer

    def _today(self) -> Published:
        """Made anew every day, so that it never expires."""
        today = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        if today != self._day:
            expires = (today + LASTS).strftime("%Y-%m-%dT%H:%M:%SZ")
            text = f"Contact: {self._contact}\nExpires: {expires}\nPreferred-Languages: en\n{self._canonical}"
            self._day, self._file = today, Published(text.encode("ascii"), _CONTENT_TYPE)
        return self._file

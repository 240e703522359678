"""`/docs`: the reference for people, made from the documents at start. No script, nothing from any other host."""

import time
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from libs.common.ids import uuid7
from services.edge.domain.refusal import Refusal
from services.edge.domain.versions import Versions
from services.edge.entry import answers
from services.edge.entry.docs_page import STYLE, STYLE_PATH, overview, page_path, reference
from services.edge.entry.observe import DURATION, INFLIGHT, REQUESTS
from services.edge.entry.openapi.document import document
from services.edge.entry.published import Published
from services.edge.entry.surface import Surface
from services.edge.entry.versions import PAGE as VERSIONS_PATH
from services.edge.entry.versions_page import versions_page

_HTML: Final = "text/html; charset=utf-8"
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_METHODS: Final = ("GET", "HEAD")


class DocsPages:
    """The handler of the documentation's paths. Answers everything, raises nothing."""

    def __init__(self, surfaces: Sequence[Surface], versions: Versions) -> None:
        """The first surface's errors are also ours."""
        documents = {surface: document(surface) for surface in surfaces}
        pages = {page_path(surface): reference(surface, whole, surfaces) for surface, whole in documents.items()}
        pages[page_path()] = overview(documents)
        pages[VERSIONS_PATH] = versions_page(versions, surfaces)
        self._pages = {path: Published(page, _HTML, _HEADERS) for path, page in pages.items()}
        self._pages[STYLE_PATH] = Published(STYLE, "text/css; charset=utf-8", _HEADERS)
        self._fallback = surfaces[0]

    @property
    def paths(self) -> frozenset[str]:
        """All there is to be read."""
        return frozenset(self._pages)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        started, request_id = time.perf_counter(), uuid7()
        INFLIGHT.inc()
        if request.method in _METHODS:
            method, reason = request.method, ""
            answer = self._pages[request.rel_url.raw_path].answer(request, request_id)
        else:
            method, reason = "other", "caller"
            refusal = Refusal("METHOD_NOT_ALLOWED", allow=", ".join(_METHODS))
            answer = answers.failure(refusal, self._fallback.failure(refusal), request_id)
        INFLIGHT.dec()
        REQUESTS.labels("docs_page", method, f"{answer.status // 100}xx", reason).inc()
        DURATION.labels("docs_page").observe(time.perf_counter() - started)
        return answer

"""A span around every request, where spans are recorded: wrapped around the front when the edge is wired, or not at all."""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from aiohttp import web

from libs.common.telemetry.spans import Recorder
from libs.common.telemetry.trace import current_traceparent, unsampled

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class TracedFront:
    """The handler of all requests, recorded."""

    def __init__(self, front: Handler, recorder: Recorder, *, route_name: Callable[[web.BaseRequest], str]) -> None:
        self._front = front
        self._recorder = recorder
        self._route_name = route_name

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        method = request.method if request.method in _METHODS else "other"
        route = self._route_name(request)
        # A caller's trace goes on here, but whether it is recorded is not the caller's to say.
        given = unsampled(request.headers.get("traceparent"))
        attributes = {"http.request.method": method, "http.route": route}
        with self._recorder.around(f"{method} {route}", "server", parent=given, attributes=attributes) as span:
            answer = await self._front(request)
            span.note(
                {
                    "http.response.status_code": answer.status,
                    "fangate.request_id": answer.headers.get("X-Request-Id", ""),
                }
            )
            if answer.status >= 500:
                span.fail(str(answer.status))
            return answer


def trace_of_span(_given: str | None, _request_id: UUID) -> str:
    """In a recorded request the trace is that of its span already."""
    return current_traceparent.get()

"""What is told of each request: metrics always, one log line for errors, slow calls and one in a hundred of the rest."""

import time
from typing import Final
from uuid import UUID

from aiohttp import web

from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import LATENCY_BUCKETS, OVERHEAD_BUCKETS, Counter, Gauge, Histogram
from libs.common.telemetry.trace import SLOW_SECONDS, current_traceparent, is_sampled, is_sampled_id, names_of
from services.edge.domain.catalogue import Route
from services.edge.domain.refusal import Refusal
from services.edge.entry.abuse import Refused
from services.edge.usecases.proxy_call import Call

REQUESTS = Counter("fangate_http_requests_total", "Requests answered", ["route", "method", "status_class", "reason"])
DURATION = Histogram(
    "fangate_http_request_duration_seconds", "From request to answer", ["route"], buckets=LATENCY_BUCKETS
)
OVERHEAD = Histogram(
    "fangate_gateway_overhead_seconds", "Total of a proxied call minus the platform's part", buckets=OVERHEAD_BUCKETS
)
INFLIGHT = Gauge("fangate_http_inflight", "Requests being handled")
AUTH = Counter("fangate_auth_total", "Authentications by outcome", ["outcome"])

_UPSTREAM_CODES: Final = frozenset({"OF_API_ERROR", "UPSTREAM_TIMEOUT", "OUTCOME_UNKNOWN", "UPSTREAM_RATE_LIMITED"})
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

_log = logger(__name__)


class Observer:
    """Children of metrics are bound once per route and outcome."""

    def __init__(self, refused: Refused) -> None:
        self._refused = refused
        self._requests: dict[tuple[str, str, int, str], Counter] = {}
        self._durations: dict[str, Histogram] = {}
        self._auth_ok = AUTH.labels("ok")

    def started(self) -> float:
        """Call it first; the result goes to `finished`."""
        INFLIGHT.inc()
        return time.perf_counter()

    def finished(
        self, request: web.BaseRequest, request_id: UUID, started: float, status: int, route: Route | None,
        call: Call | None, refusal: Refusal | None,
    ) -> None:  # fmt: skip
        """Tell of one answer. Raises nothing that a request could cause."""
        INFLIGHT.dec()
        seconds = time.perf_counter() - started
        name = route.name if route is not None else "unmatched"
        method = request.method if request.method in _METHODS else "other"  # a label must not be the client's invention
        self._count(name, method, status, "" if refusal is None else _reason(refusal))
        duration = self._durations.get(name)
        if duration is None:
            duration = self._durations[name] = DURATION.labels(name)
        duration.observe(seconds)
        if refusal is not None:
            self._refused.saw(refusal, None if call is None else call.caller)
        upstream_ms = call.upstream.upstream_ms if call is not None and call.upstream is not None else 0
        if call is not None:
            self._auth_ok.inc()
            if call.route.call:
                OVERHEAD.observe(max(0.0, seconds - upstream_ms / 1_000))
        elif refusal is not None and refusal.status == 401:
            AUTH.labels(refusal.code.lower()).inc()
        trace = current_traceparent.get()  # empty: refused before it was looked at, or a path of ours
        is_told = is_sampled(trace) if trace else is_sampled_id(request_id)
        if refusal is None and seconds < SLOW_SECONDS and not is_told:
            return
        _line(request, request_id, status, name, call, refusal, seconds, upstream_ms)

    def _count(self, route: str, method: str, status: int, reason: str) -> None:
        key = (route, method, status // 100, reason)
        child = self._requests.get(key)
        if child is None:
            child = self._requests[key] = REQUESTS.labels(route, method, f"{status // 100}xx", reason)
        child.inc()


def _reason(refusal: Refusal) -> str:
    """Whose fault, coarsely: the availability objective leaves the platform's out."""
    if refusal.code in _UPSTREAM_CODES:
        return "upstream"
    return "caller" if refusal.status < 500 else "ours"


def _line(
    request: web.BaseRequest, request_id: UUID, status: int, route: str, call: Call | None, refusal: Refusal | None,
    seconds: float, upstream_ms: int,
) -> None:  # fmt: skip
    facts: dict[str, object] = {
        **names_of(current_traceparent.get()), "request_id": str(request_id), "route": route, "method": ascii(request.method)[1:-1][:16], "status": status,
        "ms": round(seconds * 1_000, 2),
    }  # fmt: skip
    if call is not None:
        facts |= {"org_id": str(call.caller.org_id), "key_id": str(call.caller.key_id), "upstream_ms": upstream_ms}
    if refusal is not None:
        facts["code"] = refusal.code
        if refusal.detail:
            facts["detail"] = refusal.detail
    if route == "unmatched":
        facts["path"] = ascii(request.rel_url.raw_path)[1:-1][:200]
    (_log.warning if status >= 500 else _log.info)("request", **facts)

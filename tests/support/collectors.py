"""Where spans and errors go, as real HTTP servers on loopback: an OTLP receiver and one for Sentry's envelopes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from deploy.local import ports
from tests.support.serving import serving

PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Received:
    """A span as it arrived."""

    service: str
    name: str
    kind: int  # 1 internal, 2 server, 3 client, 5 consumer
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]  # trace ids
    attributes: dict[str, Any]
    is_failed: bool
    status: str


@dataclass(slots=True)
class Collector:
    """What came in, raw and read."""

    url: str
    raw: list[bytes] = field(default_factory=list)
    spans: list[Received] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, wanted: Callable[["Collector"], Any]) -> Any:
        """What `wanted` finds, as soon as it finds anything."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (found := wanted(self)):
                self._came.clear()
                await self._came.wait()
        return found

    async def take_spans(self, request: web.Request) -> web.Response:
        body = await request.read()  # unpacked by the server
        self.raw.append(body)
        message = ExportTraceServiceRequest()
        message.ParseFromString(body)
        for resource in message.resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [_read(named["service.name"], span) for span in scope.spans]
        self._came.set()
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
        )

    async def take_envelope(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw.append(body)
        lines = [json.loads(line) for line in body.splitlines() if line]
        self.events += [
            item for head, item in zip(lines[1::2], lines[2::2], strict=False) if head.get("type") == "event"
        ]
        self._came.set()
        return web.json_response({"id": lines[0].get("event_id", "")})


def _read(service: str, span: Any) -> Received:
    return Received(
        service=service,
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple(link.trace_id.hex() for link in span.links),
        attributes={each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes},
        is_failed=span.status.code == 2,
        status=span.status.message,
    )


@contextlib.asynccontextmanager
async def a_collector() -> AsyncIterator[Collector]:
    """Listening, until the block ends. Spans go to its `url`, errors to `http://…/1` with any user before the host."""
    (port,) = ports.pick(1)
    collector = Collector(f"http://127.0.0.1:{port}")
    async with serving(
        [web.post("/v1/traces", collector.take_spans), web.post("/api/1/envelope/", collector.take_envelope)], port
    ):
        yield collector

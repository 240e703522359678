"""Spans by OpenTelemetry, sent by OTLP over HTTP. Imported only where the extra is installed and `OTEL_*` names a collector.

What is known of a trace travels as `traceparent` in our own messages; the SDK's context is set only around the work itself.
Sampling: a trace is in or out by its id, the same in every process, one in twenty unless `OTEL_TRACES_SAMPLER` says otherwise.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from libs.common.telemetry.spans import NONE, Attributes, Kind
from libs.common.telemetry.trace import current_traceparent

SHARE: Final = 0.05  # of the traces
FLUSH_MS: Final = 2_000  # at the end of the process: a collector that is away must not hold up a drain
EXPORT_SECONDS: Final = 5.0  # for one request to the collector

_KINDS: Final = {
    "server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL,
}  # fmt: skip
_SAMPLED: Final = 1


class OtelSpan:
    """The `Span` protocol."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def fail(self, reason: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, reason))


class OtelRecorder:
    """The `Recorder` protocol. `close` at the end of the process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("fangate")

    @contextlib.contextmanager
    def around(
        self,
        name: str,
        kind: Kind,
        *,
        parent: str | None = None,
        links: Sequence[str] = (),
        attributes: Attributes = NONE,
    ) -> Iterator[OtelSpan]:
        known = context_of(current_traceparent.get() if parent is None else parent)
        span = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(NonRecordingSpan(known)) if known is not None else Context(),
            kind=_KINDS[kind],
            links=[Link(found) for found in map(context_of, links) if found is not None],
            attributes=dict(attributes),
        )
        token = current_traceparent.set(traceparent_of(span.get_span_context()))
        try:
            yield OtelSpan(span)
        except BaseException as exc:
            span.set_status(Status(StatusCode.ERROR, type(exc).__name__))
            raise
        finally:
            current_traceparent.reset(token)
            span.end()

    def close(self) -> None:
        """Send what is left, briefly."""
        self._provider.force_flush(FLUSH_MS)
        self._provider.shutdown()


def context_of(traceparent: str) -> SpanContext | None:
    """What a well-formed traceparent says; None for an empty one."""
    if not traceparent:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def traceparent_of(context: SpanContext) -> str:
    """W3C Trace Context section 3.2."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & _SAMPLED:02x}"


def sampler() -> Sampler | None:
    """Ours, or None where `OTEL_TRACES_SAMPLER` names one of the SDK's. A trace that was begun elsewhere without being
    recorded is judged by its id as well: ours begin so while the process that began them records nothing.
    """
    if os.environ.get("OTEL_TRACES_SAMPLER"):
        return None
    share = TraceIdRatioBased(SHARE)
    return ParentBased(root=share, remote_parent_not_sampled=share)


def open_recorder(service: str, version: str) -> OtelRecorder:
    """Send this process's spans where `OTEL_EXPORTER_OTLP_ENDPOINT` says."""
    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or f"fangate-{service}", "service.version": version}
    provider = TracerProvider(
        sampler=sampler(), resource=Resource.create(named), shutdown_on_exit=False
    )  # we close it, within bounds
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS)))
    return OtelRecorder(provider)

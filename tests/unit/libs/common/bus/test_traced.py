"""Spans around handlers: a first delivery goes on in the trace that sent it; retries, replays and batches are linked to it."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.common.bus import MemoryBroker, MemoryBus
from libs.common.bus.consumer import batch, jobs
from libs.common.bus.traced import record_handlers
from libs.common.contracts import edge, sessions
from libs.common.contracts.envelope import Context
from libs.common.telemetry import spans
from libs.common.telemetry.otel import OtelRecorder, context_of, sampler, traceparent_of
from libs.common.telemetry.trace import current_traceparent, new_traceparent, unsampled

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = f"00-{TRACE}-00f067aa0ba902b7-01"
JOB = "sessions.job.connect.v1"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def recorder(exported: InMemorySpanExporter) -> Iterator[OtelRecorder]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    made = OtelRecorder(provider)
    yield made
    made.close()


def a_context(**changes: Any) -> Context:
    facts: dict[str, Any] = {
        "message_id": uuid.uuid4(),
        "type": JOB,
        "sender": "sessions",
        "traceparent": SENT,
    } | changes
    return Context(**facts)


async def handled(recorder: OtelRecorder, exported: InMemorySpanExporter, context: Context) -> tuple[Any, str]:
    """The span of one delivery, and the traceparent that the handler saw."""
    seen: list[str] = []

    async def handler(_message: Any, _context: Context) -> None:
        seen.append(current_traceparent.get())

    consumer = jobs("sessions.jobs", prefetch=1, workers=1).on(sessions.ConnectModel, handler)
    record_handlers(consumer, recorder)
    await consumer.handlers[JOB](None, context)
    (span,) = exported.get_finished_spans()
    return span, seen[0]


async def test_a_first_delivery_is_a_part_of_the_trace_that_sent_it(
    recorder: OtelRecorder, exported: InMemorySpanExporter
) -> None:
    span, seen = await handled(recorder, exported, a_context())
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert span.links == ()
    assert seen == traceparent_of(span.context)  # what the handler sends on is below its span
    assert current_traceparent.get() == ""


@pytest.mark.parametrize("later", [{"attempt": 2}, {"is_replayed": True}])
async def test_a_retry_and_a_replay_begin_a_trace_that_is_linked_to_the_first(
    recorder: OtelRecorder, exported: InMemorySpanExporter, later: dict[str, Any]
) -> None:
    span, _ = await handled(recorder, exported, a_context(**later))
    assert f"{span.context.trace_id:032x}" != TRACE
    assert span.parent is None
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [TRACE]


async def test_a_batch_is_linked_to_all_that_it_holds(recorder: OtelRecorder, exported: InMemorySpanExporter) -> None:
    async def handler(_items: Any) -> None: ...

    consumer = batch("billing.ledger.0", size=3, wait_s=0.1).on(edge.UsageRecorded, handler)
    record_handlers(consumer, recorder)
    other = new_traceparent(uuid.uuid4())
    items = [(None, a_context()), (None, a_context(traceparent=other)), (None, a_context(traceparent=""))]
    await next(iter(consumer.handlers.values()))(items)
    (span,) = exported.get_finished_spans()
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [TRACE, other[3:35]]
    assert span.attributes is not None
    assert span.attributes["messaging.batch.message_count"] == 3


async def test_a_failure_is_told_by_its_class_and_never_by_its_words(
    recorder: OtelRecorder, exported: InMemorySpanExporter
) -> None:
    with pytest.raises(ValueError, match="planted"), recorder.around("work", "internal"):
        raise ValueError("planted-secret")
    (span,) = exported.get_finished_spans()
    assert span.status.description == "ValueError"
    assert "planted" not in span.to_json()


async def test_where_nothing_is_recorded_handlers_are_what_they_were() -> None:
    async def handler(_message: Any, _context: Context) -> None: ...

    consumer = jobs("sessions.jobs", prefetch=1, workers=1).on(sessions.ConnectModel, handler)
    bus = MemoryBus("sessions", MemoryBroker())
    await bus.start([consumer])
    assert consumer.handlers[JOB] is handler
    await bus.close()


async def test_where_spans_are_recorded_the_bus_wraps_them(recorder: OtelRecorder) -> None:
    async def handler(_message: Any, _context: Context) -> None: ...

    consumer = jobs("sessions.jobs", prefetch=1, workers=1).on(sessions.ConnectModel, handler)
    bus = MemoryBus("sessions", MemoryBroker())
    spans.record_with(recorder)
    try:
        await bus.start([consumer])
    finally:
        spans.record_with(None)
    assert consumer.handlers[JOB] is not handler
    await bus.close()


def test_a_trace_is_in_or_out_by_its_id_whoever_began_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    provider = TracerProvider(sampler=sampler(), shutdown_on_exit=False)
    recorder = OtelRecorder(provider)

    def is_recorded(parent: str) -> bool:
        with recorder.around("work", "server", parent=parent):
            return current_traceparent.get().endswith("-01")

    low, high = "0" * 31 + "1", "f" * 32
    assert is_recorded(f"00-{low}-00f067aa0ba902b7-00")  # one in twenty
    assert not is_recorded(f"00-{high}-00f067aa0ba902b7-00")
    assert is_recorded(f"00-{high}-00f067aa0ba902b7-01")  # another process of ours records it already
    recorder.close()


def test_what_a_caller_says_of_recording_is_not_heard() -> None:
    assert unsampled(SENT) == f"00-{TRACE}-00f067aa0ba902b7-00"
    assert [unsampled(given) for given in (None, "", "00-x", SENT + "0")] == ["", "", "", ""]
    assert context_of("") is None

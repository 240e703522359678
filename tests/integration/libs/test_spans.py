"""Spans of the whole system at a real collector: one trace from the client's own through edge, sessions and the platform; and
no secret, no text of a message and no account in any of them.
"""

import os
from collections.abc import AsyncIterator

import aiohttp
import pytest

from deploy.local.profile import RUN
from deploy.local.seed import DEMO_PASSWORD
from tests.support.collectors import Collector, Received, a_collector
from tests.support.stack import Stack, a_stack

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TEXT = "planted-text-of-a-message"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with a_collector() as started:
        yield started


@pytest.fixture
async def recorded(collector: Collector) -> AsyncIterator[Stack]:
    """A system that records every trace."""
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    async with a_stack(RUN / f"stack-{os.getpid()}-recorded", **settings) as started:
        yield started


def of_trace(collector: Collector, trace: str, *services: str) -> dict[str, Received]:
    """The spans of a trace by name, once all the services have sent theirs; else nothing."""
    found = {span.name: span for span in collector.spans if span.trace_id == trace}
    return found if {f"fangate-{name}" for name in services} <= {span.service for span in found.values()} else {}


@pytest.mark.timeout(300)
async def test_one_trace_goes_from_the_caller_to_the_platform_and_tells_no_secret(
    recorded: Stack, collector: Collector
) -> None:
    key, model = recorded.demo["FANGATE_API_KEY"], recorded.demo["FANGATE_MODEL_ID"]
    headers = {"X-API-Key": key, "traceparent": f"00-{TRACE}-{CALLER}-00"}
    async with aiohttp.ClientSession(recorded.url, headers=headers) as caller:
        # when a message is sent, in a trace of the caller's
        path = f"/api/models/{model}/chats/1001/messages"
        async with caller.post(path, json={"text": TEXT}) as answer:
            assert answer.status == 201, await answer.text()
            request_id = answer.headers["X-Request-Id"]
        spans = await collector.until(lambda it: of_trace(it, TRACE, "edge", "sessions"))

        # then edge, sessions and the exchange with the platform are spans of it, one below the other
        request = spans["POST messages_send"]
        assert (request.service, request.kind, request.parent_id) == ("fangate-edge", 2, CALLER)
        assert request.attributes["http.response.status_code"] == 201
        assert request.attributes["fangate.request_id"] == request_id
        call = spans["sessions.rpc.proxy.v1"]
        assert (call.service, call.kind, call.parent_id) == ("fangate-sessions", 2, request.span_id)
        platform = next(span for name, span in spans.items() if name.endswith(" call"))
        assert (platform.service, platform.kind, platform.parent_id) == ("fangate-sessions", 3, call.span_id)
        assert not any(span.is_failed for span in spans.values())

        # and a second request on the same connection, without a trace, begins one of its own
        async with caller.get(f"/api/models/{model}/chats?size=2", headers={"traceparent": ""}) as answer:
            assert answer.status == 200
        listed = await collector.until(
            lambda it: [span for span in it.spans if span.name == "GET chats_list" and span.service == "fangate-edge"]
        )
        assert (listed[0].parent_id, listed[0].trace_id == TRACE) == ("", False)

        # and a stranger's request is named by no path of his
        async with caller.get("/api/planted-path/x") as answer:
            assert answer.status == 404
        await collector.until(lambda it: [span for span in it.spans if span.name == "GET unmatched"])

    # and the ledger's batch is a trace of its own
    await collector.until(lambda it: [s for s in it.spans if s.name.startswith("batch billing.ledger.")])
    sent = b"".join(collector.raw)
    account, secret = recorded.demo["FANGATE_MODEL_ACCOUNT"], recorded.demo["FANGATE_LIMITED_API_KEY"]
    private = (key, secret, DEMO_PASSWORD, TEXT, account, "planted-path", "@sandbox.test", "127.0.0.1")
    assert [word for word in private if word.encode() in sent] == []

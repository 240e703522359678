"""Where endpoints may lie, what follows from an attempt, and what receivers hear of events."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.bus.topology import QUEUES, routes_to
from libs.common.contracts.envelope import Kind
from libs.common.contracts.registry import REGISTRY
from libs.common.contracts.wire import EVENTS
from libs.common.ids import uuid7
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.webhook import (
    ATTEMPTS_MAX,
    FAILING_DAYS_MAX,
    LADDER_SECONDS,
    RETRY_AFTER_SECONDS_MAX,
    Heard,
    Outcome,
    Sending,
    checked_description,
    checked_types,
    judged,
)
from services.auth.domain.webhook_events import ANNOUNCED, EVENT_TYPES, events_of, public_type
from services.auth.domain.webhook_url import checked_url, is_under
from tests.support.auth import NOW

GOLDEN = Path(__file__).resolve().parents[4] / "contract" / "golden"
NOT_TOLD = {"memo", "reason", "host", "email", "digest", "url", "channel", "provider"}


def a_sending(**changed: Any) -> Sending:
    made = Sending(
        line_id=1, claimed_until=NOW, delivery_id=uuid7(), webhook_id=uuid7(), org_id=uuid7(), event_id=uuid7(),
        url="https://e.com/", body="{}", attempts=0, failing_since=None, secrets=("whsec_c2VjcmV0",),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changed)


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com/a?b=c", "https://e.com", "https://e.com:443/x", "https://xn--bcher-kva.example/"]
)
def test_a_name_in_the_public_internet_is_taken(url: str) -> None:
    assert checked_url(url, is_strict=True) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://e.com/", "ftp://e.com/", "https://", "https:///x", "https://u@e.com/", "https://u:p@e.com/", "https://e.com/#f",
        "https://e.com/#", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/", "https://127.1/",
        "https://8.8.8.8/", "https://localhost/", "https://intranet/", "https://e.com:22/", "https://e.com:8443/",
        "https://e.com:99999/", "https://[::1/", "https://e.com/ x", "https://e.com\\@10.0.0.1/", "https://e.com/\n",
        "https://é.com/", "javascript:1", "", "https://e.com/" + "x" * 2_048, "https://10.0.0.0x1/",
    ],
)  # fmt: skip
def test_anything_else_is_refused_and_says_why(url: str) -> None:
    with pytest.raises(InvalidRequest, match="INVALID_REQUEST: url: "):
        checked_url(url, is_strict=True)


def test_development_may_use_http_and_any_port() -> None:
    assert checked_url("http://127.0.0.1:9000/x", is_strict=False)
    for url in ("ftp://127.0.0.1/", "http://u@127.0.0.1/", "http://127.0.0.1/#x"):
        with pytest.raises(InvalidRequest):
            checked_url(url, is_strict=False)


def test_a_host_is_under_its_domain_only() -> None:
    for host in ("e.com", "hooks.e.com", "E.COM", "e.com."):
        assert is_under(f"https://{host}/", ["e.com"])
    for host in ("note.com", "e.com.evil.net", "com", "ee.com"):
        assert not is_under(f"https://{host}/", ["e.com"])
    assert not is_under("https://e.com/", [])


@given(attempts=st.integers(0, ATTEMPTS_MAX - 1), jitter=st.floats(-1, 1), asked=st.none() | st.integers(0, 10**9))
def test_a_failed_attempt_is_followed_by_the_next_rung_or_by_the_end(
    attempts: int, jitter: float, asked: int | None
) -> None:
    verdict = judged(a_sending(attempts=attempts), Heard(status=500, retry_after_s=asked), NOW, jitter=jitter)
    if attempts == ATTEMPTS_MAX - 1:
        assert verdict.outcome is Outcome.EXHAUSTED
        return
    wait_s = (verdict.due_at - NOW).total_seconds()
    rung = LADDER_SECONDS[attempts]
    assert verdict.outcome is Outcome.FAILED
    assert wait_s >= 0.9 * rung - 1e-3
    assert wait_s >= min(asked or 0, RETRY_AFTER_SECONDS_MAX) - 1e-3
    assert wait_s <= max(1.1 * rung, RETRY_AFTER_SECONDS_MAX) + 1e-3


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_taken(status: int) -> None:
    assert judged(a_sending(), Heard(status=status), NOW, jitter=0).outcome is Outcome.DELIVERED


@pytest.mark.parametrize("heard", [Heard(error="HttpTimeout"), *(Heard(status=n) for n in (301, 400, 404, 429, 500))])
def test_nothing_else_is(heard: Heard) -> None:
    assert judged(a_sending(), heard, NOW, jitter=0).outcome is Outcome.FAILED


def test_gone_is_gone_and_days_of_failing_are_too() -> None:
    assert judged(a_sending(), Heard(status=410), NOW, jitter=0).outcome is Outcome.GONE
    days = timedelta(days=FAILING_DAYS_MAX)
    for age, expected in ((days, Outcome.GIVEN_UP), (days - timedelta(seconds=1), Outcome.FAILED)):
        failing = a_sending(failing_since=NOW - age)
        assert judged(failing, Heard(status=500), NOW, jitter=0).outcome is expected


def test_types_and_descriptions_are_judged() -> None:
    assert checked_types(["b", "a", "b"], {"a", "b"}) == ("a", "b")
    with pytest.raises(InvalidRequest, match="no such event type: zoo"):
        checked_types(["a", "zoo"], {"a"})
    with pytest.raises(InvalidRequest):
        checked_description("x" * 201)
    with pytest.raises(InvalidRequest):
        checked_description("a\nb")


def test_every_event_that_comes_for_webhooks_has_words() -> None:
    (queue,) = [queue for queue in QUEUES if queue.name == "auth.events"]
    brought = {
        public_type(entry.struct)
        for entry in REGISTRY
        if entry.kind is Kind.EVENT and routes_to(queue, EVENTS, entry.name + (".s00" if entry.sharded else ""))
    }
    assert set(EVENT_TYPES) == brought - {
        "sessions.model.managed", "billing.subscription.managed", "edge.calls.counted",
    }  # fmt: skip


@pytest.mark.parametrize("struct", ANNOUNCED, ids=lambda struct: struct.__name__)
def test_a_payload_is_thin(struct: Any) -> None:
    entry = REGISTRY.of(struct)
    message = msgspec.json.decode((GOLDEN / f"{entry.name}.json").read_bytes(), type=struct)
    message_id = uuid7()
    events = list(events_of(message, message_id))
    assert [event.event_id for event in events] == [event.event_id for event in events_of(message, message_id)]
    for event in events:
        body = json.loads(event.body)
        assert set(body) == {"type", "timestamp", "data"}
        assert datetime.fromisoformat(body["timestamp"]).tzinfo == UTC
        told = json.dumps(body["data"])
        for name in NOT_TOLD & {field.name for field in msgspec.structs.fields(struct)}:
            value = getattr(message, name)
            if name != "reason" or body["type"] != "auth.webhook.disabled":
                assert not value or str(value) not in told.replace(str(getattr(message, "org_id", "")), ""), name
        assert len(event.body) < 20_000
    assert uuid.UUID(str(events[0].event_id)) == message_id

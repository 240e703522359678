"""Who does not listen is told of: refusals by their code, keys that call before they were told to come back."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import REGISTRY

from libs.common.telemetry.log import configure_logging
from services.edge.domain.refusal import CODES, Refusal
from services.edge.entry import abuse
from services.edge.entry.abuse import EARLY_MAX, Refused
from tests.support.edge import ManualClock, a_principal


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def waiting(seconds: int) -> Refusal:
    return Refusal("RATE_LIMIT_EXCEEDED", retry_after_s=seconds)


@pytest.fixture
def output() -> Iterator[io.BytesIO]:
    stream = io.BytesIO()
    configure_logging("edge", stream=stream)
    yield stream
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def test_R149_every_refusal_is_counted_by_its_code_and_the_series_are_there_before_the_first() -> None:
    refused = Refused(ManualClock())
    names = {
        sample.labels["code"]
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "fangate_refusals_total"
    }
    assert names >= set(CODES)
    before = {code: figure("fangate_refusals_total", code=code) for code in ("SCOPE_MISSING", "UNSUPPORTED_VERSION")}
    for code in before:
        refused.saw(Refusal(code), None)
    assert {code: figure("fangate_refusals_total", code=code) - old for code, old in before.items()} == {
        "SCOPE_MISSING": 1, "UNSUPPORTED_VERSION": 1,
    }  # fmt: skip


def test_R149_a_key_that_ignores_retry_after_is_told_of_once_an_hour(output: io.BytesIO) -> None:
    clock, caller = ManualClock(), a_principal()
    refused, before = Refused(clock), figure("fangate_waits_ignored_total")
    for _ in range(2):
        for _ in range(EARLY_MAX + 50):
            refused.saw(waiting(60), caller)
            clock.advance(10)
    assert figure("fangate_waits_ignored_total") == before + 1
    (line,) = [json.loads(raw) for raw in output.getvalue().splitlines()]
    assert (line["event"], line["key_id"], line["org_id"]) == (
        "a key ignores Retry-After", str(caller.key_id), str(caller.org_id),
    )  # fmt: skip
    clock.advance(abuse.WINDOW_MS)
    for _ in range(EARLY_MAX + 2):
        refused.saw(waiting(60), caller)
    assert figure("fangate_waits_ignored_total") == before + 2


def test_who_waits_as_told_is_nothing_to_tell_of() -> None:
    clock, caller = ManualClock(), a_principal()
    refused, before = Refused(clock), figure("fangate_waits_ignored_total")
    for _ in range(3 * EARLY_MAX):
        refused.saw(waiting(2), caller)
        clock.advance(2_000)
    assert figure("fangate_waits_ignored_total") == before


def test_no_more_than_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abuse, "KEYS_MAX", 3)
    refused = Refused(ManualClock())
    for _ in range(5):
        refused.saw(waiting(60), a_principal())
    assert len(refused._keys) == 3

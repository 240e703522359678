"""Our instruments count and export exactly as prometheus_client's do."""

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from libs.common.telemetry.instruments import Counter, Gauge, Histogram

BUCKETS = (0.1, 1.0, 10.0)
SIZES = (0.0, 0.05, 0.1, 0.100001, 1.0, 5.0, 10.0, 10.5, 1e9)


def exported(counter: type, gauge: type, histogram: type) -> list[str]:
    registry = CollectorRegistry()
    calls = counter("calls_total", "Calls", ["outcome"], registry=registry)
    calls.labels("ok").inc()
    calls.labels("ok").inc(2)
    calls.labels("bad")
    running = gauge("running", "Running", registry=registry)
    running.inc(3)
    running.dec()
    blocked = gauge("blocked", "Blocked", registry=registry)
    blocked.set(1)
    seconds = histogram("seconds", "Seconds", ["route"], buckets=BUCKETS, registry=registry)
    for size in SIZES:
        seconds.labels("a").observe(size)
    seconds.labels("b")
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if "_created" not in line]  # a time of day


def test_they_export_what_the_library_would() -> None:
    ours = exported(Counter, Gauge, Histogram)
    assert ours == exported(prometheus_client.Counter, prometheus_client.Gauge, prometheus_client.Histogram)
    assert 'seconds_bucket{le="0.1",route="a"} 3.0' in ours


def test_a_metric_whose_labels_are_not_set_cannot_count() -> None:
    registry = CollectorRegistry()
    with pytest.raises(AttributeError):
        Counter("calls_total", "Calls", ["outcome"], registry=registry).inc()
    with pytest.raises(AttributeError):
        Histogram("seconds", "Seconds", ["route"], registry=registry).observe(1.0)

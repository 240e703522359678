"""The figures of submissions. Never a host as a label: there is no end of them."""

from libs.common.contracts.takedowns import UrlsSubmitted
from libs.common.telemetry.metrics import LATENCY_BUCKETS, Counter, Gauge, Histogram

URLS = Counter("fangate_takedowns_urls_total", "URLs of submissions by what became of them", ["outcome"])
SUBMIT_SECONDS = Histogram(
    "fangate_takedowns_submit_seconds", "From message to answer of a submission", buckets=LATENCY_BUCKETS
)
SUBMITS = Counter("fangate_takedowns_submits_total", "Submissions by how they ended", ["outcome"])
BATCHES_LEASING = Gauge("fangate_takedowns_batches_leasing", "Batches whose submission is under way, or ended half-way")
BATCHES_SETTLED = Counter("fangate_takedowns_batches_settled_total", "Batches that the sweeper had to settle")
REFUNDS_SENT = Counter("fangate_takedowns_refunds_sent_total", "Refunds of batches that left for the ledger")

_OUTCOMES = {name: URLS.labels(name) for name in ("new", "duplicate", "invalid", "failed")}


def count_submission(reply: UrlsSubmitted, *, seconds: float) -> None:
    """One submission that was answered."""
    for name, counter in _OUTCOMES.items():
        counter.inc(getattr(reply, name))
    SUBMIT_SECONDS.observe(seconds)
    SUBMITS.labels("partial" if reply.failed else "accepted").inc()

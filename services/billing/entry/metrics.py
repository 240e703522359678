"""The figures of the ledger, and how the answers of the use cases become figures. Labels are bound once, here."""

from collections import Counter as Tally

from libs.common.telemetry.metrics import LATENCY_BUCKETS, Counter, Gauge, Histogram
from services.billing.domain.audit import Reconciliation
from services.billing.domain.ledger import Code, PostError, Waiver
from services.billing.domain.posting import Posted
from services.billing.usecases.expire_leases import Expired
from services.billing.usecases.renew_periods import Renewed

_HOLDERS = ("redis", "batch")
_SIZES = (1, 5, 10, 25, 50, 100, 200, 300, 500, 1_000, 2_500, 5_000)  # records

_APPEND = Histogram("fangate_ledger_append_seconds", "One batch: transaction included", buckets=LATENCY_BUCKETS)
_BATCH = Histogram("fangate_ledger_batch_size", "Rows of one batch", buckets=_SIZES)
_LAG = Histogram("fangate_ledger_lag_seconds", "From admission to post, the oldest of a batch", buckets=LATENCY_BUCKETS)
_DUPLICATES = Counter("fangate_ledger_duplicates_total", "Deliveries absorbed: the ledger had them")
_DIFFERENT = Counter(
    "fangate_ledger_conflicts_total", "Deliveries under a known id with another payload: look at post_errors"
)
_OVERDRAW = Counter("fangate_lease_overdraw_total", "Usage beyond its lease's amount: must stay 0")
_VOIDED = Counter("fangate_usage_voided_total", "Calls undone, by what came first", ["first"])
_DROPPED = Counter("fangate_usage_dropped_total", "Debits that arrived after their void")
_LEASES = Counter("fangate_leases_total", "Leases by holder and what became of them", ["holder", "outcome"])

_VOIDED_EARLY, _VOIDED_LATE = _VOIDED.labels("void"), _VOIDED.labels("debit")
_CREDITS = Counter("fangate_credits_total", "Credits moved", ["type"])
_CREDITS_OF = {code: _CREDITS.labels(code.name.lower()) for code in Code}
_WAIVED = Counter("fangate_waived_credits_total", "Credits nobody paid", ["reason"])
_WAIVED_FOR = {reason: _WAIVED.labels(reason.value) for reason in Waiver}
_REFUSED = Counter("fangate_ledger_refused_total", "Deliveries put aside", ["reason"])
_REFUSED_FOR = {reason: _REFUSED.labels(reason.value) for reason in PostError}

_DRIFT_ACCOUNTS = Gauge("fangate_ledger_drift_accounts", "Buckets whose balance is not the sum of their transfers")
_DRIFT_CREDITS = Gauge("fangate_ledger_drift_credits", "Credits of such buckets: must be 0")
_NEGATIVE = Gauge("fangate_ledger_negative_buckets", "Buckets with more debits than credits: must be 0")
_MISMATCH = Gauge("fangate_ledger_lease_mismatch", "Leases whose posted is not the sum of their transfers: must be 0")
_VIOLATIONS = Gauge("fangate_ledger_rule_violations", "Rules of the ledger that do not hold: must be 0", ["rule"])
_SEAL_MISMATCH = Gauge("fangate_ledger_seal_mismatch", "Seals that do not recompute: must be 0")
_SEAL_LAG = Gauge("fangate_ledger_seal_lag_seconds", "Age of the oldest transfer that is not sealed")
_SEAL_NUMBER = Gauge("fangate_ledger_seal_number", "The newest seal")
_RENEWALS = Counter("fangate_subscription_turns_total", "Subscriptions that time alone changed, mostly renewals")
_BUCKETS_CLOSED = Counter("fangate_buckets_closed_total", "Buckets past their end, closed")
_POST_ERRORS = Gauge("fangate_ledger_post_errors", "Put aside and not posted since: a person must look")
_REFUNDS_OVERDUE = Gauge("fangate_ledger_refunds_overdue", "Refunds whose debit has not come for a day")
_STRANDED = Gauge("fangate_stranded_credits", "Credits in leases that grant nothing any more")
_OPEN = Gauge("fangate_leases_open", "Leases that are not final", ["holder"])
_OLDEST = Gauge("fangate_lease_oldest_seconds", "Age of the oldest lease that is not final", ["holder"])
_PARTITIONS = Gauge("fangate_ledger_partitions_ahead", "Months ahead for which there is room: page below 1")


def count_posted(posted: Posted, *, seconds: float) -> None:
    """Count a batch."""
    _APPEND.observe(seconds)
    if posted.rows:
        _BATCH.observe(posted.rows)
        _LAG.observe(posted.lag_ms_max / 1000)
    for code, amount in posted.credits.items():
        _CREDITS_OF[code].inc(amount)
    for reason, amount in posted.waived:
        _WAIVED_FOR[reason].inc(amount)
        if reason is Waiver.LEASE_OVERDRAWN:
            _OVERDRAW.inc()
    for error, count in Tally(posted.refused).items():
        _REFUSED_FOR[error].inc(count)
        if error is PostError.OTHER_PAYLOAD:
            _DIFFERENT.inc(count)
    _DUPLICATES.inc(posted.duplicates)
    _DROPPED.inc(posted.dropped)
    _VOIDED_EARLY.inc(posted.voided_early)
    _VOIDED_LATE.inc(posted.voided_late)
    count_lease("redis", "final", posted.finished)


def count_lease(holder: str, outcome: str, number: int = 1) -> None:
    """Count what became of leases."""
    _LEASES.labels(holder, outcome).inc(number)


def count_expired(expired: Expired) -> None:
    """Count a run of the lease timer."""
    count_lease("redis", "closed", expired.closed - expired.unanswered)
    count_lease("redis", "closed_unanswered", expired.unanswered)


def count_renewed(renewed: Renewed) -> None:
    """Count a run of the timer of periods."""
    _RENEWALS.inc(renewed.subscriptions)
    _BUCKETS_CLOSED.inc(renewed.buckets)
    _CREDITS_OF[Code.EXPIRE].inc(renewed.credits)


def show_books(books: Reconciliation) -> None:
    """Show a reconciliation."""
    _DRIFT_ACCOUNTS.set(books.drift_accounts)
    _DRIFT_CREDITS.set(books.drift_credits)
    _NEGATIVE.set(books.negative_buckets)
    _MISMATCH.set(books.lease_mismatches)
    _VIOLATIONS.labels("refund").set(books.refund_violations)
    _VIOLATIONS.labels("expire").set(books.expire_violations)
    _VIOLATIONS.labels("grant").set(books.grant_violations)
    _SEAL_MISMATCH.set(books.seal_mismatches)
    _SEAL_LAG.set(books.seal_lag_s)
    _SEAL_NUMBER.set(books.seal_number)
    _POST_ERRORS.set(books.post_errors)
    _REFUNDS_OVERDUE.set(books.refunds_overdue)
    _STRANDED.set(books.stranded_credits)
    for holder in _HOLDERS:
        _OPEN.labels(holder).set(books.leases_open.get(holder, 0))
        _OLDEST.labels(holder).set(books.lease_oldest_s.get(holder, 0))


def show_partitions(months_ahead: int) -> None:
    """Show for how many months there is room."""
    _PARTITIONS.set(months_ahead)

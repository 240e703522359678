"""The alerts that are not about an objective (those are in `slos.py`), as data.

An alert is a `page` where waiting until the morning costs customers or money, else a `ticket`. Each has a section of its
own name in docs/operations.md that says what it means and what is safe to do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from deploy.system import QUEUES_IN_USE, SERVICES
from libs.common.bus.topology import DEAD_SUFFIX, JOB_LENGTH_MAX, QUEUES, RPC_LENGTH_MAX

JOB: Final = "fangate"  # how every process of ours is scraped, with the label `service`
BROKER_JOB: Final = "rabbitmq"  # `/metrics/detailed`, families queue_coarse_metrics and queue_consumer_count

_LENGTH_WARNED: Final = 5_000  # messages: minutes of work, far below what a queue bears
_NEARLY_FULL: Final = 0.8
_LATE_SECONDS: Final = 1_800  # what follows an acceptance has ten minutes, and every step is claimed for five
# Refusals that a working client hardly ever meets: it tries keys, rights or versions out.
_PROBING: Final = "INVALID_API_KEY|PERMISSION_DENIED|SCOPE_MISSING|UNSUPPORTED_VERSION|VERSION_REQUIRED"
_REFUSALS_PER_SECOND: Final = 5
_TIMES_USUAL: Final = 5
_CREDITS_PER_SECOND: Final = 1  # below, five times as much is still nothing
_SPENT: Final = 'fangate_credits_total{type=~"call|batch"}'  # the ledger's codes that consume credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Fires when `expr` has had a result for `hold`."""

    name: str
    severity: str  # page | ticket
    expr: str
    hold: str
    summary: str  # one line; may use the labels of the result

    def rule(self, *, runbooks: str, hold: str | None = None) -> dict[str, Any]:
        """As Prometheus reads it; `hold` shortens the wait."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": hold or self.hold,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "runbook_url": f"{runbooks}#{self.name.lower()}"},
        }


def _any_of(*expressions: str) -> str:
    return "\nor\n".join(expressions)


def _gone(service: str) -> str:
    # `absent` of an expression has no labels.
    return f'label_replace(absent(up{{job="{JOB}", service="{service}"}} == 1), "service", "{service}", "", "")'


def _ready_in(queues: str) -> str:
    return f'sum by (queue) (rabbitmq_detailed_queue_messages_ready{{queue=~"{queues}"}})'


def _names(queues: Iterable[str]) -> str:
    return "|".join(name.replace(".", "\\\\.") for name in queues)


_USED: Final = _names(QUEUES_IN_USE)
_FULL_AT: Final = {"rpc": RPC_LENGTH_MAX, "job": JOB_LENGTH_MAX}

PROCESSES: Final = (
    Alert(
        name="FangateServiceDown", severity="page", hold="1m",
        expr=_any_of(*(_gone(service.name) for service in SERVICES)),
        summary="No process of {{ $labels.service }} answers",
    ),
    Alert(
        name="FangateProcessDown", severity="ticket", hold="5m", expr=f'up{{job="{JOB}"}} == 0',
        summary="{{ $labels.instance }} ({{ $labels.service }}) does not answer",
    ),
    Alert(
        name="FangateCheckFails",
        severity="ticket",
        hold="5m",
        expr="max by (service, instance, check) (fangate_check_failing) > 0",
        summary="{{ $labels.instance }} ({{ $labels.service }}) misses {{ $labels.check }}",
    ),
    Alert(
        name="FangateUnhandledErrors", severity="ticket", hold="0m",
        expr=_any_of(
            "sum by (service) (increase(fangate_unhandled_errors_total[10m])) > 0",
            "sum by (service) (increase(fangate_bus_broken_total[10m])) > 0",
            "sum by (service) (increase(fangate_takedowns_poisoned_total[10m])) > 0",
        ),
        summary="{{ $labels.service }} met an error that nobody expected",
    ),
    Alert(
        name="FangateEventLoopLag", severity="ticket", hold="5m",
        expr="max by (service, instance) (fangate_eventloop_lag_seconds) > 0.5",
        summary="{{ $labels.instance }} ({{ $labels.service }}) is {{ $value }} s late",
    ),
    Alert(
        name="FangateTimerFails", severity="ticket", hold="0m",
        expr='sum by (service, timer) (increase(fangate_timer_runs_total{outcome="failed"}[30m])) > 5',
        summary="{{ $labels.service }}: `{{ $labels.timer }}` fails again and again",
    ),
    Alert(
        name="FangateVersionsMixed", severity="ticket", hold="1h",
        expr="count(count by (version) (fangate_build_info)) > 1",
        summary="{{ $value }} versions run side by side for an hour: a rollout is stuck",
    ),
)  # fmt: skip

MONEY: Final = (
    Alert(
        name="FangateLedgerDrift", severity="page", hold="0m",
        expr=_any_of("max(abs(fangate_ledger_drift_credits)) > 0", "max(fangate_ledger_drift_accounts) > 0"),
        summary="Balances are not the sum of their transfers",
    ),
    Alert(
        name="FangateLedgerRuleBroken", severity="page", hold="0m",
        expr=_any_of(
            "max(fangate_ledger_negative_buckets) > 0", "max(fangate_ledger_lease_mismatch) > 0",
            "max by (rule) (fangate_ledger_rule_violations) > 0", "max(fangate_ledger_seal_mismatch) > 0",
        ),
        summary="A rule of the ledger does not hold {{ $labels.rule }}",
    ),
    Alert(
        name="FangateLedgerPartitionsMissing", severity="page", hold="15m",
        expr="max(fangate_ledger_partitions_ahead) < 1",
        summary="The ledger has no room for next month",
    ),
    Alert(
        name="FangateLeaseOverdrawn", severity="ticket", hold="0m",
        expr=_any_of(
            "sum(increase(fangate_lease_overdraw_total[30m])) > 0", "sum(increase(fangate_waived_credits_total[30m])) > 0",
        ),
        summary="Credits were used that no bucket could pay",
    ),
    Alert(
        name="FangateLedgerPostErrors", severity="ticket", hold="5m",
        expr=_any_of("max(fangate_ledger_post_errors) > 0", "max(fangate_ledger_refunds_overdue) > 0"),
        summary="{{ $value }} money events are put aside and wait for a person",
    ),
    Alert(
        name="FangateLedgerSealLags", severity="ticket", hold="5m", expr="max(fangate_ledger_seal_lag_seconds) > 900",
        summary="The newest transfers are not sealed for {{ $value }} s",
    ),
    Alert(
        name="FangateVoidsPending", severity="ticket", hold="5m", expr="sum(fangate_usage_voids_pending) > 0",
        summary="{{ $value }} refused calls wait to have their debit undone",
    ),
    Alert(
        name="FangateVoidsLost", severity="ticket", hold="0m",
        expr="sum(increase(fangate_usage_voids_lost_total[30m])) > 0",
        summary="Debits stand although the caller was refused",
    ),
)  # fmt: skip

BUS: Final = (
    Alert(
        name="FangateBrokerBlocked", severity="page", hold="30s", expr="max(fangate_bus_blocked) > 0",
        summary="RabbitMQ takes no messages (memory or disk alarm)",
    ),
    Alert(
        name="FangateOutboxStuck", severity="page", hold="1m",
        expr="max by (service) (fangate_outbox_oldest_seconds) > 30",
        summary="{{ $labels.service }} has not published for {{ $value }} s",
    ),
    Alert(
        name="FangateQueueWithoutConsumers", severity="page", hold="1m",
        expr=f'sum by (queue) (rabbitmq_detailed_queue_consumers{{queue=~"{_USED}"}}) == 0',
        summary="Nobody takes from {{ $labels.queue }}",
    ),
    Alert(
        name="FangateDeadLetters", severity="page", hold="10m",
        expr=f"{_ready_in(f'.+{_names([DEAD_SUFFIX])}')} > 0",
        summary="{{ $value }} messages lie in {{ $labels.queue }}",
    ),
    Alert(
        name="FangateQueueNearlyFull", severity="page", hold="1m",
        expr=_any_of(
            *(f"{_ready_in(_names(queue.name for queue in QUEUES if queue.policy == policy))} > {length * _NEARLY_FULL:.0f}"
              for policy, length in _FULL_AT.items())
        ),
        summary="{{ $labels.queue }} holds {{ $value }} messages and will refuse more",
    ),
    Alert(
        name="FangateWebhooksLate", severity="ticket", hold="5m", expr="max(fangate_webhook_oldest_seconds) > 120",
        summary="A webhook that is due has not been sent for {{ $value }} s",
    ),
    Alert(
        name="FangateQueueGrows", severity="ticket", hold="10m",
        expr=f"{_ready_in(_USED)} > {_LENGTH_WARNED}",
        summary="{{ $labels.queue }} holds {{ $value }} messages for ten minutes",
    ),
)  # fmt: skip

BACKING: Final = (
    Alert(
        name="FangateAdmissionDegraded", severity="page", hold="30s", expr="max(fangate_ratelimit_degraded) > 0",
        summary="Edges admit calls without Redis",
    ),
    Alert(
        name="FangateRedisRefused", severity="ticket", hold="1m",
        expr="max by (service) (fangate_redis_breaker_open) > 0",
        summary="{{ $labels.service }} does not reach Redis",
    ),
    Alert(
        name="FangateAnswersNotKept",
        severity="ticket",
        hold="0m",
        expr=_any_of(
            'sum(increase(fangate_idempotency_claims_total{outcome="unavailable"}[10m])) > 0',
            'sum(increase(fangate_idempotency_answers_total{outcome="lost"}[10m])) > 0',
        ),
        summary="Edges cannot keep answers for repeated requests",
    ),
    Alert(
        name="FangatePostgresPoolShort", severity="ticket", hold="5m",
        expr="max by (service, instance) (fangate_pg_pool_waiting) > 0",
        summary="{{ $labels.instance }} ({{ $labels.service }}) waits for connections to PostgreSQL",
    ),
)  # fmt: skip

PLATFORMS: Final = (
    Alert(
        name="FangatePlatformFails", severity="ticket", hold="10m",
        expr=(
            'sum by (provider) (rate(fangate_upstream_duration_seconds_count{outcome=~"5xx|timeout|dropped|unusable"}[5m]))\n'
            "/ sum by (provider) (rate(fangate_upstream_duration_seconds_count[5m])) > 0.25"
        ),
        summary="More than a quarter of the calls to {{ $labels.provider }} fail there",
    ),
    Alert(
        name="FangateSessionsOverdue", severity="ticket", hold="10m", expr="max(fangate_session_refreshes_overdue) > 0",
        summary="{{ $value }} sessions should have been renewed",
    ),
)  # fmt: skip

TAKEDOWNS: Final = (
    Alert(
        name="FangateSubmissionsHalfWay",
        severity="ticket",
        hold="15m",
        expr="max(fangate_takedowns_batches_leasing) > 0 unless sum(rate(fangate_takedowns_submits_total[10m])) > 0",
        summary="{{ $value }} batches hold credits of submissions that ended half-way",
    ),
    Alert(
        name="FangateTakedownsLate", severity="ticket", hold="10m",
        expr=f"max(fangate_takedowns_oldest_due_seconds) > {_LATE_SECONDS}",
        summary="What is to be done for a URL is {{ $value }} s late",
    ),
    Alert(
        name="FangateCsamWaiting", severity="page", hold="15m", expr="max(fangate_takedowns_csam_waiting) > 0",
        summary="{{ $value }} reports of the abuse of children wait for a person to tell the authorities",
    ),
)  # fmt: skip

CALLERS: Final = (
    Alert(
        name="FangateKeysGuessed", severity="ticket", hold="0m",
        expr="sum(increase(fangate_auth_blocks_total[30m])) > 10",
        summary="{{ $value }} times an address was blocked for keys that nobody has",
    ),
    Alert(
        name="FangateKeyMisused", severity="ticket", hold="0m",
        expr=_any_of(
            "sum(increase(fangate_key_sharing_suspected_total[1h])) > 0", "sum(increase(fangate_waits_ignored_total[1h])) > 0",
        ),
        summary="A key is in many hands, or goes on calling while it is told to wait",
    ),
    Alert(
        name="FangateRefusalsMany", severity="ticket", hold="10m",
        expr=f'sum by (code) (rate(fangate_refusals_total{{code=~"{_PROBING}"}}[10m])) > {_REFUSALS_PER_SECOND}',
        summary="{{ $value }} requests a second are refused with {{ $labels.code }}",
    ),
    Alert(
        name="FangateUsageUnusual", severity="ticket", hold="30m",
        expr=(
            f"sum(rate({_SPENT}[1h])) > {_TIMES_USUAL} * sum(rate({_SPENT}[1d]))\n"
            f"and sum(rate({_SPENT}[1h])) > {_CREDITS_PER_SECOND}\n"
            f"and sum({_SPENT} offset 1d)"  # before, there is no usual
        ),
        summary="Credits go five times as fast as in the day before: {{ $value }} a second",
    ),
)  # fmt: skip

GROUPS: Final = {
    "processes": PROCESSES, "money": MONEY, "bus": BUS, "backing-services": BACKING, "platforms": PLATFORMS, "takedowns": TAKEDOWNS, "callers": CALLERS,
}  # fmt: skip
ALERTS: Final = tuple(alert for alerts in GROUPS.values() for alert in alerts)

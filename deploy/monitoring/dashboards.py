"""The boards, and `python -m deploy.monitoring.dashboards`, which writes them to `dashboards/*.json` for Grafana."""

import sys
from pathlib import Path
from typing import Final

from deploy.documents import ROOT, to_json, write
from deploy.monitoring.alerts import JOB
from deploy.monitoring.panels import Board, Line, Panel, quantiles, rate, value
from deploy.monitoring.slos import OBJECTIVES

FOLDER: Final = ROOT / "deploy" / "monitoring" / "dashboards"
_DEAD: Final = 'queue=~".+\\\\.dead"'
_WAITING: Final = 'queue!~".+\\\\.dead|retry\\\\..+"'

OVERVIEW: Final = Board(
    uid="fangate-overview", title="Fangate: overview",
    rows=(
        ("Objectives: share of bad events, and what is left of 30 days' budget", [
            Panel(
                title=objective.promise, unit="percentunit", alarm_above=objective.budget,
                lines=(
                    Line(objective.record("1h"), "1 h"), Line(objective.record("1d"), "1 day"),
                    Line(f"1 - {objective.record('30d')} / {objective.budget}", "budget left"),
                ),
            )
            for objective in OBJECTIVES
        ]),
        ("Now", [
            Panel(title="Processes that answer", kind="stat", lines=value(f'sum by (service) (up{{job="{JOB}"}})', "{{service}}")),
            Panel(title="Alerts", kind="stat", alarm_above=1, lines=value('count by (severity) (ALERTS{alertstate="firing"}) or vector(0)', "{{severity}}")),
            Panel(title="Requests", unit="reqps", lines=(rate("fangate_http_requests_total", "status_class"),)),
            Panel(title="Credits moved", lines=(rate("fangate_credits_total", "type"),)),
        ]),
        ("Processes", [
            Panel(title="Versions", lines=value("count by (service, version) (fangate_build_info)", "{{service}} {{version}}")),
            Panel(title="Unexpected errors", alarm_above=0.001, lines=(rate("fangate_unhandled_errors_total", "service"), rate("fangate_bus_broken_total", "service", legend="{{service}}, of the bus"))),
            Panel(title="Event loop lag", unit="s", alarm_above=0.5, lines=value("max by (service) (fangate_eventloop_lag_seconds)", "{{service}}")),
            Panel(title="Memory", unit="bytes", lines=value(f'sum by (service) (process_resident_memory_bytes{{job="{JOB}"}})', "{{service}}")),
        ]),
    ),
)  # fmt: skip

EDGE: Final = Board(
    uid="fangate-edge", title="Fangate: edge",
    rows=(
        ("Requests", [
            Panel(title="By status and whose fault", unit="reqps", lines=(rate("fangate_http_requests_total", "status_class, reason", legend="{{status_class}} {{reason}}"),)),
            Panel(title="By route", unit="reqps", lines=(rate("fangate_http_requests_total", "route"),)),
            Panel(title="Under way", lines=value("sum(fangate_http_inflight)", "requests")),
        ]),
        ("Time", [
            Panel(title="Request to answer", unit="s", lines=quantiles("fangate_http_request_duration_seconds")),
            Panel(title="Beyond the platform's own time", unit="s", alarm_above=0.025, lines=quantiles("fangate_gateway_overhead_seconds")),
            Panel(title="Platforms", unit="s", lines=quantiles("fangate_upstream_duration_seconds", by="provider", shares=(0.5, 0.99))),
        ]),
        ("Admission", [
            Panel(title="Windows", unit="reqps", lines=(rate("fangate_ratelimit_decisions_total", "window, outcome", legend="{{window}} {{outcome}}"),)),
            Panel(title="Authentication", unit="reqps", lines=(rate("fangate_auth_total", "outcome"), rate("fangate_auth_cache_total", "result", legend="cache {{result}}"))),
            Panel(title="Asked billing for credits", unit="reqps", lines=(rate("fangate_edge_refills_total", "outcome"),)),
            Panel(title="Edges without Redis", alarm_above=1, lines=value("sum(fangate_ratelimit_degraded)", "edges")),
        ]),
        ("Abuse", [
            Panel(title="Addresses blocked", lines=value("sum(increase(fangate_auth_blocks_total[1h]))", "in an hour")),
            Panel(title="Keys that seem shared", lines=value("sum(increase(fangate_key_sharing_suspected_total[1h]))", "in an hour")),
            Panel(title="Refusals by code", unit="reqps", lines=(rate("fangate_refusals_total", "code"),)),
            Panel(title="Keys that do not wait", lines=value("sum(increase(fangate_waits_ignored_total[1h]))", "in an hour")),
            Panel(title="Questions to Redis without an answer", lines=value("sum(rate(fangate_ratelimit_backend_errors_total[$__rate_interval]))", "per second")),
        ]),
    ),
)  # fmt: skip

LEDGER: Final = Board(
    uid="fangate-ledger", title="Fangate: credits and ledger",
    rows=(
        ("Must be 0", [
            Panel(title="Drift", kind="stat", unit="none", alarm_above=1, lines=(Line("max(abs(fangate_ledger_drift_credits))", "credits"), Line("max(fangate_ledger_drift_accounts)", "buckets"))),
            Panel(title="Broken rules", kind="stat", unit="none", alarm_above=1, lines=(
                Line("max(fangate_ledger_negative_buckets)", "negative"), Line("max(fangate_ledger_lease_mismatch)", "leases"),
                Line("max by (rule) (fangate_ledger_rule_violations)", "{{rule}}"), Line("max(fangate_ledger_seal_mismatch)", "seals"),
            )),
            Panel(title="Put aside", kind="stat", unit="none", alarm_above=1, lines=(Line("max(fangate_ledger_post_errors)", "events"), Line("max(fangate_ledger_refunds_overdue)", "refunds"))),
            Panel(title="Credits nobody paid", kind="stat", unit="none", alarm_above=1, lines=value("sum by (reason) (increase(fangate_waived_credits_total[1d]))", "{{reason}}")),
        ]),
        ("Posting", [
            Panel(title="From call to ledger", unit="s", alarm_above=5, lines=quantiles("fangate_ledger_lag_seconds")),
            Panel(title="One batch", unit="s", lines=quantiles("fangate_ledger_append_seconds")),
            Panel(title="Rows of a batch", lines=quantiles("fangate_ledger_batch_size", shares=(0.5, 0.99))),
            Panel(title="Duplicates absorbed, deliveries refused", unit="reqps", lines=(
                Line("sum(rate(fangate_ledger_duplicates_total[$__rate_interval]))", "duplicates"), rate("fangate_ledger_refused_total", "reason"),
            )),
        ]),
        ("Credits", [
            Panel(title="Moved", lines=(rate("fangate_credits_total", "type"),)),
            Panel(title="Leases that are not final", lines=value("max by (holder) (fangate_leases_open)", "{{holder}}")),
            Panel(title="Oldest such lease", unit="s", lines=value("max by (holder) (fangate_lease_oldest_seconds)", "{{holder}}")),
            Panel(title="Stranded", lines=value("max(fangate_stranded_credits)", "credits")),
        ]),
        ("Undone, sealed, room", [
            Panel(title="Voids waiting in edges", alarm_above=1, lines=value("sum(fangate_usage_voids_pending)", "calls")),
            Panel(title="Usage records", unit="reqps", lines=(rate("fangate_usage_records_total", "outcome"), rate("fangate_usage_voided_total", "first", legend="voided, {{first}} first"))),
            Panel(title="Age of what is not sealed", unit="s", alarm_above=900, lines=value("max(fangate_ledger_seal_lag_seconds)", "seal")),
            Panel(title="Months with room", kind="stat", lines=value("max(fangate_ledger_partitions_ahead)", "months")),
        ]),
    ),
)  # fmt: skip

BUS: Final = Board(
    uid="fangate-bus", title="Fangate: bus and workers",
    rows=(
        ("Queues", [
            Panel(title="Waiting", lines=value(f"sum by (queue) (rabbitmq_detailed_queue_messages_ready{{{_WAITING}}})", "{{queue}}")),
            Panel(title="In hand", lines=value(f"sum by (queue) (rabbitmq_detailed_queue_messages_unacked{{{_WAITING}}})", "{{queue}}")),
            Panel(title="Consumers", lines=value(f"sum by (queue) (rabbitmq_detailed_queue_consumers{{{_WAITING}}})", "{{queue}}")),
            Panel(title="Dead letters", alarm_above=1, lines=value(f"sum by (queue) (rabbitmq_detailed_queue_messages_ready{{{_DEAD}}}) > 0", "{{queue}}")),
        ]),
        ("Handling", [
            Panel(title="Taken", unit="reqps", lines=(rate("fangate_bus_handled_total", "queue, outcome", legend="{{queue}} {{outcome}}"),)),
            Panel(title="Waited in the queue (p95)", unit="s", lines=quantiles("fangate_bus_queue_wait_seconds", by="queue", shares=(0.95,))),
            Panel(title="Handler (p95)", unit="s", lines=quantiles("fangate_bus_handle_seconds", by="queue", shares=(0.95,))),
            Panel(title="Batch (p95)", unit="s", lines=quantiles("fangate_bus_batch_seconds", by="queue", shares=(0.95,))),
        ]),
        ("Trouble", [
            Panel(title="Retried", unit="reqps", lines=(rate("fangate_bus_retried_total", "queue, rung", legend="{{queue}} {{rung}}"),)),
            Panel(title="Died", unit="reqps", alarm_above=0.001, lines=(rate("fangate_bus_dead_total", "queue, reason", legend="{{queue}} {{reason}}"),)),
            Panel(title="Delivered again", unit="reqps", lines=(rate("fangate_bus_redelivered_total", "queue"),)),
            Panel(title="Braked consumers", alarm_above=1, lines=value("max by (queue) (fangate_bus_brake)", "{{queue}}")),
        ]),
        ("Calls and publishing", [
            Panel(title="Calls by outcome", unit="reqps", lines=(rate("fangate_bus_rpc_total", "type, outcome", legend="{{type}} {{outcome}}"),)),
            Panel(title="Too late", unit="reqps", lines=(
                Line("sum(rate(fangate_bus_rpc_late_total[$__rate_interval]))", "answers"), Line("sum(rate(fangate_bus_rpc_expired_total[$__rate_interval]))", "calls"),
            )),
            Panel(title="Publish to confirm", unit="s", lines=quantiles("fangate_bus_publish_seconds")),
            Panel(title="Outbox, oldest", unit="s", alarm_above=30, lines=value("max by (service) (fangate_outbox_oldest_seconds)", "{{service}}")),
        ]),
        ("Webhooks", [
            Panel(title="Attempts by outcome", unit="reqps", lines=(rate("fangate_webhook_deliveries_total", "outcome"),)),
            Panel(title="Due and not sent, oldest", unit="s", alarm_above=120, lines=value("max(fangate_webhook_oldest_seconds)", "webhooks")),
        ]),
        ("Models and timers", [
            Panel(title="Models", lines=value("max by (state) (fangate_models)", "{{state}}")),
            Panel(title="Sessions renewed", unit="reqps", lines=(rate("fangate_session_refresh_total", "outcome"),)),
            Panel(title="Pace of calls to one account", unit="reqps", lines=(rate("fangate_model_pacing_total", "outcome"),)),
            Panel(title="Timers that failed", lines=value('sum by (service, timer) (increase(fangate_timer_runs_total{outcome="failed"}[1h])) > 0', "{{service}} {{timer}}")),
        ]),
    ),
)  # fmt: skip

DEPENDENCIES: Final = Board(
    uid="fangate-dependencies", title="Fangate: dependencies",
    rows=(
        ("PostgreSQL", [
            Panel(title="Connections in use", lines=value("sum by (service) (fangate_pg_pool_size - fangate_pg_pool_idle)", "{{service}}")),
            Panel(title="Waiting for one", alarm_above=1, lines=value("sum by (service) (fangate_pg_pool_waiting)", "{{service}}")),
            Panel(title="Schema", lines=value("max by (service) (fangate_schema_version)", "{{service}}")),
            Panel(title="Outbox", lines=value("sum by (service) (fangate_outbox_pending)", "{{service}}")),
        ]),
        ("Redis", [
            Panel(title="Requests under way", lines=value("sum by (service) (fangate_redis_pool_in_use)", "{{service}}")),
            Panel(title="Failed", unit="reqps", lines=(rate("fangate_redis_errors_total", "service, kind", legend="{{service}} {{kind}}"),)),
            Panel(title="Not asked any more", alarm_above=1, lines=value("max by (service) (fangate_redis_breaker_open)", "{{service}}")),
        ]),
        ("RabbitMQ", [
            Panel(title="Takes nothing", alarm_above=1, lines=value("max by (service) (fangate_bus_blocked)", "{{service}}")),
            Panel(title="Connections made anew", unit="reqps", lines=(rate("fangate_bus_reconnects_total", "service, role", legend="{{service}} {{role}}"),)),
            Panel(title="Messages absorbed twice", unit="reqps", lines=(rate("fangate_inbox_duplicates_total", "consumer"),)),
        ]),
        ("Platforms", [
            Panel(title="Exchanges by outcome", unit="reqps", lines=(rate("fangate_upstream_duration_seconds_count", "provider, outcome", legend="{{provider}} {{outcome}}"),)),
            Panel(title="Time", unit="s", lines=quantiles("fangate_upstream_duration_seconds", by="provider", shares=(0.5, 0.95))),
            Panel(title="Writes whose outcome nobody knows", lines=value("sum(increase(fangate_upstream_calls_unknown_total[1d]))", "in a day")),
        ]),
    ),
)  # fmt: skip

TAKEDOWNS: Final = Board(
    uid="fangate-takedowns", title="Fangate: takedowns",
    rows=(
        ("Submissions", [
            Panel(title="URLs by what became of them", unit="reqps", lines=(rate("fangate_takedowns_urls_total", "outcome"),)),
            Panel(title="Submissions", unit="reqps", lines=(rate("fangate_takedowns_submits_total", "outcome"),)),
            Panel(title="Message to answer", unit="s", lines=quantiles("fangate_takedowns_submit_seconds")),
        ]),
        ("Credits of batches", [
            Panel(title="Under way or half-way", lines=value("max(fangate_takedowns_batches_leasing)", "batches")),
            Panel(title="Settled by the sweeper", lines=value("sum(increase(fangate_takedowns_batches_settled_total[1h]))", "in an hour")),
            Panel(title="Refunds sent", lines=value("sum(increase(fangate_takedowns_refunds_sent_total[1h]))", "in an hour")),
        ]),
    ),
)  # fmt: skip

BOARDS: Final = (OVERVIEW, EDGE, LEDGER, BUS, TAKEDOWNS, DEPENDENCIES)


def files() -> dict[Path, str]:
    """What is committed."""
    return {FOLDER / f"{board.uid.removeprefix('fangate-')}.json": to_json(board.to_json()) for board in BOARDS}


if __name__ == "__main__":
    write(files(), folder=FOLDER, pattern="*.json")
    sys.exit(0)

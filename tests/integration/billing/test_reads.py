"""What customers read: the ledger with its filters and pages, usage by its dimensions, plans and the subscription."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.billing import ExportLedger, GetUsage, ListLedger
from libs.common.contracts.edge import Usage, UsageVoided
from libs.common.contracts.takedowns import BatchDebited, BatchRefunded
from libs.common.ids import uuid7
from services.billing.domain.errors import InvalidRequest
from services.billing.domain.reads import export_span, ledger_filter, usage_span
from services.billing.store import reads as reads_store
from tests.support.billing import Billing, a_usage, recorded
from tests.support.ledger_export import seal_faults

NOON = datetime.now(UTC).replace(day=2, hour=12, minute=30, second=0, microsecond=0)
KEYS = [uuid.UUID(int=10), uuid.UUID(int=11)]
MODELS = [uuid.UUID(int=20), uuid.UUID(int=21)]


def call_at(org_id: uuid.UUID, lease_id: uuid.UUID, at: datetime, **changed: Any) -> Usage:
    id_ = uuid.UUID(int=int(at.timestamp() * 1000) << 80 | (uuid7().int & (1 << 80) - 1))
    return msgspec.structs.replace(a_usage(org_id, lease_id, 1, id_), **changed)


async def page(billing: Billing, org_id: uuid.UUID, **wanted: Any) -> Any:
    return await billing.app.handlers.reads.ledger(ledger_filter(ListLedger(org_id=org_id, **wanted)))


async def usage(billing: Billing, org_id: uuid.UUID, **wanted: Any) -> Any:
    return await billing.app.handlers.reads.usage(usage_span(GetUsage(org_id=org_id, **wanted), now=datetime.now(UTC)))


@pytest.fixture(params=["unsealed", "sealed", "between"])
async def busy(request: pytest.FixtureRequest, billing: Billing) -> uuid.UUID:
    """Six calls over two hours and two days, one of them voided; a batch with a refund; a top-up and a grant."""
    org_id = await billing.organization(plan="pro", topup=20)
    opened = await billing.open_slab(org_id, cost=40, ref="edge:reads")
    calls = [
        call_at(org_id, opened.lease_id, NOON, cost=2, key_id=KEYS[0], model_id=MODELS[0], route="messages_send"),
        call_at(org_id, opened.lease_id, NOON, key_id=KEYS[0], model_id=MODELS[1], route="chats_list"),
        call_at(org_id, opened.lease_id, NOON, key_id=KEYS[1], model_id=MODELS[0], route="chats_list"),
        call_at(org_id, opened.lease_id, NOON - timedelta(hours=1), key_id=KEYS[1], model_id=MODELS[0]),
        call_at(org_id, opened.lease_id, NOON - timedelta(days=1), key_id=KEYS[1], model_id=MODELS[0]),
        call_at(org_id, opened.lease_id, NOON, key_id=KEYS[1], model_id=MODELS[1]),
    ]
    await billing.post(recorded(*calls[:4]))
    if request.param != "unsealed":
        await billing.books.seal()
    await billing.post(recorded(*calls[4:]))
    await billing.post(UsageVoided(org_id=org_id, ids=(calls[5].id,)))
    batch = await billing.open_batch(org_id, 3)
    await billing.post(
        BatchDebited(org_id=org_id, batch_id=batch.lease_id, amount=3, memo="Batch 1: 3 new URLs"),
        BatchRefunded(org_id=org_id, refund_id=uuid7(), batch_id=batch.lease_id, amount=1, memo="Refund"),
    )
    if request.param == "sealed":
        await billing.books.seal()
    return org_id


async def test_the_ledger_folds_calls_by_day_or_hour_or_not(billing: Billing, busy: uuid.UUID) -> None:
    by_day = await page(billing, busy, types=("debit",))
    by_hour = await page(billing, busy, types=("debit",), group="hour")
    each = await page(billing, busy, types=("debit",), group="none")

    assert [(one.amount, one.calls) for one in by_day.lines] == [(-3, 0), (-5, 4), (-1, 1)]
    assert by_day.lines[1].created_at == NOON.replace(hour=0, minute=0)
    assert [(one.amount, one.calls) for one in by_hour.lines] == [(-3, 0), (-4, 3), (-1, 1), (-1, 1)]
    assert len({one.id for one in (*by_day.lines, *by_hour.lines)}) == 6  # the batch is the same line
    assert sorted(one.amount for one in each.lines) == [-3, -2, -1, -1, -1, -1, -1]
    sent = next(one for one in each.lines if one.amount == -2)
    assert (sent.route, sent.key_id, sent.model_id, sent.calls) == ("messages_send", KEYS[0], MODELS[0], 1)


async def test_all_types_add_up_to_the_balance(billing: Billing, busy: uuid.UUID) -> None:
    balance = await billing.balance(busy)
    for group in ("day", "hour", "none"):
        lines = (await page(billing, busy, group=group, limit=100)).lines
        assert sum(one.amount for one in lines) == balance
        assert {one.type for one in lines} == {"debit", "refund", "topup", "grant"}
    assert [one.type for one in (await page(billing, busy, types=("topup", "expire"))).lines] == ["topup"]
    undone = await page(billing, busy, types=("refund",), group="none")
    assert sorted(one.amount for one in undone.lines) == [1, 1]  # the batch's and the voided call's


@pytest.mark.parametrize("group", ["none", "hour", "day"])
async def test_pages_follow_each_other_without_gap_or_repetition(billing: Billing, busy: uuid.UUID, group: str) -> None:
    whole = await page(billing, busy, group=group, limit=100)
    assert whole.next_cursor is None
    for limit in (1, 2, 3):
        lines, cursor = [], None
        while True:
            part = await page(billing, busy, group=group, limit=limit, cursor=cursor)
            lines += part.lines
            cursor = part.next_cursor
            if cursor is None:
                break
            assert len(part.lines) == limit
        assert tuple(lines) == whole.lines


async def test_a_span_takes_what_lies_in_it(billing: Billing, busy: uuid.UUID) -> None:
    day_before = NOON - timedelta(days=1)
    one_day = {"since": day_before.replace(hour=0, minute=0), "until": NOON.replace(hour=0, minute=0)}
    for group in ("none", "hour", "day"):
        assert [one.amount for one in (await page(billing, busy, group=group, **one_day)).lines] == [-1]
    others = await page(billing, uuid.uuid4())
    assert (others.lines, others.next_cursor) == ((), None)


async def test_usage_by_key_route_model_and_day(billing: Billing, busy: uuid.UUID) -> None:
    span = {"since": NOON - timedelta(days=2), "until": NOON + timedelta(hours=1)}

    by_day = await usage(billing, busy, **span)
    by_key = await usage(billing, busy, by=("key",), **span)
    by_all = await usage(billing, busy, by=("hour", "key", "route", "model"), **span)
    total = await usage(billing, busy, by=(), **span)

    assert [(one.at, one.calls, one.credits) for one in by_day.lines] == [
        (NOON.replace(hour=0, minute=0), 4, 5),
        (NOON.replace(hour=0, minute=0) - timedelta(days=1), 1, 1),
    ]
    assert [(one.key_id, one.calls, one.credits) for one in by_key.lines] == [(KEYS[0], 2, 3), (KEYS[1], 3, 3)]
    assert by_all.lines[0] == msgspec.structs.replace(
        by_all.lines[0], at=NOON.replace(minute=0), key_id=KEYS[0], route="messages_send", model_id=MODELS[0], calls=1,
        credits=2,
    )  # fmt: skip
    assert len(by_all.lines) == 5
    assert [(one.calls, one.credits, one.key_id) for one in total.lines] == [(5, 6, None)]
    for report in (by_day, by_key, by_all, total):
        assert (report.calls, report.credits, report.is_cut) == (5, 6, False)
    none = await usage(billing, busy, since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=2))
    assert (none.lines, none.calls) == ((), 0)


async def test_plans_and_the_subscription(billing: Billing) -> None:
    org_id = await billing.organization(plan="pro")
    reads = billing.app.handlers.reads

    plans = (await reads.plans()).plans
    mine = await reads.subscription(org_id)

    assert [(plan.code, plan.monthly_credits, plan.per_minute) for plan in plans][:3] == [
        ("free", 100, 10), ("basic", 1_000, 60), ("pro", 5_000, 300),
    ]  # fmt: skip
    assert (mine.status, mine.plan) == ("active", plans[2])
    await billing.past_due(org_id)
    assert (await reads.subscription(org_id)).past_due_since is not None
    assert (await reads.subscription(uuid.uuid4())).status == "none"


@pytest.mark.parametrize(
    "wrong",
    [{"group": "week"}, {"types": ("debit", "gold")}, {"cursor": "x"}, {"since": datetime(2026, 1, 1)}],  # noqa: DTZ001
)
def test_a_ledger_request_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        ledger_filter(ListLedger(org_id=KEYS[0], **wrong))


@pytest.mark.parametrize(
    "wrong",
    [{"by": ("week",)}, {"by": ("day", "hour")}, {"since": NOON, "until": NOON}, {"since": NOON - timedelta(days=999)}],
)
def test_a_usage_request_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        usage_span(GetUsage(org_id=KEYS[0], **wrong), now=NOON)


async def exported(billing: Billing, org_id: uuid.UUID, month: str) -> tuple[list[dict[str, Any]], int]:
    """The lines of an export with its ends, and in how many parts they came."""
    lines: list[Any] = [{"kind": "export", "org_id": str(org_id), "month": month}]
    after, parts = None, 0
    while parts == 0 or after is not None:
        wanted = export_span(ExportLedger(org_id=org_id, month=month, after=after))
        part = await billing.app.handlers.reads.export(wanted)
        lines += [json.loads(msgspec.json.encode(line)) for line in part.lines]
        after, parts = part.next, parts + 1
    kinds = [line["kind"] for line in lines]
    return [*lines, {"kind": "end", "seals": kinds.count("seal"), "transfers": kinds.count("transfer")}], parts


async def test_an_export_proves_itself_in_however_many_parts_it_comes(
    billing: Billing, busy: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await billing.books.seal()
    opened = await billing.open_slab(busy, cost=5, ref="edge:more")
    for number in range(4):
        await billing.post(recorded(*(call_at(busy, opened.lease_id, NOON, key_id=KEYS[number % 2]) for _ in range(3))))
        await billing.books.seal()
    stranger = await billing.organization(plan="pro")
    await billing.books.seal()
    await billing.post(recorded(call_at(busy, opened.lease_id, NOON)))  # not sealed, so not in it

    whole, parts = await exported(billing, busy, f"{NOON:%Y-%m}")
    assert (parts, seal_faults(whole)) == (1, [])
    rows = await billing.db.fetchval(
        "SELECT count(*) FROM transfers WHERE org_id = $1 AND posted_xid < (SELECT max(xid_to) FROM seals)", busy
    )
    assert whole[-1]["transfers"] == rows >= 12 + 11
    for limit, seals in ((1, 50), (2, 1), (3, 2), (500, 1)):
        monkeypatch.setattr(reads_store, "EXPORT_ROWS_MAX", limit)
        monkeypatch.setattr(reads_store, "EXPORT_SEALS_MAX", seals)
        again, parts = await exported(billing, busy, f"{NOON:%Y-%m}")
        assert again == whole
        assert parts > 1
    assert seal_faults((await exported(billing, stranger, f"{NOON:%Y-%m}"))[0]) == []
    for line in whole:
        if line["kind"] == "transfer":
            line["amount"] += 1
            break
    assert seal_faults(whole) != []


async def test_a_month_without_transfers_is_an_empty_export_and_what_is_none_is_refused(billing: Billing) -> None:
    org_id = await billing.organization(plan="pro")
    await billing.books.seal()
    for month in ("2025-02", "2499-12"):
        assert (await exported(billing, org_id, month))[0][1:] == [{"kind": "end", "seals": 0, "transfers": 0}]
    assert (await exported(billing, uuid7(), f"{NOON:%Y-%m}"))[0][-1]["transfers"] == 0
    for wrong in ("2026-13", "2026-00", "1999-01", "2500-01", "2026-1", ""):
        with pytest.raises(InvalidRequest):
            export_span(ExportLedger(org_id=org_id, month=wrong))

"""Messages that `billing` owns: leases, balances, transfers, subscriptions. Amounts are whole credits."""

import uuid
from datetime import datetime
from typing import Any

import msgspec

from libs.common.contracts.auth import Actor
from libs.common.contracts.envelope import Message


class OpenLease(Message, frozen=True, kw_only=True):
    """Set credits of an organization aside.

    Holder `redis`: grow or open the lease of the Redis reign `ref`, so that at least `cost` fits; `amount` and `lease_id`
    are ignored. Holder `edge`: the same counter in one edge's memory, `ref` = `edge:<boot id>`. Holder `batch`: exactly
    `amount`, all or nothing, under the caller's `lease_id`; repeating it is safe.
    Fails with INSUFFICIENT_CREDITS {required, balance}, CREDITS_IN_USE, NO_SUBSCRIPTION, SUBSCRIPTION_PAST_DUE,
    LEASE_STORE_MISMATCH.
    """

    org_id: uuid.UUID
    holder: str  # redis | edge | batch
    ref: str
    cost: int = 0
    amount: int = 0
    lease_id: uuid.UUID | None = None


class LeaseOpened(Message, frozen=True, kw_only=True):
    """`granted` credits are set aside. `life_ms` counts from the request's start on the holder's own stopwatch."""

    lease_id: uuid.UUID
    granted: int
    rest: int  # what the balance holds beyond all leases
    life_ms: int = 0


class CloseLease(Message, frozen=True, kw_only=True):
    """Return what is left of a batch lease. A close that overtakes its open makes the open fail."""

    org_id: uuid.UUID
    lease_id: uuid.UUID


class LeaseExpired(Message, frozen=True, kw_only=True):
    """The marker behind an organization's last usage of a lease: whoever reads it has posted all that came before."""

    org_id: uuid.UUID
    lease_id: uuid.UUID


class GetBalance(Message, frozen=True, kw_only=True):
    """What an organization has, bucket by bucket."""

    org_id: uuid.UUID


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Credits of one origin and one end date."""

    kind: str  # plan | topup | promo | refund
    balance: int
    ends_at: datetime | None = None


class Balance(Message, frozen=True, kw_only=True):
    """`balance` = the sum over buckets active now; `leased` of it is set aside."""

    balance: int
    leased: int
    buckets: tuple[Bucket, ...] = ()
    version: int = 0


class ListTransactions(Message, frozen=True, kw_only=True):
    """A page of an organization's debits, top-ups and refunds, newest first. Proxy calls are folded to one row a UTC day."""

    org_id: uuid.UUID
    page: int = 0
    limit: int = 25


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the listing; `amount` is positive, `type` tells the direction."""

    id: uuid.UUID
    type: str  # debit | topup | refund
    amount: int
    description: str
    created_at: datetime


class Transactions(Message, frozen=True, kw_only=True):
    """One page and the number of rows on all pages."""

    transactions: tuple[Transaction, ...]
    total: int


class ListPlans(Message, frozen=True, kw_only=True):
    """Everything there is to subscribe to."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an organization can subscribe to; limits are calls."""

    code: str
    monthly_credits: int
    per_minute: int
    per_day: int
    is_open: bool = False  # a customer may change up to it by itself; others are the operator's to give


class Plans(Message, frozen=True, kw_only=True):
    """All plans, the smallest first."""

    plans: tuple[Plan, ...]


class GetSubscription(Message, frozen=True, kw_only=True):
    """What an organization subscribes to, and what is to come of it."""

    org_id: uuid.UUID


class Subscription(Message, frozen=True, kw_only=True):
    """An organization's subscription; `status` "none" and nothing else if it never had one."""

    status: str  # none | active | past_due | cancelled
    plan: Plan | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    anchor_day: int = 0
    next_plan: str | None = None  # from period_end on
    cancels: bool = False  # at period_end, instead of renewing
    past_due_since: datetime | None = None


class UpdateSubscription(Message, frozen=True, kw_only=True):
    """Have `plan` from now on (a larger one at once, pro rata; a smaller one from the period's end), or end with the period.
    Naming the present plan takes back what waits for the period's end. The reply is the Subscription.

    Fails with INVALID_REQUEST (no such plan, both or none of the two), NOT_ENABLED (a larger plan that is not open),
    NO_SUBSCRIPTION, SUBSCRIPTION_PAST_DUE.
    """

    org_id: uuid.UUID
    plan: str | None = None
    cancels: bool = False
    by: Actor = Actor()


class ListLedger(Message, frozen=True, kw_only=True):
    """Everything that moved an organization's credits in [since, until), newest first, `limit` lines after `cursor`.

    `types` filters by `LedgerLine.type`, empty = all. `group` folds calls, less those undone, to one line per UTC `day` or
    `hour`; `none` shows each call. Fails with INVALID_REQUEST for another group, type or cursor.
    """

    org_id: uuid.UUID
    types: tuple[str, ...] = ()
    group: str = "day"  # none | hour | day
    cursor: str | None = None
    limit: int = 50
    since: datetime | None = None
    until: datetime | None = None


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One operation, or the calls of an hour or a day; `amount` is signed from the organization's side."""

    id: uuid.UUID
    type: str  # debit | refund | grant | topup | promo | expire | clawback | adjust
    amount: int
    description: str
    created_at: datetime
    calls: int = 0  # of a line of calls
    key_id: uuid.UUID | None = None
    model_id: uuid.UUID | None = None
    route: str | None = None


class LedgerPage(Message, frozen=True, kw_only=True):
    """One page; `next_cursor` None = there is no more."""

    lines: tuple[LedgerLine, ...]
    next_cursor: str | None = None


class ExportPlace(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export has come: behind this leg of this transfer of this seal, on the way to `last_seal`."""

    last_seal: int
    seal: int
    id: uuid.UUID
    leg: int


class ExportLedger(Message, frozen=True, kw_only=True):
    """The ledger of a UTC month as it is sealed: every transfer of the seals from the first to the last that hold one of the
    month, so that each seal can be recomputed and leads to the next. What is not sealed yet is left out.

    `after` continues. Fails with INVALID_REQUEST for another `month` than `2026-03`.
    """

    org_id: uuid.UUID
    month: str
    after: ExportPlace | None = None


class Seal(msgspec.Struct, frozen=True, kw_only=True, tag="seal", tag_field="kind"):
    """The proof over an organization's transfers that follow: `digest` = SHA-256 of their bytes, `chain` = SHA-256 of
    `previous`, `digest` and the number of rows as 8 bytes. Hex; docs/ledger-export.md tells the bytes.
    """

    seal: int
    sealed_at: datetime
    rows: int
    total: int
    digest: str
    previous: str
    chain: str


class Transfer(msgspec.Struct, frozen=True, kw_only=True, tag="transfer", tag_field="kind"):
    """One immutable row of the ledger; accounts from 1000 on are buckets of the organization."""

    seal: int
    id: uuid.UUID
    leg: int
    code: int
    type: str
    amount: int
    debit_account: int
    credit_account: int
    refunds_id: uuid.UUID | None
    lease_id: uuid.UUID | None
    key_id: uuid.UUID | None
    model_id: uuid.UUID | None
    route: str | None
    memo: str | None
    posted_at: datetime


class LedgerExported(Message, frozen=True, kw_only=True):
    """A part of an export, each seal before its transfers; `next` None = there is no more."""

    lines: tuple[Seal | Transfer, ...]
    next: ExportPlace | None = None


class GetUsage(Message, frozen=True, kw_only=True):
    """Calls and their credits in the whole UTC hours that touch [since, until), by any of `key`, `route`, `model`, and `day`
    or `hour`. Default: the 30 days until now. Fails with INVALID_REQUEST for another dimension or a span that is empty or too long.
    """

    org_id: uuid.UUID
    since: datetime | None = None
    until: datetime | None = None
    by: tuple[str, ...] = ("day",)


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """Usage of one combination of what was asked for; the rest is None."""

    calls: int
    credits: int
    at: datetime | None = None  # the start of the day or hour
    key_id: uuid.UUID | None = None
    route: str | None = None
    model_id: uuid.UUID | None = None


class UsageReport(Message, frozen=True, kw_only=True):
    """Newest time first, then the most credits; `is_cut`: there were more lines than an answer holds. Totals are of all."""

    lines: tuple[UsageLine, ...]
    calls: int
    credits: int
    is_cut: bool = False


class BalanceChanged(Message, frozen=True, kw_only=True):
    """Credits came or went; edges forget what they remember of an exhausted balance."""

    org_id: uuid.UUID
    balance: int
    version: int


class CreditsLow(Message, frozen=True, kw_only=True):
    """The balance fell below `threshold_percent` of the period's allowance; said once per period and threshold."""

    org_id: uuid.UUID
    balance: int
    threshold_percent: int


class SubscriptionManaged(Message, frozen=True, kw_only=True):
    """A customer changed its subscription: a line for the audit log, on which no state hangs.

    `action` is update (to another plan, or back to the present one) or cancel. The message's id tells when.
    """

    org_id: uuid.UUID
    action: str
    by: Actor
    details: dict[str, Any] = {}


class SubscriptionChanged(Message, frozen=True, kw_only=True):
    """An organization's plan or its state is another now. `version` only rises; an older one is ignored."""

    org_id: uuid.UUID
    version: int
    plan: str
    status: str  # active | past_due | cancelled
    per_minute: int
    per_day: int
    period_start: datetime
    period_end: datetime

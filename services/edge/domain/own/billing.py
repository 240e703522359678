"""Billing, for a key that may: credits per bucket, the ledger, usage, plans, the subscription."""

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from libs.common.contracts import billing
from services.edge.domain.own_route import LIMIT, Asked, OwnRoute, query_of
from services.edge.domain.queries import QueryRule, one_of
from services.edge.domain.refusal import Refusal

LINES_DEFAULT: Final = 50
LINES_MAX: Final = 100
_LIST: Final[QueryRule] = re.compile(r"[a-z]+(?:,[a-z]+)*")
_DATE: Final[QueryRule] = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2}))?"
)
_GROUP: Final = one_of("none", "hour", "day")
_CURSOR: Final[QueryRule] = re.compile(r"[0-9a-f]{32}")


class SubscriptionEdit(msgspec.Struct, frozen=True, kw_only=True):
    """The subscription as it is wanted: `plan` from now on (a larger one at once, pro rata, if it is open; a smaller one from
    the period's end; the present one takes back what waits for then), or `cancels`: none after this period. One of the two.
    """

    plan: str | None = None  # its code
    cancels: bool = False


def _subscribe(asked: Asked) -> billing.UpdateSubscription:
    edit: SubscriptionEdit = asked.body
    return billing.UpdateSubscription(org_id=asked.org_id, plan=edit.plan, cancels=edit.cancels, by=asked.by)


def _moment(asked: Asked, name: str) -> datetime | None:
    """A date of the query, its beginning in UTC, or a date and time with its offset. Raises Refusal (400)."""
    text = asked.query.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal("INVALID_REQUEST", f"{name}: there is no such date") from None


def _words(asked: Asked, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(asked.query[name].split(",")) if name in asked.query else default


def _ledger(asked: Asked) -> billing.ListLedger:
    return billing.ListLedger(
        org_id=asked.org_id,
        types=_words(asked, "types", ()),
        group=asked.query.get("group", "day"),
        cursor=asked.query.get("cursor"),
        limit=asked.number("limit", default=LINES_DEFAULT, most=LINES_MAX),
        since=_moment(asked, "since"),
        until=_moment(asked, "until"),
    )


def _usage(asked: Asked) -> billing.GetUsage:
    return billing.GetUsage(
        org_id=asked.org_id,
        since=_moment(asked, "since"),
        until=_moment(asked, "until"),
        by=_words(asked, "by", ("day",)),
    )


ROUTES: Final = (
    OwnRoute(
        name="credits_read", method="GET", path="/credits", permission="api_credits_read", data=billing.Balance,
        command=lambda asked: billing.GetBalance(org_id=asked.org_id),
    ),
    OwnRoute(
        name="ledger_list", method="GET", path="/ledger", permission="api_ledger_list",
        query=query_of(
            types=_LIST, group=_GROUP, cursor=_CURSOR, limit=LIMIT, since=_DATE, until=_DATE
        ),
        data=billing.LedgerPage, command=_ledger,
    ),
    OwnRoute(
        name="usage_read", method="GET", path="/usage", permission="api_usage_read",
        query=query_of(by=_LIST, since=_DATE, until=_DATE), data=billing.UsageReport, command=_usage,
    ),
    OwnRoute(
        name="plans_list", method="GET", path="/plans", permission="api_plans_list", data=billing.Plans,
        command=lambda _: billing.ListPlans(),
    ),
    OwnRoute(
        name="subscription_read", method="GET", path="/subscription", permission="api_subscription_read",
        data=billing.Subscription, command=lambda asked: billing.GetSubscription(org_id=asked.org_id),
    ),
    OwnRoute(
        name="subscription_update", method="PUT", path="/subscription", permission="api_subscription_update",
        body=SubscriptionEdit, data=billing.Subscription, command=_subscribe,
    ),
)  # fmt: skip

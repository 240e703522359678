"""Figures: earnings, spenders, subscribers, visitors."""

from typing import Any, Final

from services.sessions.sandbox.calls import Answer, Call, PlatformError, page_of
from services.sessions.sandbox.data.account import Account
from services.sessions.sandbox.data.fans import fan, spent
from services.sessions.sandbox.data.seeded import chance, moment
from services.sessions.sandbox.rendering import Number, Pairs

_SOURCES: Final = ("subscription", "message", "tip", "post", "renewal", "referral")
EARNING_COUNT: Final = 130
CHART_DAYS: Final = 30


def list_earnings(account: Account, call: Call) -> Answer:
    """Payments, newest first; `source` picks one kind."""
    source = call.query.get("source")
    if source is not None and not set(source.split(",")) <= set(_SOURCES):
        raise PlatformError(400, "invalid_parameter", f"source must be of {', '.join(_SOURCES)}")
    rows = _earnings(account)
    return page_of(call, [row for row in rows if source is None or row["source"] in source.split(",")])


def list_top_spenders(account: Account, call: Call) -> Answer:
    return page_of(
        call,
        [
            {
                "user": fan(account, id_),
                "gross": (cents := spent(account, id_)),
                "net": cents * 8 // 10,
                "messages": cents // 200,
            }
            for id_ in list(account.fan_ids())[:50]
        ],
    )


def read_subscriber_counts(account: Account, _call: Call) -> Answer:
    """Subscribers by day."""
    dice = chance(account.id, "subscriber counts")
    return Answer(
        {
            "data": [
                {
                    "date": moment(days=n)[:10],
                    "total": 80 - n,
                    "new": dice.randint(0, 5),
                    "cancelled": dice.randint(0, 3),
                }
                for n in range(CHART_DAYS)
            ]
        }
    )


def read_chart(account: Account, _call: Call) -> Answer:
    """Earnings by day. The numbers are spelled as three different serializers would."""
    dice = chance(account.id, "chart")
    spellings = ("{}.00", "{}", "{}E0", "{}e+0", "{}.500000000000000000001")
    return Answer(
        {
            "points": [
                [moment(days=n)[:10], Number(dice.choice(spellings).format(dice.randint(0, 900)))]
                for n in range(CHART_DAYS)
            ]
        }
    )


def read_overview(account: Account, _call: Call) -> Answer:
    """Sums. `all_time` comes twice and the ceiling is beyond any float: both are legal JSON."""
    total = sum(row["gross"] for row in _earnings(account))
    return Answer(
        Pairs(
            (
                ("all_time", 0),
                ("currency", "USD"),
                ("all_time", total),
                ("ceiling", Number("1e400")),
                ("delta", Number("-0")),
                ("exact", Number("12345678901234567890")),
                ("note", 'nul:\x00 quote:" slash:/ snow:☃ clef:𝄞'),
            )
        )
    )


def read_visitors(account: Account, _call: Call) -> Answer:
    dice = chance(account.id, "visitors")
    guests, users = dice.randint(100, 9000), dice.randint(100, 4000)
    return Answer(
        {
            "visitors": {"total": guests + users, "guests": guests, "users": users},
            "top": ["DE", "US", "FR"],
            "chart": [],
        }
    )


def _earnings(account: Account) -> list[dict[str, Any]]:
    dice = chance(account.id, "earnings")
    rows = []
    for n in range(EARNING_COUNT):
        gross = dice.randint(300, 20_000)
        rows.append(
            {"date": moment(days=n * 0.4), "gross": gross, "net": gross * 8 // 10, "currency": "USD",
             "source": dice.choice(_SOURCES), "user": {"id": 1001 + n % 240}}
        )  # fmt: skip
    return rows

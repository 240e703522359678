"""Payouts: balances, requests, transactions, chargebacks."""

from typing import Any, Final

from services.sessions.sandbox.calls import Answer, Call, page_of
from services.sessions.sandbox.data.account import Account
from services.sessions.sandbox.data.seeded import chance, moment
from services.sessions.sandbox.rendering import Number

REQUEST_COUNT: Final = 26
TRANSACTION_COUNT: Final = 210


def read_balances(account: Account, _call: Call) -> Answer:
    dice = chance(account.id, "balances")
    available, pending = dice.randint(10_000, 900_000), dice.randint(0, 90_000)
    return Answer(
        {"pending": _money(pending), "available": _money(available), "currency": "USD", "minimumPayout": Number("20.0"),
         "canRequest": available > 2000}
    )  # fmt: skip


def list_requests(account: Account, call: Call) -> Answer:
    return page_of(call, _requests(account, "payout"))


def list_referral_requests(account: Account, call: Call) -> Answer:
    return page_of(call, _requests(account, "referral"))


def list_transactions(account: Account, call: Call) -> Answer:
    dice = chance(account.id, "transactions")
    return page_of(
        call,
        [
            {
                "id": f"txn_{dice.getrandbits(64):016x}", "amount": _money(amount := dice.randint(300, 30_000)),
                "fee": _money(amount // 5), "vat": _money(0), "type": dice.choice(("tip", "subscription", "message")),
                "status": "loading" if n < 4 else "done", "createdAt": moment(days=n / 3),
            }
            for n in range(TRANSACTION_COUNT)
        ],
    )  # fmt: skip


def read_stats(account: Account, _call: Call) -> Answer:
    """Sums by kind and by month: the dear route of 2 credits."""
    dice = chance(account.id, "payout stats")
    months = {
        f"2026-{month:02d}": {"gross": _money(dice.randint(90_000, 900_000)), "count": dice.randint(20, 300)}
        for month in range(1, 7)
    }
    return Answer(
        {"months": months, "total": {"gross": _money(dice.randint(900_000, 9_000_000)), "requests": REQUEST_COUNT}}
    )


def list_chargebacks(account: Account, call: Call) -> Answer:
    dice = chance(account.id, "chargebacks")
    return page_of(
        call,
        [
            {
                "id": 8001 + n,
                "amount": _money(dice.randint(300, 9_000)),
                "reason": "fraud",
                "user": {"id": 1001 + n},
                "at": moment(days=n * 20),
            }
            for n in range(account.id % 5)
        ],
    )


def _requests(account: Account, kind: str) -> list[dict[str, Any]]:
    dice = chance(account.id, "requests", kind)
    return [
        {
            "id": 7001 + n, "kind": kind, "amount": _money(dice.randint(5_000, 90_000)), "method": "bank_transfer",
            "state": "pending" if n == 0 else "paid", "requestedAt": moment(days=n * 7 + 1), "paidAt": moment(days=n * 7) if n else None,
        }
        for n in range(REQUEST_COUNT)
    ]  # fmt: skip


def _money(cents: int) -> Number:
    return Number(f"{cents // 100}.{cents % 100:02d}")

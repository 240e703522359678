"""Fans: followers, subscribers, what is known of one."""

from typing import Any, Final

from services.sessions.sandbox.calls import Answer, Call, PlatformError, not_found, page_of
from services.sessions.sandbox.data.account import FAN_COUNT, FIRST_FAN_ID, Account
from services.sessions.sandbox.data.seeded import avatar, chance, moment, person
from services.sessions.sandbox.rendering import Number

INFO_IDS_MAX: Final = 50


def has_fan(id_: int) -> bool:
    """Whether the id is one of an account's fans."""
    return FIRST_FAN_ID <= id_ < FIRST_FAN_ID + FAN_COUNT


def fan_id_of(call: Call) -> int:
    """The fan of the path; 404 for anybody else."""
    if not has_fan(id_ := call.id("fan_id")):
        raise not_found("fan")
    return id_


def fan(account: Account, id_: int) -> dict[str, Any]:
    """A fan as lists show it."""
    dice = chance(account.id, "fan", id_)
    name = person(dice)
    return {
        "uuid": f"{dice.getrandbits(32):08x}-0000-4000-8000-{id_:012d}",
        "id": id_,
        "handle": f"{name.split()[0].lower()}-{dice.randint(10, 9999)}",
        "displayName": name,
        "avatarUrl": avatar("fans", id_) if dice.random() < 0.8 else None,
        "isTopSpender": id_ < FIRST_FAN_ID + 10,
        "registeredAt": moment(days=dice.randint(5, 900)),
    }


def spent(account: Account, id_: int) -> int:
    """What a fan has spent, in cents: less the higher its id."""
    rank = id_ - FIRST_FAN_ID
    return 500_000 // (rank + 1) + chance(account.id, "spent", id_).randint(0, 99)


def list_followers(account: Account, call: Call) -> Answer:
    return page_of(call, [fan(account, id_) for id_ in account.fan_ids()])


def list_subscribers(account: Account, call: Call) -> Answer:
    """Every third fan pays."""
    return page_of(
        call,
        [
            fan(account, id_)
            | {"subscription": {"price": Number("9.90"), "renews": id_ % 2 == 0, "since": moment(days=id_ % 300)}}
            for id_ in account.fan_ids()
            if id_ % 3 == 0
        ],
    )


def read_info(account: Account, call: Call) -> Answer:
    """What is known of the fans named in `ids` (comma-separated), or of the ten best."""
    texts = call.query.get("ids", "").split(",") if call.query.get("ids") else []
    if len(texts) > INFO_IDS_MAX or not all(text.isdecimal() for text in texts):
        raise PlatformError(400, "invalid_parameter", f"ids must be up to {INFO_IDS_MAX} numbers")
    ids = [int(text) for text in texts] or list(account.fan_ids())[:10]
    return Answer({"data": [_insight(account, id_) for id_ in ids if has_fan(id_)]})


def read_fan(account: Account, call: Call) -> Answer:
    return Answer(_insight(account, fan_id_of(call)))


def _insight(account: Account, id_: int) -> dict[str, Any]:
    cents = spent(account, id_)
    return {
        "fan": fan(account, id_),
        "spending": {
            "total": Number(f"{cents // 100}.{cents % 100:02d}"),
            "maxSinglePayment": cents // 3,
            "currency": "USD",
        },
        "status": "subscriber" if id_ % 3 == 0 else "follower",
        "lastPurchaseAt": moment(days=id_ % 40) if id_ % 4 else None,
    }

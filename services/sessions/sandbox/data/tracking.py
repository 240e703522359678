"""Tracking links: where new fans come from."""

from typing import Any, Final

from services.sessions.sandbox.calls import NO_CONTENT, Answer, Call, not_found, page_of
from services.sessions.sandbox.data.account import FIRST_ID, Account
from services.sessions.sandbox.data.seeded import chance, moment

LINK_COUNT: Final = 33


def list_links(account: Account, call: Call) -> Answer:
    return page_of(call, account.things("links", _generated(account)))


def create_link(account: Account, call: Call) -> Answer:
    name, number = call.text("name", max_length=100), account.next_id()
    link = {
        "id": number, "name": name, "linkUrl": f"https://sandbox.test/{account.id}/c{number}", "clicks": 0,
        "createdAt": moment(), "engagement": {"acquiredFollowers": 0, "acquiredSubscribers": 0},
    }  # fmt: skip
    return Answer(account.create("links", link), status=201)


def read_link(account: Account, call: Call) -> Answer:
    return Answer(_link_of(account, call))


def delete_link(account: Account, call: Call) -> Answer:
    account.remove("links", _link_of(account, call)["id"])
    return NO_CONTENT


def _link_of(account: Account, call: Call) -> dict[str, Any]:
    id_ = call.id("link_id")
    for link in account.things("links", _generated(account)):
        if link["id"] == id_:
            return link
    raise not_found("tracking link")


def _generated(account: Account) -> list[dict[str, Any]]:
    dice = chance(account.id, "links")
    return [
        {
            "id": FIRST_ID + n, "name": f"campaign {n + 1}", "linkUrl": f"https://sandbox.test/{account.id}/c{n + 1}",
            "clicks": (clicks := dice.randint(0, 9000)), "createdAt": moment(days=n * 11),
            "engagement": {"acquiredFollowers": clicks // 9, "acquiredSubscribers": clicks // 80},
        }
        for n in range(LINK_COUNT)
    ]  # fmt: skip

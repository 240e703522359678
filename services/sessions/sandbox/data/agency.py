"""An agency's view: its creators, and calls made for one of them."""

from typing import Any, Final

from services.sessions.sandbox.calls import Answer, Call, Handler, not_found, page_of
from services.sessions.sandbox.data.account import FIRST_ID, Account
from services.sessions.sandbox.data.seeded import avatar, chance, moment, person

CREATOR_COUNT: Final = 7


def list_creators(account: Account, call: Call) -> Answer:
    return page_of(call, [_shown(account.creator(FIRST_ID + n), FIRST_ID + n) for n in range(CREATOR_COUNT)])


def list_team_members(account: Account, call: Call) -> Answer:
    dice = chance(account.id, "team")
    return page_of(
        call,
        [
            {
                "id": 9501 + n,
                "displayName": person(dice),
                "role": role,
                "creators": [FIRST_ID + n],
                "joinedAt": moment(days=100 + n),
            }
            for n, role in enumerate(("owner", "manager", "chatter", "chatter"))
        ],
    )


def for_creator(handler: Handler) -> Handler:
    """`handler` on the account of the path's creator. A write there also ages what is cached of the agency."""

    def handle(account: Account, call: Call) -> Answer:
        id_ = call.id("creator_user_id")
        if not FIRST_ID <= id_ < FIRST_ID + CREATOR_COUNT:
            raise not_found("creator")
        creator = account.creator(id_)
        before = creator.version
        answer = handler(creator, call)
        if creator.version != before:
            account.changed()
        return answer

    return handle


def _shown(creator: Account, id_: int) -> dict[str, Any]:
    return {
        "id": id_, "role": "creator", "displayName": creator.name, "avatarUrl": avatar("creators", id_),
        "registeredAt": moment(days=id_ % 50 + 200),
    }  # fmt: skip

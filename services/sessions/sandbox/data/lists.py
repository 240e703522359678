"""Lists of fans: those the creator made, and those the platform keeps."""

from typing import Any, Final

from services.sessions.sandbox.calls import NO_CONTENT, Answer, Call, PlatformError, not_found, page_of
from services.sessions.sandbox.data.account import FIRST_ID, KEPT_MAX, Account
from services.sessions.sandbox.data.fans import fan, has_fan
from services.sessions.sandbox.data.seeded import chance, moment

_NAMES: Final = ("VIP", "Big tippers", "New this month", "Stammgäste", "Quiet ones", "Birthday club")
_SMART: Final = (
    "all_contacts",
    "followers",
    "subscribers",
    "expired_subscribers",
    "spent_more_than_50",
    "auto_renew_off",
)


def list_lists(account: Account, call: Call) -> Answer:
    return page_of(call, [_counted(account, each) for each in account.things("lists", _generated(account))])


def list_smart(account: Account, _call: Call) -> Answer:
    """The lists the platform keeps; not paged."""
    return Answer(
        [{"id": n + 1, "key": key, "count": chance(account.id, key).randint(3, 240)} for n, key in enumerate(_SMART)]
    )


def create_list(account: Account, call: Call) -> Answer:
    """A new list called `name`; it may begin with the fans `userIds`."""
    name, fans = call.text("name", max_length=64), _fans_of(call)
    if any(each["name"] == name for each in account.things("lists", _generated(account))):
        raise PlatformError(409, "exists", "There is a list of this name")
    made = account.create("lists", {"name": name, "id": account.next_id(), "createdAt": moment()})
    if len(account.members) >= KEPT_MAX:
        del account.members[next(iter(account.members))]
    account.members[made["id"]] = (set(fans), set())
    return Answer(_counted(account, made), status=201)


def list_members(account: Account, call: Call) -> Answer:
    return page_of(call, [fan(account, id_) for id_ in sorted(_members(account, _list_id_of(account, call)))])


def add_members(account: Account, call: Call) -> Answer:
    """Add the fans `userIds` (or `fan_ids`); those already on the list stay."""
    id_ = _list_id_of(account, call)
    fans = _fans_of(call)
    added, removed = account.members.setdefault(id_, (set(), set()))
    before = len(_members(account, id_))
    added.update(fans)
    removed.difference_update(fans)
    account.changed()
    return Answer({"added": len(_members(account, id_)) - before, "count": len(_members(account, id_))})


def remove_member(account: Account, call: Call) -> Answer:
    """Remove one fan; 404 when it is not on the list."""
    id_, fan_id = _list_id_of(account, call), call.id("fan_id")
    if fan_id not in _members(account, id_):
        raise not_found("member")
    added, removed = account.members.setdefault(id_, (set(), set()))
    added.discard(fan_id)
    removed.add(fan_id)
    account.changed()
    return NO_CONTENT


def _fans_of(call: Call) -> list[int]:
    fans = call.numbers("userIds") or call.numbers("fan_ids")
    if not all(map(has_fan, fans)):
        raise PlatformError(422, "invalid_field", "userIds must name fans")
    return fans


def _generated(account: Account) -> list[dict[str, Any]]:
    return [
        {"name": name, "id": FIRST_ID + n, "createdAt": moment(days=30 * n + account.id % 7)}
        for n, name in enumerate(_NAMES)
    ]


def _counted(account: Account, each: dict[str, Any]) -> dict[str, Any]:
    return each | {"membersCount": len(_members(account, each["id"]))}


def _list_id_of(account: Account, call: Call) -> int:
    id_ = call.id("list_id")
    if all(each["id"] != id_ for each in account.things("lists", _generated(account))):
        raise not_found("list")
    return id_


def _members(account: Account, id_: int) -> set[int]:
    generated: set[int] = set()
    if FIRST_ID <= id_ < FIRST_ID + len(_NAMES):
        dice = chance(account.id, "members", id_)
        generated = {fan_id for fan_id in account.fan_ids() if dice.random() < 0.2 or fan_id == FIRST_ID}
    added, removed = account.members.get(id_, (set(), set()))
    return (generated | added) - removed

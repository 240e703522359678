"""Chats: one per fan who ever wrote."""

from typing import Any, Final

from services.sessions.sandbox.calls import Answer, Call, PlatformError, is_id, not_found, page_of
from services.sessions.sandbox.data.account import Account
from services.sessions.sandbox.data.fans import fan, fan_id_of, has_fan
from services.sessions.sandbox.data.messages import messages_of
from services.sessions.sandbox.data.seeded import avatar, chance

CHAT_COUNT: Final = 87
STATUS_IDS_MAX: Final = 100
_CHANGEABLE: Final = {"isRead": bool, "isMuted": bool, "nickname": str}


def list_chats(account: Account, call: Call) -> Answer:
    """Newest conversation first; `search` matches names, `filter=unread` what it says."""
    found = [chat(account, id_) for id_ in _chat_ids(account)]
    if search := call.query.get("search", "").lower():
        found = [each for each in found if search in each["user"]["displayName"].lower()]
    if call.query.get("filter") == "unread":
        found = [each for each in found if not each["isRead"]]
    return page_of(call, found)


def create_chat(account: Account, call: Call) -> Answer:
    """Open a chat with the fan `userId` (or `userUuid`, `fan_id`; default: the first without one); 409 when there is one."""
    body, chats = call.body(), _chat_ids(account)
    silent = next((id_ for id_ in account.fan_ids() if id_ not in chats), "")
    named = [body[name] for name in ("userId", "fan_id") if name in body]
    named += [str(body["userUuid"])[-12:].lstrip("0")] if "userUuid" in body else []
    given = (named or [silent])[0]
    if not is_id(given) or not has_fan(int(given)):
        raise PlatformError(422, "invalid_field", "userId must name a fan")
    if int(given) in chats:
        raise PlatformError(409, "exists", "There is a chat with this fan")
    account.opened_chats.append(int(given))
    account.changed()
    return Answer(chat(account, int(given)), status=201)


def read_chat(account: Account, call: Call) -> Answer:
    return Answer(chat(account, _chat_id_of(account, call)))


def update_chat(account: Account, call: Call) -> Answer:
    """Set `isRead`, `isMuted`, `nickname`; other members are ignored."""
    id_ = _chat_id_of(account, call)
    changes = {name: value for name, value in call.body().items() if name in _CHANGEABLE}
    for name, value in changes.items():
        if not isinstance(value, _CHANGEABLE[name]):
            raise PlatformError(422, "invalid_field", f"{name} cannot be set like this")
    account.chat_changes.setdefault(id_, {}).update(changes)
    account.changed()
    return Answer(chat(account, id_))


def read_unread(account: Account, _call: Call) -> Answer:
    unread = [each for id_ in _chat_ids(account) if not (each := chat(account, id_))["isRead"]]
    return Answer(
        {"unreadChatsCount": len(unread), "unreadMessagesCount": sum(each["unreadMessagesCount"] for each in unread)}
    )


def read_statuses(account: Account, call: Call) -> Answer:
    """Who of the fans in `userIds` (or `userUuids`) is online."""
    ids = call.numbers("userIds") or call.texts("userUuids")
    if len(ids) > STATUS_IDS_MAX:
        raise PlatformError(422, "invalid_field", f"userIds must be a list of up to {STATUS_IDS_MAX} ids")
    return Answer(
        {"statuses": {str(id_): {"isOnline": chance(account.id, "online", id_).random() < 0.3} for id_ in ids}}
    )


def list_media(account: Account, call: Call) -> Answer:
    """What was ever attached in a chat."""
    id_ = _chat_id_of(account, call)
    dice = chance(account.id, "chat media", id_)
    return page_of(
        call,
        [
            {"uuid": f"{id_:08d}-0000-4000-9000-{n:012d}", "mediaType": dice.choice(("image", "video", "audio")),
             "url": avatar("chat-media", id_ * 1000 + n), "width": dice.randint(0, 4) * 480 or None}
            for n in range(dice.randint(0, 45))
        ],
    )  # fmt: skip


def chat(account: Account, id_: int) -> dict[str, Any]:
    """A chat as lists show it."""
    dice = chance(account.id, "chat", id_)
    unread = dice.choice((0, 0, 0, 1, 2, 7))
    conversation = messages_of(account, id_)
    return {
        "isRead": unread == 0,
        "createdAt": conversation[-1]["sentAt"] if conversation else None,
        "user": fan(account, id_),
        "isMuted": False,
        "unreadMessagesCount": unread,
        "lastMessage": conversation[0] if conversation else None,
    } | account.chat_changes.get(id_, {})


def _chat_ids(account: Account) -> list[int]:
    return [*reversed(account.opened_chats), *list(account.fan_ids())[:CHAT_COUNT]]


def _chat_id_of(account: Account, call: Call) -> int:
    if (id_ := fan_id_of(call)) not in _chat_ids(account):
        raise not_found("chat")
    return id_

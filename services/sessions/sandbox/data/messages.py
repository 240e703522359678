"""Messages in chats, and mass messages."""

from collections import deque
from typing import Any, Final

from services.sessions.sandbox.calls import NO_CONTENT, Answer, Call, PlatformError, not_found, page_of
from services.sessions.sandbox.data.account import FIRST_ID, KEPT_MAX, Account
from services.sessions.sandbox.data.fans import fan_id_of
from services.sessions.sandbox.data.seeded import chance, moment, sentence
from services.sessions.sandbox.rendering import Number

FIRST_MESSAGE_ID: Final = (
    10_000_000_000_000_000_000  # 20 digits: more than a double or a signed 64-bit integer can hold
)
CHAT_STEP: Final = 1_000_000_000  # the ids of a chat begin at this times the fan
MESSAGES_MAX: Final = 60  # generated, per chat
MASS_MESSAGE_COUNT: Final = 12


def messages_of(account: Account, fan_id: int) -> list[dict[str, Any]]:
    """A conversation, newest first: what was sent by calls, then the generated past."""
    sent = reversed(account.sent.get(fan_id, ()))
    past = _past(account, fan_id)
    return [_shown(account, message) for message in (*sent, *past) if message["id"] not in account.deleted]


def list_messages(account: Account, call: Call) -> Answer:
    return page_of(call, messages_of(account, fan_id_of(call)))


def send_message(account: Account, call: Call) -> Answer:
    """Send `text` (or only `mediaUuids`), perhaps for `price`."""
    fan_id, body = fan_id_of(call), call.body()
    media = call.texts("mediaUuids")
    if not media or "text" in body:
        call.text("text", max_length=5_000)
    price = body.get("price")
    if price is not None and (isinstance(price, bool) or not isinstance(price, int | float) or price < 0):
        raise PlatformError(422, "invalid_field", "price must be a number of at least 0")
    number = account.next_id()
    message = {
        "id": FIRST_MESSAGE_ID + number,
        "text": body.get("text"),
        "sentAt": moment(seconds=-(number % 100_000_000)),
        "sender": {"id": account.id, "handle": account.name},
        "recipient": {"id": fan_id},
        "hasMedia": bool(media),
        "pricing": {"USD": {"price": price}} if price else None,
    }
    account.sent.setdefault(fan_id, deque(maxlen=KEPT_MAX)).append(message)
    account.changed()
    return Answer(_shown(account, message), status=201)


def delete_message(account: Account, call: Call) -> Answer:
    """Delete a message; a second time it is not found."""
    id_ = _known(account, call)
    for sent in account.sent.values():
        for message in sent:
            if message["id"] == id_:
                sent.remove(message)
                account.changed()
                return NO_CONTENT
    account.deleted.add(id_)  # a generated one: there are only so many
    account.changed()
    return NO_CONTENT


def like_message(account: Account, call: Call) -> Answer:
    id_ = _known(account, call)
    if len(account.liked) >= KEPT_MAX:
        account.liked.pop()
    account.liked.add(id_)
    account.changed()
    return Answer({"id": id_, "liked": True})


def list_mass_messages(account: Account, call: Call) -> Answer:
    return page_of(call, account.things("mass_messages", _generated_mass_messages(account)))


def send_mass_message(account: Account, call: Call) -> Answer:
    """Send `text` to the lists `includedLists` (default: everybody)."""
    text, lists = call.text("text"), call.numbers("includedLists")
    mass = {
        "id": account.next_id(), "text": text, "status": "queued", "includedLists": lists,
        "recipientCount": 240 if not lists else 40, "createdAt": moment(),
    }  # fmt: skip
    return Answer(account.create("mass_messages", mass), status=201)


def cancel_mass_message(account: Account, call: Call) -> Answer:
    id_ = call.id("mass_message_id")
    if all(mass["id"] != id_ for mass in account.things("mass_messages", _generated_mass_messages(account))):
        raise not_found("mass message")
    account.remove("mass_messages", id_)
    return NO_CONTENT


def _past(account: Account, fan_id: int) -> list[dict[str, Any]]:
    dice = chance(account.id, "messages", fan_id)
    past = []
    for n in range(dice.randint(3, MESSAGES_MAX)):
        mine = dice.random() < 0.5
        text = sentence(dice)
        past.append(
            {
                "id": FIRST_MESSAGE_ID + fan_id * CHAT_STEP + dice.randrange(1_000_000) * 100 + n,
                "text": text + "\x00" if n == 1 else text,  # a NUL that somebody pasted: \u0000 on the wire
                "sentAt": moment(days=n * 0.7, seconds=fan_id),
                "sender": {"id": account.id if mine else fan_id},
                "recipient": {"id": fan_id if mine else account.id},
                "hasMedia": dice.random() < 0.1,
                "tip": Number(f"{dice.randint(1, 90)}.50") if dice.random() < 0.05 else None,
            }
        )
    if fan_id == FIRST_ID:
        past.append(past.pop() | {"id": FIRST_ID})  # one message with an id that is easy to type
    return past


def _shown(account: Account, message: dict[str, Any]) -> dict[str, Any]:
    return message | {"isLiked": message["id"] in account.liked}


def _known(account: Account, call: Call) -> int:
    """The message of the path, if it exists and is not deleted. Its id says which chat a generated one is in."""
    id_ = call.id("message_id")
    number = id_ - FIRST_MESSAGE_ID
    if id_ == FIRST_ID:
        chats = [FIRST_ID]
    elif number >= CHAT_STEP:
        chats = [number // CHAT_STEP]
    else:
        chats = list(account.sent)
    if all(message["id"] != id_ for fan_id in chats for message in messages_of(account, fan_id)):
        raise not_found("message")
    return id_


def _generated_mass_messages(account: Account) -> list[dict[str, Any]]:
    dice = chance(account.id, "mass messages")
    return [
        {
            "id": FIRST_ID + n, "text": sentence(dice), "status": "sent", "includedLists": [],
            "recipientCount": dice.randint(20, 240), "createdAt": moment(days=n * 3 + 1),
        }
        for n in range(MASS_MESSAGE_COUNT)
    ]  # fmt: skip

"""Posts."""

from typing import Any, Final

from services.sessions.sandbox.calls import Answer, Call, PlatformError, not_found, page_of
from services.sessions.sandbox.data.account import FIRST_ID, Account
from services.sessions.sandbox.data.seeded import chance, moment, sentence

POST_COUNT: Final = 64
_AUDIENCES: Final = ("subscribers", "followers-and-subscribers")


def list_posts(account: Account, call: Call) -> Answer:
    return page_of(call, account.things("posts", _generated(account)))


def read_post(account: Account, call: Call) -> Answer:
    id_ = call.id("post_id")
    for post in account.things("posts", _generated(account)):
        if post["id"] == id_:
            return Answer(post)
    raise not_found("post")


def create_post(account: Account, call: Call) -> Answer:
    """Publish `text` for `audience` (default: subscribers)."""
    audience = call.body().get("audience", "subscribers")
    if audience not in _AUDIENCES:
        raise PlatformError(422, "invalid_field", f"audience must be one of {', '.join(_AUDIENCES)}")
    post = {
        "id": account.next_id(), "text": call.text("text"), "audience": audience, "likes": 0, "comments": 0, "tips": 0,
        "publishedAt": moment(), "media": call.texts("mediaUuids"),
    }  # fmt: skip
    return Answer(account.create("posts", post), status=201)


def _generated(account: Account) -> list[dict[str, Any]]:
    dice = chance(account.id, "posts")
    return [
        {
            "id": FIRST_ID + n, "text": sentence(dice, words_max=30), "audience": dice.choice(_AUDIENCES),
            "likes": dice.randint(0, 900), "comments": dice.randint(0, 60), "tips": dice.randint(0, 5000),
            "publishedAt": moment(days=n * 2), "media": [],
        }
        for n in range(POST_COUNT)
    ]  # fmt: skip

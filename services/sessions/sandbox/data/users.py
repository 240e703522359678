"""The account itself."""

from services.sessions.sandbox.calls import Answer, Call
from services.sessions.sandbox.data.account import FAN_COUNT, Account
from services.sessions.sandbox.data.seeded import avatar, chance, moment
from services.sessions.sandbox.rendering import Number, Pairs


def read_me(account: Account, _call: Call) -> Answer:
    """Who is signed in. `id` comes twice, as it does on a platform that merges two serializers."""
    dice = chance(account.id, "me")
    return Answer(
        Pairs(
            (
                ("id", account.id),
                ("email", account.email),
                ("displayName", account.name),
                ("handle", f"creator{account.id}"),
                ("bio", "Hello\x00 from the sandbox ☀ 𝄞"),
                ("isCreator", True),
                ("id", account.id),
                ("avatarUrl", avatar("creators", account.id)),
                ("fanCounts", {"followersCount": FAN_COUNT, "subscribersCount": FAN_COUNT // 3}),
                ("likesCount", dice.randint(100, 90_000)),
                ("legacyId", Number("18446744073709551615")),
                ("createdAt", moment(days=800)),
                ("updatedAt", None),
            )
        )
    )

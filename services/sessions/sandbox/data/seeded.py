"""Chance that always falls the same way: generators seeded by an account and a subject."""

import random
from datetime import UTC, datetime, timedelta
from typing import Final

# The sandbox's "now": dates are counted from here, never from the clock, so that bytes repeat.
EPOCH: Final = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

_FIRST_TEXT: Final = (
    "Ada Ben Cleo Dana Eli Finn Gia Hugo Ines Jonas Kaya Léo Mira Noé Olga Pia Quinn Rosa Søren Tuğba Uma"
)
_LAST_TEXT: Final = (
    "Adams Brandt Costa Dubois Eriksen Fischer García Hansen Ito Janssen Kovács Lund Müller Novák Öz Petrov"
)
_WORDS_TEXT: Final = (
    "thank you for the lovely message see tonight new set is up when will next live start amazing photos cannot wait "
    "happy birthday from berlin café 🔥 💬 could send me that one again please weekend plans tip on way best wishes"
)
_FIRST: Final = _FIRST_TEXT.split()
_LAST: Final = _LAST_TEXT.split()
_WORDS: Final = _WORDS_TEXT.split()


def chance(account_id: int, *subject: object) -> random.Random:
    """A generator that depends on the account and the subject only."""
    return random.Random(":".join(map(str, (account_id, *subject))))  # noqa: S311 - believable data, no secret


def moment(*, days: float = 0, seconds: float = 0) -> str:
    """An ISO date so far before the sandbox's now (negative: after)."""
    return (EPOCH - timedelta(days=days, seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def person(dice: random.Random) -> str:
    """A display name."""
    return f"{dice.choice(_FIRST)} {dice.choice(_LAST)}"


def sentence(dice: random.Random, *, words_max: int = 14) -> str:
    """Something a person might write, in some alphabet."""
    return " ".join(dice.choices(_WORDS, k=dice.randint(2, words_max))).capitalize()


def avatar(kind: str, id_: int) -> str:
    """An address of a picture that does not exist."""
    return f"https://cdn.sandbox.test/{kind}/{id_}/avatar.jpg"

"""What the vault holds of a model. None of it is ever shown: not by repr, so not by a log either."""

import msgspec


class _Hidden(msgspec.Struct, frozen=True, kw_only=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Credentials(_Hidden, frozen=True, kw_only=True):
    """What the user signs in with."""

    email: str
    password: str


class Session(_Hidden, frozen=True, kw_only=True):
    """A signed-in session: the value of the Cookie header."""

    cookie: str


class Pending(_Hidden, frozen=True, kw_only=True):
    """A sign-in that waits for its second factor. Either may be there first: a code given along with the password, or a
    challenge of the platform.
    """

    challenge: str = ""
    code: str = ""
    refusals: int = 0  # codes that the platform refused for this challenge

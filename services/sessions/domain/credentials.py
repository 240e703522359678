"""What the vault holds of a model. None of it is ever shown: not by repr, so not by a log either."""

import msgspec


class _Hidden(msgspec.Struct, frozen=True, kw_only=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Credentials(_Hidden, frozen=True, kw_only=True):
    """What the user signs in with."""

    email: str
    password: str


class Session(_Hidden, frozen=True, kw_only=True, omit_defaults=True):
    """What a platform knows us by: the value of the Cookie header, or the tokens of a grant and whose they are.

    A refresh token is good for one renewal: the one that comes with the answer is kept before anything uses it.
    """

    cookie: str = ""
    access_token: str = ""
    refresh_token: str = ""
    account: str = ""

    @property
    def header(self) -> tuple[str, str]:
        """Name and value of the header that a call carries."""
        return ("Authorization", f"Bearer {self.access_token}") if self.access_token else ("Cookie", self.cookie)


class Pending(_Hidden, frozen=True, kw_only=True):
    """A sign-in that waits for its second factor. Either may be there first: a code given along with the password, or a
    challenge of the platform. With `verifier`, the code is that of a consent.
    """

    challenge: str = ""
    code: str = ""
    verifier: str = ""
    refusals: int = 0  # codes that the platform refused for this challenge

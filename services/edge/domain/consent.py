"""A browser on its way to a platform and back (OAuth 2.0): what only that browser can bring back.

Two random words: the *state* goes to the platform and comes back in the address, the *secret* stays in the browser's cookie. The
PKCE verifier is made from both, so nothing has to be kept here, and a code that was obtained in another browser opens nothing.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

WORD: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Trip:
    """One way to the platform and back. It shows nothing of itself: both words are secrets until it is over."""

    state: str
    secret: str

    def __repr__(self) -> str:
        return "<Trip>"

    @classmethod
    def begin(cls) -> Self:
        """A fresh one."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32))

    @property
    def digest(self) -> bytes:
        """The name under which the service that waits for the browser knows it."""
        return hashlib.sha256(f"{self.state}.{self.secret}".encode()).digest()

    @property
    def verifier(self) -> str:
        """What proves to the platform that its code came back to where it was asked for (RFC 7636)."""
        return _text(hmac.new(self.secret.encode(), b"pkce " + self.state.encode(), hashlib.sha256).digest())

    @property
    def challenge(self) -> str:
        """The verifier's digest (S256)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

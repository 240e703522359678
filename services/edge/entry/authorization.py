"""A request for authorization (RFC 6749 section 4.1.1, RFC 7636), read from its query: what is wrong with it, and who may be told."""

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import msgspec

from services.edge.domain.refusal import Refusal
from services.edge.entry.scope_words import SCOPES

FIELDS_MAX: Final = 30
STATE_CHARACTERS_MAX: Final = 1_024
_BASE64URL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_CHALLENGE_CHARACTERS: Final = 43


class OAuthProblem(Exception):
    """An error that the app is told: its code, and a sentence for its developer."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.error = error
        self.description = description


class Asked(msgspec.Struct, frozen=True):
    """What an app asks for, whether or not it may."""

    client_id: UUID
    redirect_uri: str
    state: str | None
    fields: dict[str, str]

    @classmethod
    def read(cls, query: str) -> "Asked":
        """Raises Refusal (400) where nobody knows yet where the app is: the user is told, and sent nowhere."""
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
        except ValueError:
            raise Refusal("INVALID_REQUEST", "The app's request could not be read.") from None
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise Refusal("INVALID_REQUEST", "The app's request says something twice.")
        try:
            client_id = UUID(fields.get("client_id", ""))
        except ValueError:
            raise unknown_client() from None
        return cls(client_id, fields.get("redirect_uri", ""), fields.get("state"), fields)

    def checked(self) -> tuple[tuple[str, ...], str]:
        """The scopes, and the challenge. Raises OAuthProblem."""
        fields = self.fields
        if fields.get("response_type") != "code":
            raise OAuthProblem("unsupported_response_type", "response_type: code, and nothing else")
        if fields.get("response_mode", "query") != "query":
            raise OAuthProblem("invalid_request", "response_mode: query, and nothing else")
        if "request" in fields or "request_uri" in fields:
            raise OAuthProblem("request_not_supported", "No request objects")
        if self.state is not None and len(self.state) > STATE_CHARACTERS_MAX:
            raise OAuthProblem("invalid_request", f"state: at most {STATE_CHARACTERS_MAX} characters")
        challenge = fields.get("code_challenge", "")
        # Absent it means `plain` (RFC 7636 section 4.3), which shows the verifier to whoever sees the request.
        if fields.get("code_challenge_method") != "S256":
            raise OAuthProblem("invalid_request", "code_challenge_method: S256, and nothing else")
        if len(challenge) != _CHALLENGE_CHARACTERS or set(challenge) - _BASE64URL:
            raise OAuthProblem("invalid_request", "code_challenge: the base64url of a SHA-256")
        scopes = tuple(dict.fromkeys(fields.get("scope", "").split(" ")))
        if unknown := [scope for scope in scopes if scope not in SCOPES]:
            what = ", ".join(repr(scope[:40]) for scope in unknown[:5])
            raise OAuthProblem("invalid_scope", f"scope: at least one, and none that there is not: {what}")
        return scopes, challenge

    def back(self, issuer: str, **answer: str) -> str:
        """The app's redirect with an answer to this request; `iss` tells it apart from another server's (RFC 9207)."""
        parts = dict(answer)
        if self.state is not None:
            parts["state"] = self.state[:STATE_CHARACTERS_MAX]
        joint = "&" if urlsplit(self.redirect_uri).query else "?"
        return f"{self.redirect_uri}{joint}{urlencode(parts | {'iss': issuer})}"

    @property
    def origin(self) -> str:
        """Where the redirect leads, as a policy of content names it."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"


def unknown_client() -> Refusal:
    """One text for no app, an app that ended, and a redirect that is not its own."""
    return Refusal(
        "INVALID_REQUEST", "There is no such app, or it does not send anybody there. Nothing was given to anybody."
    )

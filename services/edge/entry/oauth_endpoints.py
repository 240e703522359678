"""The endpoints that apps' backends call: token (RFC 6749), revoke (RFC 7009), introspect (RFC 7662), and the metadata (RFC 8414).

Errors are those of RFC 6749 section 5.2. Nothing is read from a query: it would be in logs. No answer is kept by anybody.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import UUID

import orjson
from aiohttp import web

from libs.common.contracts.apps import ClientProof
from libs.common.http.server import Answer
from services.edge.domain.address import network_of
from services.edge.domain.ports import Pace
from services.edge.domain.refusal import Refusal
from services.edge.entry.answers import EVERY_ANSWER
from services.edge.entry.authorization import OAuthProblem
from services.edge.entry.consent_page import PATH as AUTH_PATH
from services.edge.entry.pages import Pages, form_of
from services.edge.entry.scope_words import SCOPES
from services.edge.usecases.trade_tokens import Pair, TradeTokens

METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
TOKEN_PATH, REVOKE_PATH, INTROSPECT_PATH = "/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"
# Of a client in a minute: 36,000 users whose tokens of an hour are renewed evenly (ADR 32).
TOKEN_CALLS_MAX: Final = 600
_METHODS: Final = ["client_secret_basic", "client_secret_post"]

Fields = Mapping[str, str]


class OAuthEndpoints(Pages):
    """The handler of everything below `/oauth2/` but the page for people, and of the metadata."""

    prefix = "/oauth2/"
    paths = frozenset({METADATA_PATH})
    name = "oauth_endpoint"

    def __init__(self, tokens: TradeTokens, pace: Pace, **wiring: Any) -> None:
        """`failures` count by client and address: who guesses the secret of a client does not lock the client out. `pace` counts
        what a client does at the token endpoint.
        """
        super().__init__(**wiring)
        self._tokens = tokens
        self._pace = pace
        self._endpoints: dict[str, Callable[[ClientProof, Fields], Awaitable[Answer]]] = {
            TOKEN_PATH: self._token,
            REVOKE_PATH: self._revoke,
            INTROSPECT_PATH: self._introspect,
        }

    async def _answer(self, request: web.BaseRequest) -> Answer:
        self._check_https(request)
        path = request.rel_url.raw_path
        if path == METADATA_PATH:
            if request.method not in {"GET", "HEAD"}:
                raise Refusal("METHOD_NOT_ALLOWED", allow="GET, HEAD")
            return _json(200, _metadata(self._own_origin(request)))
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            raise Refusal("NOT_FOUND", "There is no such endpoint")
        if request.method != "POST":
            raise Refusal("METHOD_NOT_ALLOWED", allow="POST")
        try:
            return await self._called(request, endpoint)
        except OAuthProblem as problem:
            return _error(problem.error, problem.description)

    async def _called(
        self, request: web.BaseRequest, endpoint: Callable[[ClientProof, Fields], Awaitable[Answer]]
    ) -> Answer:
        if request.rel_url.raw_query_string:
            raise OAuthProblem("invalid_request", "Nothing belongs into the query: send a form")
        fields = await _once_each(request)
        client_id, secret = _client_of(request, fields)
        tried = f"{client_id}|{network_of(self._address(request))}"
        if blocked_ms := self._failures.blocked_ms(tried):
            return _wait(blocked_ms, "Too many failures")
        # A name is no secret: who says it from elsewhere takes nothing from an app that has none.
        who = tried if secret is None else str(client_id)
        proof = self._tokens.proof(client_id, secret)
        is_counted = request.rel_url.raw_path == TOKEN_PATH
        answer = await (self._paced(who, proof, fields) if is_counted else endpoint(proof, fields))
        if answer.status == 401:
            await self._failures.count(tried)
        return answer

    async def _paced(self, who: str, client: ClientProof, fields: Fields) -> Answer:
        """Counted before it is made, so that many at once are not too many; uncounted unless it was the client who made it."""
        if wait_ms := await self._pace.take(who):
            return _wait(wait_ms, f"A client may call {TOKEN_CALLS_MAX} times a minute")
        is_the_clients = False
        try:
            answer = await self._token(client, fields)
            is_the_clients = answer.status != 401
            return answer
        finally:
            if not is_the_clients:
                await self._pace.give_back(who)

    async def _token(self, client: ClientProof, fields: Fields) -> Answer:
        match _given(fields, "grant_type"):
            case "authorization_code":
                given = await self._tokens.for_code(
                    client, code=_given(fields, "code"), redirect_uri=_given(fields, "redirect_uri"),
                    verifier=_given(fields, "code_verifier"),
                )  # fmt: skip
            case "refresh_token":
                scopes = tuple(fields["scope"].split(" ")) if fields.get("scope") else None
                token = _given(fields, "refresh_token")
                given = await self._tokens.for_refresh(client, token=token, scopes=scopes)
            case _:
                raise OAuthProblem("unsupported_grant_type", "authorization_code and refresh_token, and nothing else")
        if not isinstance(given, Pair):
            return _error(given.error, given.description)
        body = {
            "access_token": given.access, "token_type": "Bearer", "expires_in": given.expires_in_s,
            "refresh_token": given.refresh, "scope": " ".join(given.scopes),
        }  # fmt: skip
        return _json(200, body)

    async def _revoke(self, client: ClientProof, fields: Fields) -> Answer:
        done = await self._tokens.end(client, _given(fields, "token"))
        return _error(done.error, done.description) if done.error else _json(200, {})

    async def _introspect(self, client: ClientProof, fields: Fields) -> Answer:
        shown = await self._tokens.show(client, _given(fields, "token"))
        if shown.error:
            return _error(shown.error, shown.description)
        if not shown.is_active:
            return _json(200, {"active": False})
        assert shown.issued_at is not None
        assert shown.expires_at is not None
        body = {
            "active": True, "client_id": str(client.client_id), "scope": " ".join(shown.scopes),
            "token_type": "Bearer" if shown.kind == "access" else "refresh_token", "sub": str(shown.user_id),
            "model_id": str(shown.model_id), "iat": int(shown.issued_at.timestamp()),
            "exp": int(shown.expires_at.timestamp()),
        }  # fmt: skip
        return _json(200, body)

    def _refused(self, refusal: Refusal) -> Answer:
        """What is nobody's OAuth error is said in the same words."""
        error = "server_error" if refusal.status == 500 else "temporarily_unavailable"
        return _json(
            refusal.status,
            {"error": "invalid_request" if refusal.status < 500 else error, "error_description": refusal.public},
        )


async def _once_each(request: web.BaseRequest) -> dict[str, str]:
    """The form's fields. Raises OAuthProblem for one that comes twice, Refusal (413, 415, 400)."""
    fields = await form_of(request)
    if any(len(values) > 1 for values in fields.values()):
        raise OAuthProblem("invalid_request", "A field comes twice")
    return {name: values[0] for name, values in fields.items()}


def _client_of(request: web.BaseRequest, fields: Fields) -> tuple[UUID, str | None]:
    """Who calls, by what it says (RFC 6749 section 2.3.1): one way at a time. Raises OAuthProblem."""
    headers = request.headers.getall("Authorization", [])
    if not headers:
        return _id(fields.get("client_id", "")), fields.get("client_secret")
    scheme, _, encoded = headers[0].partition(" ")
    if len(headers) > 1 or "client_secret" in fields:
        raise OAuthProblem("invalid_request", "The client says who it is in two ways")
    try:
        raw = base64.b64decode(encoded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        raw = ""
    name, separator, secret = raw.partition(":")
    client_id = _id(unquote_plus(name)) if separator else _id("")
    if fields.get("client_id") not in {None, str(client_id)}:
        raise OAuthProblem("invalid_request", "Two clients in one request")
    return client_id, unquote_plus(secret)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise OAuthProblem("invalid_client", "The client is unknown, or its secret is not right") from None


def _given(fields: Fields, name: str) -> str:
    if not fields.get(name):
        raise OAuthProblem("invalid_request", f"{name} is missing")
    return fields[name]


def _error(error: str, description: str) -> Answer:
    answer = _json(401 if error == "invalid_client" else 400, {"error": error, "error_description": description})
    if error == "invalid_client":
        answer.headers["WWW-Authenticate"] = 'Basic realm="fangate", charset="UTF-8"'
    return answer


def _wait(wait_ms: int, description: str) -> Answer:
    answer = _json(429, {"error": "temporarily_unavailable", "error_description": description})
    answer.headers["Retry-After"] = str(-(-wait_ms // 1_000))
    return answer


def _json(status: int, body: Mapping[str, Any]) -> Answer:
    headers = EVERY_ANSWER.copy()
    headers["Pragma"] = "no-cache"
    return Answer(status=status, body=orjson.dumps(body), headers=headers)


def _metadata(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTH_PATH,
        "token_endpoint": issuer + TOKEN_PATH,
        "revocation_endpoint": issuer + REVOKE_PATH,
        "introspection_endpoint": issuer + INTROSPECT_PATH,
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*_METHODS, "none"],
        "revocation_endpoint_auth_methods_supported": [*_METHODS, "none"],
        "introspection_endpoint_auth_methods_supported": _METHODS,
        "authorization_response_iss_parameter_supported": True,
        "service_documentation": f"{issuer}/docs",
    }

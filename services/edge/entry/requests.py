"""Taking a request in, once it is admitted: row 10 of the order of checks (413, 415, 400) and the model in the path."""

import re
import secrets
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from aiohttp import web

from libs.common.contracts.auth import Actor, Principal
from libs.common.contracts.sessions import NO_MODEL
from libs.common.http.body import BodyBroken, BodyTooLarge, read_body
from services.edge.domain.catalogue import ACCOUNT_PARAMETER, MODEL_PARAMETER, Route
from services.edge.domain.own_route import Asked, OwnRoute
from services.edge.domain.queries import check_query
from services.edge.domain.refusal import Refusal
from services.edge.usecases.proxy_call import Request

TOKEN_BYTES: Final = 32
MODELS_MAX: Final = 10_000  # whose ids are kept read
BODY_SECONDS: Final = 10.0  # for the whole body; the call's deadline runs meanwhile
_JSON_TYPE: Final = re.compile(
    r"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_MODEL_PARAMETERS: Final = frozenset({MODEL_PARAMETER, ACCOUNT_PARAMETER})
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_json_syntax: Final = msgspec.json.Decoder(msgspec.Raw)  # walks the text without building it


def declared_too_large(request: web.BaseRequest, bytes_max: int) -> Refusal | None:
    """Row 4b: the 413 by `Content-Length`, before anything is read or reserved."""
    length = request.content_length
    return _too_large(bytes_max) if length is not None and length > bytes_max else None


async def read_body_of(request: web.BaseRequest, route: Route, bytes_max: int) -> bytes:
    """The body, if the route takes one: JSON as it was sent. Raises Refusal: 415, 413, 400."""
    return await _body(request, bytes_max) if route.takes_body else b""


def platform_request(request: web.BaseRequest, route: Route, path_params: dict[str, str], body: bytes) -> Request:
    """Query and model of a call to a platform. Raises Refusal: 400, 404."""
    query = request.rel_url.raw_query_string
    check_query(route.query, query)
    model_id, account = _model(path_params)
    return Request(
        model_id=model_id,
        path_params={name: value for name, value in path_params.items() if name not in _MODEL_PARAMETERS},
        query=query,
        content_type="application/json" if body else "",
        body=body,
        account=account,
    )


def own_request(
    request: web.BaseRequest,
    route: OwnRoute,
    path_params: dict[str, str],
    body: bytes,
    *,
    caller: Principal,
    by: Actor,
    origin: str,
    version: str,
) -> Asked:
    """What is asked of an own route. Raises Refusal (400)."""
    query = request.rel_url.raw_query_string
    check_query(route.query, query)
    return Asked(
        caller=caller,
        by=by,
        path=path_params,
        query=_single(query),
        body=None if route.body is None else _decoded(body or b"{}", route.body),
        raw_body=body if route.passes_body else b"",
        origin=origin,
        token=secrets.token_urlsafe(TOKEN_BYTES),
        version=version,
    )


def _single(query: str) -> dict[str, str]:
    """The query by plain names. Raises Refusal (400) for one that comes twice: which of them is meant is not ours to guess."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query):
        plain = name.removesuffix("[]")
        if plain in found:
            raise Refusal("INVALID_REQUEST", f"query.{plain}: given twice")
        found[plain] = value
    return found


def _decoded(body: bytes, type_: type[msgspec.Struct]) -> msgspec.Struct:
    """`body` as the route's struct. Raises Refusal naming the place: `permissions[3]: expected `str`, got `int``."""
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as exc:
        what, _, where = str(exc).partition(" - at `$")
        place = where.removesuffix("`").lstrip(".") or "body"
        raise Refusal("INVALID_REQUEST", f"{place}: {what[:1].lower()}{what[1:]}") from None


def _model(path_params: dict[str, str]) -> tuple[UUID, str]:
    """The model that the path names: by its UUID or, where the surface takes one, by its account's number."""
    account = path_params.get(ACCOUNT_PARAMETER, "")
    name = account or path_params.get(MODEL_PARAMETER)
    if name is None:
        return NO_MODEL, ""  # it is the one that the caller's key is bound to
    model_id = _uuid(name)
    if model_id is not None:
        return model_id, ""
    if _NUMBER.fullmatch(account):
        return NO_MODEL, account
    raise Refusal("MODEL_NOT_FOUND")


@lru_cache(maxsize=MODELS_MAX)
def _uuid(name: str) -> UUID | None:
    """The same models are called again and again."""
    return UUID(name) if _UUID.fullmatch(name) else None


async def _body(request: web.BaseRequest, bytes_max: int) -> bytes:
    if not request.can_read_body:
        return b""
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":  # a bomb of 204 kB became 200 MiB in a test of the server's own decoder
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "Content-Encoding: send the body as it is")
    content_type = request.headers.get("Content-Type", "application/json")
    if not _JSON_TYPE.fullmatch(content_type.strip()):
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "Content-Type: application/json is expected")
    try:
        body = await read_body(request, bytes_max=bytes_max, timeout_s=BODY_SECONDS)
    except BodyTooLarge:
        raise _too_large(bytes_max) from None
    except BodyBroken as exc:
        raise Refusal("INVALID_REQUEST", f"body: {exc}") from None
    if body:
        _check_json(body)
    return body


def _check_json(body: bytes) -> None:
    try:
        _json_syntax.decode(body)
    except RecursionError:
        raise Refusal("INVALID_REQUEST", "body: nested too deeply") from None
    except msgspec.DecodeError as exc:
        raise Refusal("INVALID_REQUEST", f"body: {exc}") from None


def _too_large(bytes_max: int) -> Refusal:
    return Refusal("BODY_TOO_LARGE", f"Request body too large: at most {bytes_max} bytes are allowed")

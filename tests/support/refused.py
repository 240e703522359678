"""Calls that are refused, built from one good call: each breaker spoils it for one check, and any of them can be combined.

The edge that is asked must demand HTTPS and trust 127.0.0.1 as a proxy: `refusing_edge`.
"""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from libs.common.contracts.auth import Limits, Principal
from libs.common.ids import new_key, uuid7
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.domain.versions import NOTICE, Version, Versions
from tests.support.edge import PLATFORM_BODY, RunningEdge, running_edge
from tests.support.idempotency import RememberedAnswers

SURFACES: Final = {"gateway": "/api/models/{model}", "metric": "/v1/{model}", "fanvue": "/fanvue"}
KEY_HEADERS: Final = {"gateway": "X-API-Key", "metric": "X-API-Key", "fanvue": "X-Fanvue-API-Key"}
VERSION_HEADERS: Final = {"x-api-version", "x-fanvue-api-version"}
ENDED: Final = "2024-01-01"  # a version that has ended
CAP_BYTES: Final = 1_048_576
ADDRESS: Final = "198.51.100.7"
BLOCKED_ADDRESS: Final = "203.0.113.66"


@dataclass
class Call:
    """A call that would be answered 200, until something about it is changed."""

    method: str = "POST"
    tail: str = "/chats/1/messages"
    query: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)  # beside those below
    body: bytes = b'{"text":"hi"}'
    declared_bytes: int | None = None  # a Content-Length that lies; the body is kept back
    scheme: str = "https"
    address: str = ADDRESS
    key: str | None = ""  # "" = the organization's own
    model: str = ""  # "" = the organization's own
    version: str = "2025-06-26"  # where one is required and no header names one
    principal: dict[str, Any] = field(default_factory=dict)
    credits: int = 10
    upstream: Upstream | Exception = field(default_factory=lambda: Upstream(200, PLATFORM_BODY, upstream_ms=1))
    claim: Refusal | None = None  # what stands under its idempotency key


@dataclass(frozen=True)
class Answer:
    """What came back, and what it left behind."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes
    calls_counted: int
    credits_left: int

    @property
    def code(self) -> str:
        return self.headers.get("x-error-code", "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Breaker = Callable[[Call], None]


@contextlib.asynccontextmanager
async def refusing_edge(redis_url: str) -> AsyncIterator[RunningEdge]:
    """An edge that can refuse for every reason there is."""
    past = datetime(2024, 6, 1, tzinfo=UTC)
    versions = Versions(
        [
            Version(date=ENDED, next="2025-06-26", deprecated_at=past, sunset_at=past + 2 * NOTICE),
            *Versions.with_dates("").all,
        ]
    )
    async with running_edge(redis_url, require_https=True, proxies="127.0.0.1", versions=versions) as edge:
        yield edge


async def block_address(edge: RunningEdge) -> None:
    """Guess keys from `BLOCKED_ADDRESS` until it is blocked."""
    for _ in range(10):
        guess = Call(key=new_key("fgk_"), address=BLOCKED_ADDRESS, model=str(uuid7()))
        assert (await ask(edge, "gateway", guess)).status == 401


async def ask(edge: RunningEdge, surface: str, call: Call) -> Answer:
    """Make `call` for a fresh organization."""
    is_bound = surface == "fanvue"  # no path names a model there: the key does
    own = {"model_id": uuid.UUID(call.model)} if is_bound and call.model else {}
    key, principal, model = edge.organization(call.credits, is_bound=is_bound, **own | call.principal)
    edge.sessions.upstream = call.upstream
    assert isinstance(edge.answers, RememberedAnswers)
    edge.answers.refusal = call.claim
    tail = call.tail.replace("/1/messages", "/1/message") if surface == "fanvue" else call.tail
    path = SURFACES[surface].format(model=call.model or model) + tail + (f"?{call.query}" if call.query else "")
    head = [f"{call.method} {path} HTTP/1.1", "Host: gateway.test", f"X-Forwarded-Proto: {call.scheme}"]
    head.append(f"X-Forwarded-For: {call.address}")
    if call.key is not None:
        head.append(f"{KEY_HEADERS[surface]}: {call.key or key}")
    names = {name.lower() for name, _ in call.headers}
    if surface == "fanvue" and call.version and not names & VERSION_HEADERS:
        head.append(f"X-Fanvue-API-Version: {call.version}")
    if "content-type" not in names:
        head.append("Content-Type: application/json")
    head.append(f"Content-Length: {len(call.body) if call.declared_bytes is None else call.declared_bytes}")
    head += [f"{KEY_HEADERS[surface] if name == 'X-API-Key' else name}: {value}" for name, value in call.headers]
    raw = "\r\n".join(head).encode() + b"\r\n\r\n" + (call.body if call.declared_bytes is None else b"")
    status, headers, body = await exchange(edge.url, raw)
    return Answer(status, headers, body, await _counted(edge, principal), await _left(edge, principal))


async def exchange(url: str, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are; the one answer."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(10):
            writer.write(raw)
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}
            body = await reader.readexactly(int(headers["content-length"]))
    finally:
        writer.close()
    return int(first.split(" ")[1]), headers, body


async def _counted(edge: RunningEdge, principal: Principal) -> int:
    return int(await edge.redis.command("HGET", f"adm:{{{principal.org_id}}}", "dc") or 0)


async def _left(edge: RunningEdge, principal: Principal) -> int:
    """The balance as the next call would find it: what the lease has left, and what no lease holds."""
    epoch = await edge.redis.epoch()
    leased = await edge.redis.command("HGET", f"lz:{{{principal.org_id}}}:{epoch.name}", "avail")
    return int(leased or 0) + edge.billing.free(principal.org_id)


def breaker(**changes: Any) -> Breaker:
    """Spoil a call by setting attributes; `headers` and `principal` are added to what is there."""

    def spoil(call: Call) -> None:
        for name, value in changes.items():
            if name == "headers":
                call.headers.extend(value)
            elif name == "principal":
                call.principal |= value
            else:
                setattr(call, name, value)

    return spoil


OTHER_KEY: Final = new_key("fgk_")

# The checks of requirements 3.1 in their order, and what breaks each: name -> (breaker, status, code, counted in the windows).
CHECKS: Final[dict[str, tuple[Breaker, int, str, int]]] = {
    "1 https": (breaker(scheme="http"), 403, "HTTPS_REQUIRED", 0),
    "2 path": (breaker(tail="/nothing/here"), 404, "NOT_FOUND", 0),
    "2 method": (breaker(method="PUT"), 405, "METHOD_NOT_ALLOWED", 0),
    "3 credentials": (breaker(headers=[("Authorization", f"Bearer {OTHER_KEY}")]), 400, "MULTIPLE_CREDENTIALS", 0),
    "4 key": (breaker(key="fgk_malformed"), 401, "INVALID_API_KEY", 0),
    "4a address": (breaker(address=BLOCKED_ADDRESS), 429, "TOO_MANY_FAILED_AUTH", 0),
    "4b declared length": (breaker(declared_bytes=CAP_BYTES + 1), 413, "BODY_TOO_LARGE", 0),
    "5 version": (breaker(headers=[("X-API-Version", "2020-01-01")]), 400, "UNSUPPORTED_VERSION", 1),
    "5 ended version": (breaker(headers=[("X-API-Version", ENDED)]), 410, "VERSION_SUNSET", 1),
    "6 suspended": (breaker(principal={"org_state": "suspended"}), 403, "ORGANIZATION_SUSPENDED", 1),
    "6 address": (breaker(principal={"addresses": ("192.0.2.0/24",)}), 403, "PERMISSION_DENIED", 1),
    "6 permission": (breaker(principal={"permissions": frozenset()}), 403, "PERMISSION_DENIED", 1),
    "7 subscription": (breaker(principal={"subscription": "past_due"}), 402, "SUBSCRIPTION_PAST_DUE", 1),
    "8 window": (breaker(principal={"limits": Limits(per_minute=0)}), 429, "RATE_LIMIT_EXCEEDED", 0),
    "9 credits": (breaker(credits=1), 402, "INSUFFICIENT_CREDITS", 0),
    "10 content type": (breaker(headers=[("Content-Type", "text/plain")]), 415, "UNSUPPORTED_MEDIA_TYPE", 1),
    "10 query": (breaker(query="colour=red"), 400, "INVALID_REQUEST", 1),
    "12 model": (breaker(model=str(uuid7())), 404, "MODEL_NOT_FOUND", 1),
    "14 session": (breaker(upstream=Refusal("SYNC_LOST")), 424, "SYNC_LOST", 1),
    "15 platform": (breaker(upstream=Upstream(500, b"{}")), 502, "OF_API_ERROR", 1),
}

# What can be wrong on one surface only, in the same form.
OWN_CHECKS: Final[dict[str, dict[str, tuple[Breaker, int, str, int]]]] = {
    "gateway": {},
    "metric": {},
    "fanvue": {
        "5 no version": (breaker(version=""), 400, "VERSION_REQUIRED", 1),
        "6 unbound": (breaker(principal={"model_id": None}), 403, "PERMISSION_DENIED", 1),
    },
}

KEY: Final = [("Idempotency-Key", "order-17")]

# Under an idempotency key a request is read, and its key looked up, before credits are asked for; it counts by then.
KEYED_CHECKS: Final[dict[str, tuple[Breaker, int, str, int]]] = {
    **{name: row for name, row in CHECKS.items() if float(name.split(" ")[0].rstrip("ab")) < 9},
    **{name: row for name, row in CHECKS.items() if name.startswith("10")},
    "10 key": (breaker(headers=[("Idempotency-Key", "twice")]), 400, "INVALID_REQUEST", 1),
    "11 in progress": (breaker(claim=Refusal("IDEMPOTENCY_IN_PROGRESS")), 409, "IDEMPOTENCY_IN_PROGRESS", 1),
    "9 credits": (CHECKS["9 credits"][0], 402, "INSUFFICIENT_CREDITS", 1),
    **{name: row for name, row in CHECKS.items() if float(name.split(" ")[0].rstrip("ab")) > 11},
}


def checks_of(
    surface: str, checks: dict[str, tuple[Breaker, int, str, int]]
) -> dict[str, tuple[Breaker, int, str, int]]:
    """`checks` and those of the surface's own, each after the others of its row."""
    found = dict(checks)
    for name, row in OWN_CHECKS[surface].items():
        names = list(found)
        last = max(at for at, other in enumerate(names) if other.split(" ")[0] == name.split(" ")[0])
        found = (
            {each: found[each] for each in names[: last + 1]}
            | {name: row}
            | {each: found[each] for each in names[last + 1 :]}
        )
    return found

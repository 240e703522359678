"""Every refusal of requirements 3.2, byte for byte and header for header, as the committed files in `tests/contract/answers`
have it. A difference is a change of our public interface.
"""

from pathlib import Path
from typing import Final

import pytest

from libs.common.contracts.auth import PERSONAL_KEYS, Limits
from libs.common.errors import Refused
from libs.common.ids import new_key
from services.edge.domain.refusal import CODES, Refusal
from services.edge.domain.upstream import Upstream
from tests.support.refused import (
    BLOCKED_ADDRESS,
    CHECKS,
    KEY,
    OWN_CHECKS,
    SURFACES,
    Answer,
    Breaker,
    Call,
    ask,
    block_address,
    breaker,
    refusing_edge,
)

GOLDEN: Final = Path(__file__).parents[2] / "contract" / "answers"
VOLATILE: Final = {"x-request-id": "<uuid>", "x-ratelimit-reset": "<unix seconds>", "retry-after": "<seconds>"}
STEADY_WAITS: Final = {"UNAVAILABLE", "UPSTREAM_RATE_LIMITED"}  # whose Retry-After does not depend on the time of day
LONG_GONE_MS: Final = 1

PERSONAL: Final = {"kind": "personal", "features": frozenset({PERSONAL_KEYS})}

ROWS: Final[dict[str, Breaker]] = {
    **{name: row[0] for name, row in CHECKS.items() if not name.startswith("4a")},
    "3 one header twice": breaker(headers=[("X-API-Key", "again")]),
    "4 no key": breaker(key=None),
    "4 unknown": breaker(key=new_key("fgk_")),
    "4 expired": breaker(principal={"expires_at_ms": LONG_GONE_MS}),
    "4a address": breaker(address=BLOCKED_ADDRESS),
    "5 two versions": breaker(headers=[("X-API-Version", "2025-06-26"), ("X-Fanvue-API-Version", "2024-01-01")]),
    "6 feature": breaker(principal={"kind": "personal", "features": frozenset()}),
    "6 scope": breaker(principal=PERSONAL | {"permissions": frozenset()}),
    "6 read only": breaker(principal={"read_only": True}),
    "7 none": breaker(principal={"subscription": "none"}),
    "8 day": breaker(principal={"limits": Limits(per_day=0)}),
    "15 bus away": breaker(upstream=Refused()),
    "10 encoding": breaker(headers=[("Content-Encoding", "gzip")]),
    "10 json": breaker(body=b"{"),
    "10 enum": breaker(method="GET", tail="/chats", query="sortBy=best"),
    "10 idempotency key": breaker(headers=[("Idempotency-Key", "x" * 256)]),
    "11 in progress": breaker(headers=KEY, claim=Refusal("IDEMPOTENCY_IN_PROGRESS")),
    "11 another request": breaker(headers=KEY, claim=Refusal("IDEMPOTENCY_KEY_REUSED")),
    "12 malformed model": breaker(model="nobody"),
    "12 route": breaker(upstream=Refusal("ROUTE_NOT_SUPPORTED")),
    "14 state": breaker(upstream=Refusal("MODEL_NOT_CONNECTED", "Model is awaiting_2fa: connect it first")),
    "15 400": breaker(upstream=Upstream(400, b'{"error":{"message":"text is too long"}}')),
    "15 401": breaker(upstream=Upstream(401, b"{}")),
    "15 402": breaker(upstream=Upstream(402, b"{}")),
    "15 403": breaker(upstream=Upstream(403, b'{"error":"not your fan"}')),
    "15 404": breaker(upstream=Upstream(404, b"{}")),
    "15 409": breaker(upstream=Upstream(409, b'{"error":"already there"}')),
    "15 410": breaker(upstream=Upstream(410, b"{}")),
    "15 413": breaker(upstream=Upstream(413, b"")),
    "15 415": breaker(upstream=Upstream(415, b"")),
    "15 422": breaker(upstream=Upstream(422, b'{"message":"price: too low"}')),
    "15 429": breaker(upstream=Upstream(429, b"{}", retry_after_s=17)),
    "15 garbage": breaker(upstream=Refusal("OF_API_ERROR")),
    "15 too late": breaker(upstream=Refusal("UPSTREAM_TIMEOUT")),
    "15 unknown outcome": breaker(upstream=Refusal("OUTCOME_UNKNOWN")),
    "a defect": breaker(upstream=RuntimeError("a defect")),
    "an expectation": breaker(headers=[("Expect", "tea")]),
}

ELSEWHERE: Final = {("fanvue", "12 malformed model")}  # its paths name none

REQUIRED_CODES: Final = {
    "INVALID_REQUEST", "MULTIPLE_CREDENTIALS", "UNSUPPORTED_VERSION", "UPSTREAM_REJECTED", "NO_API_KEY", "INVALID_API_KEY",
    "NO_SUBSCRIPTION", "SUBSCRIPTION_PAST_DUE", "INSUFFICIENT_CREDITS", "PERMISSION_DENIED", "SCOPE_MISSING", "HTTPS_REQUIRED",
    "ORGANIZATION_SUSPENDED", "READ_ONLY", "UPSTREAM_FORBIDDEN", "NOT_FOUND", "MODEL_NOT_FOUND", "ROUTE_NOT_SUPPORTED",
    "UPSTREAM_NOT_FOUND", "METHOD_NOT_ALLOWED", "UNSUPPORTED_MEDIA_TYPE", "BODY_TOO_LARGE", "SYNC_LOST", "MODEL_NOT_CONNECTED",
    "VERSION_SUNSET", "NOT_ENABLED", "RATE_LIMIT_EXCEEDED", "TOO_MANY_FAILED_AUTH", "INTERNAL_ERROR", "OF_API_ERROR", "UNAVAILABLE", "UPSTREAM_RATE_LIMITED",
    "UPSTREAM_TIMEOUT", "OUTCOME_UNKNOWN", "EXPECTATION_FAILED", "IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED",
}  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES)
async def test_R048_R049_R067_every_refusal_is_as_committed(redis_url: str, surface: str, tmp_path: Path) -> None:
    shown: list[str] = []
    codes: set[str] = set()
    async with refusing_edge(redis_url) as edge:
        await block_address(edge)
        own = {name: row[0] for name, row in OWN_CHECKS[surface].items()}
        rows = {name: spoil for name, spoil in (ROWS | own).items() if (surface, name) not in ELSEWHERE}
        for name, spoil in sorted(rows.items(), key=lambda row: (float(_number(row[0])), row[0])):
            call = Call()
            spoil(call)
            answer = await ask(edge, surface, call)
            codes.add(answer.code)
            assert set(answer.json) == _members(surface, answer.code), name
            assert answer.json["error"], name
            assert answer.json.get("code", answer.code) == answer.code, name
            assert answer.status == CODES[answer.code][0] or answer.status == 409, name
            assert answer.credits_left == call.credits, "nothing but a 2xx is charged"
            shown.append(_shown(name, answer))
    assert codes == REQUIRED_CODES | {row[2] for row in OWN_CHECKS[surface].values()}

    text = "\n".join(shown)
    now = tmp_path / f"{surface}.txt"
    now.write_text(text, encoding="utf-8")
    assert text == (GOLDEN / f"{surface}.txt").read_text(encoding="utf-8"), f"as it is now: {now}"


def _members(surface: str, code: str) -> set[str]:
    if surface == "gateway":
        return {"error", "code"}
    if surface == "fanvue" and code in {"VERSION_REQUIRED", "UNSUPPORTED_VERSION", "VERSION_SUNSET"}:
        return {"error", "message"} | ({"nextVersion"} if code == "VERSION_SUNSET" else set())
    return {"error"}


def _number(name: str) -> str:
    number = name.split(" ")[0].rstrip("ab")
    return number if number.isdigit() else "99"


def _shown(name: str, answer: Answer) -> str:
    headers = dict(answer.headers)
    del headers["date"]
    for volatile, stands in VOLATILE.items():
        if volatile in headers and not (volatile == "retry-after" and answer.code in STEADY_WAITS):
            headers[volatile] = stands
    lines = [f"# {name}", str(answer.status), *(f"{key}: {value}" for key, value in sorted(headers.items()))]
    return "\n".join([*lines, "", answer.body.decode(), ""])

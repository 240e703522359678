"""Everything that is not a 2xx: status, code, exactly two members, headers, and no charge (requirements 3.2 and 3.3)."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from libs.common.errors import Refused, Unconfirmed
from libs.common.ids import new_key, uuid7
from services.edge.domain.refusal import CODES, Refusal
from services.edge.domain.upstream import Upstream
from tests.support.edge import RunningEdge, running_edge
from tests.support.gateway_client import Answer, GatewayClient

CAP = 1_048_576


def refused(answer: Answer, status: int, code: str) -> dict[str, str]:
    """Check an error's shape; its headers in lower case."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert (answer.status, headers.get("x-error-code")) == (status, code), answer.body
    assert list(answer.json) == ["error", "code"]
    assert answer.json["code"] == code
    assert answer.json["error"]
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"]
    assert headers["x-request-id"]
    assert "server" not in headers
    assert ("retry-after" in headers) == (status in {429, 503})
    if status in {429, 503}:
        assert int(headers["retry-after"]) >= 1
    return headers


async def ask(
    edge: RunningEdge, key: str | None, path: str, *, method: str = "GET", body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:  # fmt: skip
    async with GatewayClient(edge.url, key) as client:
        return await client.call(method, path, body=body, headers=headers)


@pytest.mark.parametrize("key", ["fgk_short", "x" * 40, "fgk_" + "0" * 36, "", " ", "fgr_" + "a" * 36, "é"])
async def test_malformed_keys_are_401_without_a_question(redis_url: str, key: str) -> None:
    async with running_edge(redis_url) as edge:
        headers = refused(
            await ask(edge, key, f"/api/models/{uuid7()}/chats"),
            401,
            "INVALID_API_KEY" if key.strip() else "NO_API_KEY",
        )
        assert headers["www-authenticate"] == "Bearer"
        assert edge.directory.asked == 0


async def test_R051_missing_unknown_and_expired_keys_have_one_text(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        path = f"/api/models/{uuid7()}/chats"
        expired, _, _ = edge.organization(expires_at_ms=1)
        texts = {
            (await ask(edge, key, path)).json["error"]
            for key in (None, new_key("fgk_"), new_key("fgr_"), expired, "garbage")
        }
        refused(await ask(edge, None, path), 401, "NO_API_KEY")
        refused(await ask(edge, expired, path), 401, "INVALID_API_KEY")
    assert texts == {"Invalid or missing API key"}


async def test_R136_a_revoked_key_fails_on_the_next_call_with_warm_caches(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization()
        assert (await ask(edge, key, f"/api/models/{model}/chats")).status == 200
        edge.directory.principals.clear()  # revoked in auth; the broadcast is lost, only the version rises
        await edge.admission.raise_version(principal.org_id, principal.av + 1)
        refused(await ask(edge, key, f"/api/models/{model}/chats"), 401, "INVALID_API_KEY")


@pytest.mark.parametrize("path", ["/", "/api", "/api/", "/api/model", "/api/nothing", "/v9/x", "/api/models/x/chats/", "/api/models//chats", "/api/models/x/chats/..", "/api/models/x/media/uploads/..", "/api/models/x/chats/not-an-id", "/api/models/x/%2e%2e/chats", "//api/health", "/api/health/%00"])  # fmt: skip
async def test_R067_unknown_paths_are_json_404_before_any_key(redis_url: str, path: str) -> None:
    async with running_edge(redis_url) as edge:
        raw = await exchange(edge, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status, body = parsed(raw)
    assert (status, body["code"]) == (404, "NOT_FOUND")


async def test_unknown_methods_are_405_with_allow(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        answer = await ask(edge, None, f"/api/models/{uuid7()}/chats", method="DELETE")
        assert refused(answer, 405, "METHOD_NOT_ALLOWED")["allow"] == "GET, POST"
        refused(await ask(edge, None, "/api/health", method="POST"), 405, "METHOD_NOT_ALLOWED")
        refused(await ask(edge, None, "/api/health", method="PROPFIND"), 405, "METHOD_NOT_ALLOWED")


async def test_two_keys_or_one_header_twice_are_400(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        path = f"/api/models/{model}/chats"
        refused(
            await ask(edge, key, path, headers={"Authorization": f"Bearer {new_key('fgk_')}"}),
            400,
            "MULTIPLE_CREDENTIALS",
        )
        for header in ("X-API-Key", "Authorization"):
            value = key if header == "X-API-Key" else f"Bearer {key}"
            raw = (
                f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}: {value}\r\n{header}: {value}\r\n\r\n"
            )
            status, body = parsed(await exchange(edge, raw.encode()))
            assert (status, body["code"]) == (400, "MULTIPLE_CREDENTIALS")


async def test_a_key_in_the_query_is_never_read(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        refused(await ask(edge, None, f"/api/models/{model}/chats?api_key={key}"), 401, "NO_API_KEY")


async def test_rights_subscription_and_suspension(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        cases: list[tuple[dict[str, Any], str, str, int]] = [
            ({"permissions": frozenset()}, "GET", "PERMISSION_DENIED", 403),
            ({"org_state": "suspended"}, "GET", "ORGANIZATION_SUSPENDED", 403),
            ({"read_only": True}, "POST", "READ_ONLY", 403),
            ({"subscription": "none"}, "GET", "NO_SUBSCRIPTION", 402),
            ({"subscription": "cancelled"}, "GET", "NO_SUBSCRIPTION", 402),
            ({"subscription": "past_due"}, "GET", "SUBSCRIPTION_PAST_DUE", 402),
        ]
        for changes, method, code, status in cases:
            key, principal, model = edge.organization(**changes)
            answer = await ask(
                edge, key, f"/api/models/{model}/chats", method=method, body=b"{}" if method == "POST" else None
            )
            headers = refused(answer, status, code)
            assert headers["x-ratelimit-remaining"] == "99999", "a refused call counts in the windows"
            assert edge.billing.balances[principal.org_id] == 1_000
        denied, _, model = edge.organization(permissions=frozenset())
        answer = await ask(edge, denied, f"/api/models/{model}/chats")
        assert answer.json["error"] == "Missing permission api_chats_list"
        assert not edge.sessions.calls


@pytest.mark.parametrize(
    "model",
    ["not-a-uuid", "1234", "%7B0%7D", "0191f3a47a3b7c1d8e2f0a1b2c3d4e5f", pytest.param(str(uuid7()), id="absent")],
)
async def test_models_that_are_not_the_callers_are_404(redis_url: str, model: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, _ = edge.organization(10)
        answer = await ask(edge, key, f"/api/models/{model}/chats")
        assert refused(answer, 404, "MODEL_NOT_FOUND")["x-ratelimit-remaining"] == "99999"
        assert await lease_of(edge, principal.org_id) == 10


async def test_a_key_bound_to_one_model_sees_no_other(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization(model_id=uuid7())
        refused(await ask(edge, key, f"/api/models/{model}/chats"), 404, "MODEL_NOT_FOUND")


@pytest.mark.parametrize(
    "query", ["nonsense=1", "page=0", "size=51", "size=x", "sortBy=wrong", "page=1&api_key=x", "%ff=1", "=", "page"]
)
async def test_R050_queries_are_checked_by_name_and_value(redis_url: str, query: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(10)
        refused(await ask(edge, key, f"/api/models/{model}/chats?{query}"), 400, "INVALID_REQUEST")
        assert await lease_of(edge, principal.org_id) == 10
        assert not edge.sessions.calls


async def test_bodies(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(10)
        path = f"/api/models/{model}/chats/1/messages"
        cases: list[tuple[bytes, dict[str, str], int, str]] = [
            (b"{", {}, 400, "INVALID_REQUEST"),
            (b'{"a":1} x', {}, 400, "INVALID_REQUEST"),
            (b"[" * 100_000, {}, 400, "INVALID_REQUEST"),
            (b"\xff\xfe", {}, 400, "INVALID_REQUEST"),
            (b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
            (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
            (b"{}", {"Content-Encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ]
        for body, headers, status, code in cases:
            refused(await ask(edge, key, path, method="POST", body=body, headers=headers), status, code)
        assert await lease_of(edge, principal.org_id) in {None, 10}


async def test_a_body_of_exactly_the_cap_passes_and_one_byte_more_does_not(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization(10)
        whole = b'{"text":"' + b"x" * (CAP - 11) + b'"}'
        assert len(whole) == CAP
        for body, status in ((whole, 200), (whole + b" ", 413)):
            head = f"POST /api/models/{model}/chats HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
            assert parsed(await exchange(edge, head.encode() + body))[0] == status
        assert [sent for _, sent in edge.sessions.calls] == [whole]


async def test_R055_the_cap_holds_on_every_method_and_for_chunked_bodies(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(10)
        head = f"Host: x\r\nX-API-Key: {key}\r\n"
        declared = f"GET /api/models/{model}/chats HTTP/1.1\r\n{head}Content-Length: {CAP + 1}\r\n\r\n"
        raw = await exchange(edge, declared.encode())
        assert parsed(raw) == (
            413,
            {"error": f"Request body too large: at most {CAP} bytes are allowed", "code": "BODY_TOO_LARGE"},
        )
        assert b"connection: close" in raw.lower()
        start = f"POST /api/models/{model}/chats HTTP/1.1\r\n{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        assert parsed(await exchange(edge, start.encode() + chunk * 17 + b"0\r\n\r\n"))[0] == 413
        assert await lease_of(edge, principal.org_id) in {None, 10}
        # the declared length is judged after the key: who has none learns nothing of caps
        assert parsed(await exchange(edge, declared.replace(key, "x").encode()))[0] == 401


async def test_expectations_are_met_or_refused(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        head = f"POST /api/models/{model}/chats HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nConnection: close\r\nContent-Length: 2\r\n"
        raw = await exchange(edge, (head + "Expect: 100-continue\r\n\r\n{}").encode())
        assert raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
        assert parsed(await exchange(edge, (head + "Expect: tea\r\n\r\n{}").encode()))[0] == 417


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /api/health HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
        b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
    ],
)
async def test_broken_http_is_a_json_400(redis_url: str, raw: bytes) -> None:
    async with running_edge(redis_url) as edge:
        answer = await exchange(edge, raw)
    status, body = parsed(answer)
    assert (status, body["code"]) == (400, "INVALID_REQUEST")
    assert b"\nserver:" not in answer.lower()
    assert b"x-request-id:" in answer.lower()


@pytest.mark.parametrize(
    ("upstream", "status", "code", "text"),
    [
        (Upstream(400, b'{"error":"bad emoji"}'), 400, "UPSTREAM_REJECTED", "bad emoji"),
        (Upstream(422, b'{"message":{"detail":"nope"}}'), 400, "UPSTREAM_REJECTED", "nope"),
        (Upstream(413, b"<html>"), 400, "UPSTREAM_REJECTED", None),
        (Upstream(415, b""), 400, "UPSTREAM_REJECTED", None),
        (Upstream(401, b"{}"), 424, "SYNC_LOST", None),
        (Upstream(402, b"{}"), 403, "UPSTREAM_FORBIDDEN", None),
        (Upstream(403, b"{}"), 403, "UPSTREAM_FORBIDDEN", None),
        (Upstream(404, b"{}"), 404, "UPSTREAM_NOT_FOUND", None),
        (Upstream(410, b"{}"), 404, "UPSTREAM_NOT_FOUND", None),
        (Upstream(409, b'{"error":["taken"]}'), 409, "UPSTREAM_REJECTED", "taken"),
        (Upstream(429, b"{}", retry_after_s=7), 503, "UPSTREAM_RATE_LIMITED", None),
        (Upstream(302, b""), 502, "OF_API_ERROR", "Upstream error"),
        (Upstream(500, b'{"error":"secret stack"}'), 502, "OF_API_ERROR", "Upstream error"),
        (Upstream(503, b""), 502, "OF_API_ERROR", "Upstream error"),
        (Refusal("OF_API_ERROR"), 502, "OF_API_ERROR", None),
        (Refusal("UPSTREAM_TIMEOUT"), 504, "UPSTREAM_TIMEOUT", None),
        (Refusal("OUTCOME_UNKNOWN"), 504, "OUTCOME_UNKNOWN", None),
        (Refusal("SYNC_LOST"), 424, "SYNC_LOST", None),
        (Refusal("MODEL_NOT_CONNECTED"), 424, "MODEL_NOT_CONNECTED", None),
        (Refusal("ROUTE_NOT_SUPPORTED"), 404, "ROUTE_NOT_SUPPORTED", None),
        (Refused(), 503, "UNAVAILABLE", None),
        (RuntimeError("a bug"), 500, "INTERNAL_ERROR", "Internal server error"),
    ],
)
async def test_R019_nothing_but_a_2xx_is_charged(
    redis_url: str, upstream: Upstream | Exception, status: int, code: str, text: str | None
) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(10)
        edge.sessions.upstream = upstream
        answer = await ask(edge, key, f"/api/models/{model}/chats")
        headers = refused(answer, status, code)
        assert await lease_of(edge, principal.org_id) == 10, "the reserve went back"
        assert not edge.broker.messages
    assert answer.json["error"] == (text or CODES[code][1])
    assert headers["x-ratelimit-remaining"] == "99999"
    if code == "UPSTREAM_RATE_LIMITED":
        assert headers["retry-after"] == "7"


async def test_a_refused_usage_event_is_a_free_503_and_an_unconfirmed_one_is_voided(redis_url: str) -> None:
    async with running_edge(redis_url, fence_ms=300) as edge:
        key, principal, model = edge.organization(10)
        path, fates = f"/api/models/{model}/chats", iter([Refused(), Unconfirmed(), Unconfirmed()])

        async def fate(message: object) -> None:
            error = next(fates, None)
            if error is not None:
                raise error

        edge.broker.fate = fate
        refused(await ask(edge, key, path), 503, "UNAVAILABLE")
        assert await lease_of(edge, principal.org_id) == 10, "certainly not recorded: released"
        refused(await ask(edge, key, path), 503, "UNAVAILABLE")
        assert await lease_of(edge, principal.org_id) == 9, "perhaps recorded: not released"
        await until(lambda: bool(edge.billing.voided))
        assert edge.billing.balances[principal.org_id] == 10, "voided, whichever came first"
        assert (await ask(edge, key, path)).status == 200


async def test_an_unconfirmed_event_is_sent_again_with_the_same_bytes(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(10)
        seen: list[bytes] = []

        async def fate(message: Any) -> None:
            seen.append(message.body + message.message_id.bytes)
            if len(seen) < 3:
                raise Unconfirmed if len(seen) == 1 else Refused  # a refusal after an unknown decides nothing

        edge.broker.fate = fate
        assert (await ask(edge, key, f"/api/models/{model}/chats")).status == 200
        assert len(seen) == 3
        assert len(set(seen)) == 1
        assert edge.billing.balances[principal.org_id] == 9


async def test_R139_plain_http_is_refused_and_only_trusted_proxies_are_believed(redis_url: str) -> None:
    secure = {"X-Forwarded-Proto": "https"}
    async with running_edge(redis_url, require_https=True) as edge:
        key, _, model = edge.organization()
        refused(await ask(edge, key, f"/api/models/{model}/chats"), 403, "HTTPS_REQUIRED")
        refused(await ask(edge, key, f"/api/models/{model}/chats", headers=secure), 403, "HTTPS_REQUIRED")
    async with running_edge(redis_url, require_https=True, proxies="127.0.0.0/8") as edge:
        key, _, model = edge.organization()
        assert (await ask(edge, key, f"/api/models/{model}/chats", headers=secure)).status == 200
        forged = {"X-Forwarded-Proto": "https, http"}
        refused(await ask(edge, key, f"/api/models/{model}/chats", headers=forged), 403, "HTTPS_REQUIRED")


async def test_a_key_bound_to_addresses_is_refused_elsewhere_and_nobody_says_himself_where_he_is(
    redis_url: str,
) -> None:
    bound = ("203.0.113.0/24", "2001:db8::/32")
    async with running_edge(redis_url, proxies="127.0.0.1") as edge:
        key, principal, model = edge.organization(addresses=bound)
        path = f"/api/models/{model}/chats"
        for hops in ("203.0.113.7", "6.6.6.6, 203.0.113.7", "2001:db8::7", "::ffff:203.0.113.7"):
            assert (await ask(edge, key, path, headers={"X-Forwarded-For": hops})).status == 200, hops
        for hops in ("198.51.100.7", "203.0.113.7, 198.51.100.7", "2001:db9::7"):
            answer = await ask(edge, key, path, headers={"X-Forwarded-For": hops})
            refused(answer, 403, "PERMISSION_DENIED")
            assert answer.json["error"] == f"This key may not be used from {hops.rpartition(', ')[2]}"
        assert edge.billing.balances[principal.org_id] == 1_000 - 4
    async with running_edge(redis_url) as edge:  # behind no proxy: what a client writes is not believed
        key, _, model = edge.organization(addresses=bound)
        answer = await ask(edge, key, f"/api/models/{model}/chats", headers={"X-Forwarded-For": "203.0.113.7"})
        refused(answer, 403, "PERMISSION_DENIED")


async def test_R065_failed_authentications_block_an_address_but_not_a_good_key_behind_it(redis_url: str) -> None:
    async with running_edge(redis_url, proxies="127.0.0.1") as edge:
        key, _, model = edge.organization()
        path, nat = f"/api/models/{model}/chats", {"X-Forwarded-For": "6.6.6.6, 203.0.113.7"}
        assert (await ask(edge, key, path, headers=nat)).status == 200
        answers = [await ask(edge, new_key("fgk_"), path, headers=nat) for _ in range(20)]
        assert [answer.status for answer in answers] == [401] * 10 + [429] * 10
        headers = refused(answers[-1], 429, "TOO_MANY_FAILED_AUTH")
        assert 55 <= int(headers["retry-after"]) <= 60
        assert (await ask(edge, key, path, headers=nat)).status == 200, "known good: the block is not even asked for"
        other = await ask(edge, new_key("fgk_"), path, headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.8"})
        refused(other, 401, "INVALID_API_KEY")


async def test_auth_away_is_503_and_a_known_key_goes_on(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        stranger, _, _ = edge.organization()
        assert (await ask(edge, key, f"/api/models/{model}/chats")).status == 200
        edge.directory.is_away = True
        assert (await ask(edge, key, f"/api/models/{model}/chats")).status == 200
        refused(await ask(edge, stranger, f"/api/models/{model}/chats"), 503, "UNAVAILABLE")


async def test_a_slow_body_ends_in_400_and_frees_the_reserve(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.edge.entry.requests.BODY_SECONDS", 0.2)
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(10)
        head = f"POST /api/models/{model}/chats HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 9\r\n\r\n"
        status, body = parsed(await exchange(edge, head.encode() + b"{", seconds=5))
        assert (status, body["code"]) == (400, "INVALID_REQUEST")
        assert await lease_of(edge, principal.org_id) == 10


# -- what the tests above are written with


async def exchange(edge: RunningEdge, raw: bytes, *, seconds: float = 5.0) -> bytes:
    """Send bytes as they are; everything that comes back until the server closes or `seconds` are over."""
    host, port = edge.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""
    try:
        writer.write(raw)
        async with asyncio.timeout(seconds):
            while chunk := await reader.read(65_536):
                received += chunk
                if complete(received):
                    break
    finally:
        writer.close()
    return received


def complete(received: bytes) -> bool:
    head, found, body = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    if not found:
        return False
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return len(body) >= length


def parsed(received: bytes) -> tuple[int, Any]:
    head, _, body = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


async def lease_of(edge: RunningEdge, org_id: Any) -> int | None:
    """What the organization's lease in Redis has left."""
    epoch = await edge.redis.epoch()
    value = await edge.redis.command("HGET", f"lz:{{{org_id}}}:{epoch.name}", "avail")
    return None if value is None else int(value)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)

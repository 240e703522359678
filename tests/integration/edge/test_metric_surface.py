"""The surface `/v1/{account}` through a whole edge: both key headers, both names of an account, aliases, one-member errors."""

from typing import Any

import pytest

from libs.common.contracts.auth import Limits
from libs.common.contracts.sessions import NO_MODEL
from libs.common.ids import uuid7
from services.edge.domain.upstream import Upstream
from tests.support.edge import PLATFORM_BODY, RunningEdge, running_edge
from tests.support.gateway_client import Answer, GatewayClient

NUMBER = "1234567"


async def ask(edge: RunningEdge, key: str, path: str, *, headers: dict[str, str] | None = None) -> Answer:
    async with GatewayClient(edge.url, key or None) as client:
        return await client.call("GET", f"/v1{path}", headers=headers)


async def test_R036_R037_both_headers_behave_the_same(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        by_header = await ask(edge, key, f"/{model}/chats")
        by_bearer = await ask(edge, "", f"/{model}/chats", headers={"Authorization": f"Bearer {key}"})
        wrong = [
            await ask(edge, "x", f"/{model}/chats"),
            await ask(edge, "", f"/{model}/chats", headers={"Authorization": "Bearer x"}),
        ]
    assert (by_header.status, by_bearer.status) == (200, 200)
    assert by_header.data_bytes == by_bearer.data_bytes == PLATFORM_BODY
    assert [(answer.status, answer.body) for answer in wrong] == [(401, b'{"error":"Invalid or missing API key"}')] * 2


async def test_R047_headroom_of_both_windows_is_in_every_2xx(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(limits=Limits())
        other_key = edge.directory.issue(principal)
        answers = [await ask(edge, one, f"/{model}/chats") for one in (key, other_key, key)]
    shown = [answer.json["_meta"]["_rate_limits"] for answer in answers]
    assert shown[0] == {"limit_minute": 1_000, "remaining_minute": 999, "limit_day": 50_000, "remaining_day": 49_999}
    # R043: all keys of the organization share the windows (a new minute may begin between two calls)
    assert [one["remaining_day"] for one in shown] == [49_999, 49_998, 49_997]


@pytest.mark.parametrize(("limits", "window"), [({"per_minute": 2}, "minute"), ({"per_day": 2}, "day")])
async def test_R046_R057_either_window_refuses_and_costs_nothing(
    redis_url: str, limits: dict[str, int], window: str
) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(10, limits=Limits(**limits))
        answers = [await ask(edge, key, f"/{model}/chats") for _ in range(6)]
        refused = [answer for answer in answers if answer.status == 429]
        passed = [answer for answer in answers if answer.status == 200]
        assert edge.billing.balances[principal.org_id] == 10 - len(passed)
    assert len(passed) == 2 or (window == "minute" and 2 <= len(passed) <= 4), "a minute may end in between"
    assert refused
    for answer in refused:
        assert answer.body == b'{"error":"Rate limit exceeded"}'
        assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == ("2", "0")
        longest = 86_400 if window == "day" else 120
        assert 1 <= int(answer.headers["Retry-After"]) <= longest


async def test_the_keys_own_window_is_the_one_in_the_headers(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization(limits=Limits(key_per_minute=100))
        answer = await ask(edge, key, f"/{model}/chats")
    assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == ("100", "99")
    assert int(answer.headers["X-RateLimit-Reset"]) % 60 == 0


async def test_an_account_is_its_models_uuid_or_its_number(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization()
        edge.sessions.accounts[principal.org_id, NUMBER] = model
        answers = [await ask(edge, key, f"/{name}/chats") for name in (str(model), NUMBER)]
        assert [answer.status for answer in answers] == [200, 200]
        assert [(call.model_id, call.account) for call, _ in edge.sessions.calls] == [(model, ""), (NO_MODEL, NUMBER)]
        recorded = b"".join(message.body for message in edge.broker.messages)
        assert recorded.count(str(model).encode()) == 2, "usage is recorded for the model, however it was named"
        assert str(NO_MODEL).encode() not in recorded


async def test_R056_another_organizations_account_and_none_are_one_404(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        _, owner, model = edge.organization()
        key, _, _ = edge.organization()
        edge.sessions.accounts[owner.org_id, NUMBER] = model
        names = (str(model), str(uuid7()), NUMBER, "7654321", "nobody", "1" * 21, "%20")
        answers = [await ask(edge, key, f"/{name}/chats") for name in names]
    assert {(answer.status, answer.body) for answer in answers} == {(404, b'{"error":"Model not found"}')}


async def test_a_bound_key_sees_its_account_only(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        _, owner, model = edge.organization()
        other = uuid7()
        edge.sessions.models.add(other)
        edge.sessions.accounts |= {(owner.org_id, NUMBER): model, (owner.org_id, "42"): other}
        key, _, _ = edge.organization(org_id=owner.org_id, model_id=model)
        statuses = [(await ask(edge, key, f"/{name}/chats")).status for name in (NUMBER, str(model), "42", str(other))]
        assert statuses == [200, 200, 404, 404]


@pytest.mark.parametrize(
    "tail", ["/earnings", "/insights/earnings", "/campaigns", "/vault/media", "/user-lists/7/users"]
)
async def test_aliases_and_canonical_paths_both_work(redis_url: str, tail: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        assert (await ask(edge, key, f"/{model}{tail}?page=1")).status == 200
        assert (await ask(edge, key, f"/{model}{tail}?colour=red")).json == {"error": "query.colour: unknown parameter"}


async def test_health_needs_no_key(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        answer = await ask(edge, "", "/health")
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')


async def test_R048_unknown_paths_below_the_prefix_speak_its_dialect(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        for path in ("", "/", "/x", "/x/nothing", "/health/x"):
            answer = await ask(edge, "", path)
            assert (answer.status, answer.json) == (404, {"error": "Not found"})


# -- what holds on every surface


@pytest.mark.parametrize(
    ("accept", "is_problem"),
    [
        ("application/problem+json", True),
        ("application/json, application/problem+json", True),
        ("application/problem+json;q=0.5, */*;q=0.1", True),
        ("application/json, application/problem+json;q=0.5", False),
        ("application/problem+json;q=0", False),
        ("application/problem+json;q=high", False),
        ("*/*", False),
        ("application/*", False),
    ],
)
@pytest.mark.parametrize("prefix", ["/api/models", "/v1"])
async def test_problem_details_for_those_who_ask(redis_url: str, prefix: str, accept: str, is_problem: bool) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization(permissions=frozenset())
        async with GatewayClient(edge.url, key) as client:
            plain = await client.call("GET", f"{prefix}/{model}/chats")
            answer = await client.call("GET", f"{prefix}/{model}/chats", headers={"Accept": accept})
    if not is_problem:
        assert (answer.headers["Content-Type"], answer.body) == ("application/json", plain.body)
        return
    members: dict[str, Any] = answer.json
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (members.pop("type"), members.pop("title"), members.pop("status")) == ("about:blank", "Forbidden", 403)
    assert members.pop("detail") == "Missing permission api_chats_list"
    assert members == plain.json


@pytest.mark.parametrize(
    ("pinned", "headers", "status", "echo"),
    [
        (None, {}, 200, "2025-06-26"),
        ("2025-06-26", {}, 200, "2025-06-26"),
        (None, {"X-API-Version": "2025-06-26"}, 200, "2025-06-26"),
        (None, {"X-API-Version": "2025-06-26", "X-Fanvue-API-Version": "2025-06-26"}, 200, "2025-06-26"),
        (None, {"X-API-Version": "2025-06-27"}, 400, None),
        (None, {"X-API-Version": "latest"}, 400, None),
        (None, {"X-API-Version": ""}, 400, None),
        (None, {"X-API-Version": "2025-06-26", "X-Fanvue-API-Version": "2024-01-01"}, 400, None),
    ],
)
async def test_R140_versions_are_exact_known_dates(
    redis_url: str, pinned: str | None, headers: dict[str, str], status: int, echo: str | None
) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization(api_version=pinned)
        answer = await ask(edge, key, f"/{model}/chats", headers=headers)
    assert (answer.status, answer.headers.get("X-API-Version")) == (status, echo)
    if status == 400:
        assert "version" in answer.json["error"]


async def test_R059_a_defect_is_logged_with_its_trace_and_the_answers_request_id(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        edge.sessions.upstream = RuntimeError("the cause")
        answer = await ask(edge, key, f"/{model}/chats")
        edge.sessions.upstream = Upstream(200, b"{}")
    written = capsys.readouterr().out
    assert (answer.status, answer.json) == (500, {"error": "Internal server error"})
    assert "the cause" in written
    assert answer.headers["X-Request-Id"] in written

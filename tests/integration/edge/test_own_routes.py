"""The gateway's own routes over HTTP on a real Redis: the same checks as any call, no price, changes known before the 2xx."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec
import pytest

from libs.common.contracts import auth, billing
from libs.common.contracts.billing import Balance, GetBalance
from libs.common.contracts.envelope import Message
from libs.common.ids import uuid7
from services.edge.domain.refusal import Refusal
from tests.support.edge import OWN_PERMISSIONS, RunningEdge, running_edge
from tests.support.servers import OwnRedis
from tests.support.services_double import ServicesDouble

ROLE = auth.Role(role_id=uuid7(), name="senders", is_built_in=False, permissions=("api_chats_list",))
BODY = b'{"name":"senders","permissions":["api_chats_list"],"unknown":1}'


@pytest.fixture
async def edge(redis_url: str) -> AsyncIterator[RunningEdge]:
    async with running_edge(redis_url) as running:
        yield running


async def call(
    edge: RunningEdge, key: str, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, Any, Any]:
    sent = {"X-API-Key": key, "Content-Type": "application/json"} | headers
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{edge.url}/api{path}", data=body, headers=sent) as answer,
    ):
        return answer.status, await answer.json(), answer.headers


async def test_whoami_is_answered_here_in_the_envelope_and_costs_nothing(edge: RunningEdge) -> None:
    key, principal, _ = edge.organization(permissions=OWN_PERMISSIONS, subscription="none")
    edge.services.replies[GetBalance] = Balance(balance=1_000, leased=40)

    status, answer, headers = await call(edge, key, "GET", "/whoami")

    assert status == 200
    assert answer["data"]["key_id"] == str(principal.key_id)
    assert answer["data"]["permissions"] == sorted(OWN_PERMISSIONS)
    assert answer["_meta"]["_credits"] == {"used": 0, "balance": 960}
    assert answer["_meta"]["_rate_limits"]["remaining_minute"] == 99_999
    assert headers["X-RateLimit-Limit"] == "100000"


async def test_the_balance_is_the_leases_while_one_lives_and_null_when_nobody_can_say(edge: RunningEdge) -> None:
    key, _, model_id = edge.organization(credits_=50)
    assert (await call(edge, key, "GET", "/whoami"))[1]["_meta"]["_credits"] == {"used": 0, "balance": None}
    _, paid, _ = await call(edge, key, "GET", f"/models/{model_id}/chats")
    assert paid["_meta"]["_credits"] == {"used": 1, "balance": 49}
    assert (await call(edge, key, "GET", "/whoami"))[1]["_meta"]["_credits"] == {"used": 0, "balance": 49}


async def test_a_change_has_its_version_in_redis_before_the_200(edge: RunningEdge) -> None:
    key, principal, _ = edge.organization()
    edge.services.replies[auth.ReplaceRole] = auth.RoleChanged(av=7, role=ROLE)

    status, answer, _ = await call(edge, key, "PUT", f"/roles/{ROLE.role_id}", BODY)

    assert (status, answer["data"]["name"]) == (200, "senders")
    assert await edge.admission.raise_version(principal.org_id, 1) == 7
    (asked,) = [each for each in edge.services.asked if isinstance(each, auth.ReplaceRole)]
    assert asked.by == auth.Actor(key_id=principal.key_id, address="127.0.0.1")
    assert asked.org_id == principal.org_id


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"name":"x","permissions":["a",7]}', "permissions[1]: expected `str`, got `int`"),
        (b'{"name":7,"permissions":[]}', "name: expected `str`, got `int`"),
        (b'{"permissions":[]}', "body: object missing required field `name`"),
        (b"[]", "body: expected `object`, got `array`"),
        (b"", "body: object missing required field `name`"),
        (b"{", "body: Input data was truncated"),
    ],
)
async def test_R050_a_400_says_where_and_what(edge: RunningEdge, body: bytes, text: str) -> None:
    key, _, _ = edge.organization()
    status, answer, _ = await call(edge, key, "POST", "/roles", body)
    assert (status, answer) == (400, {"error": text, "code": "INVALID_REQUEST"})
    assert edge.services.asked == []


@pytest.mark.parametrize(
    ("method", "path", "reply", "status", "code"),
    [
        ("GET", "/roles", Refusal("UNAVAILABLE"), 503, "UNAVAILABLE"),
        ("GET", "/roles", Refusal("UPSTREAM_TIMEOUT"), 504, "UPSTREAM_TIMEOUT"),
        ("GET", "/roles", Refusal("NOT_FOUND", "Role not found"), 404, "NOT_FOUND"),
        ("GET", "/roles?color=red", None, 400, "INVALID_REQUEST"),
        ("GET", "/keys?limit=-1", None, 400, "INVALID_REQUEST"),
        ("GET", "/keys/1", None, 404, "NOT_FOUND"),
        ("GET", "/keys/not-an-id", None, 404, "NOT_FOUND"),
        ("PUT", "/keys", None, 405, "METHOD_NOT_ALLOWED"),
        ("PATCH", "/organization", None, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
async def test_what_an_own_route_refuses(
    edge: RunningEdge, method: str, path: str, reply: Refusal | None, status: int, code: str
) -> None:
    key, _, _ = edge.organization()
    if reply is not None:
        edge.services.replies[auth.ListRoles] = reply
    body, headers = (b"<a/>", {"Content-Type": "text/xml"}) if status == 415 else (None, {})
    answered = await call(edge, key, method, path, body, **headers)
    assert (answered[0], answered[1]["code"], set(answered[1])) == (status, code, {"error", "code"})


async def test_R053_a_missing_permission_is_named_and_counts(edge: RunningEdge) -> None:
    key, _, _ = edge.organization(permissions=frozenset({"api_self_read"}))
    status, answer, headers = await call(edge, key, "GET", "/keys")
    assert (status, answer["error"]) == (403, "Missing permission api_keys_list")
    assert headers["X-RateLimit-Remaining"] == "99999"
    assert edge.services.asked == []


async def test_what_has_nothing_to_show_is_a_200_with_null(edge: RunningEdge) -> None:
    key, _, _ = edge.organization()
    edge.services.replies[auth.DeleteRole] = auth.RoleDeleted(av=2)
    status, answer, _ = await call(edge, key, "DELETE", f"/roles/{ROLE.role_id}")
    assert (status, answer["data"]) == (200, None)


async def test_without_redis_a_change_is_no_2xx_and_only_what_can_be_repeated_is_asked(
    redis_server: Callable[[], Awaitable[OwnRedis]],
) -> None:
    server = await redis_server()
    changed = auth.RoleChanged(av=2, role=ROLE)
    services = ServicesDouble({auth.CreateRole: auth.RoleCreated(role=ROLE), auth.ReplaceRole: changed})
    async with running_edge(server.url, services=services) as edge:
        key, _, _ = edge.organization()
        assert (await call(edge, key, "GET", "/whoami"))[0] == 200
        services.asked.clear()
        await server.kill()

        assert (await call(edge, key, "GET", "/whoami"))[0] == 200
        replaced = await call(edge, key, "PUT", f"/roles/{ROLE.role_id}", BODY)
        rotated = await call(edge, key, "POST", f"/keys/{ROLE.role_id}/rotate")
        created = await call(edge, key, "POST", "/roles", BODY)

    assert (replaced[0], rotated[0], created[0]) == (503, 503, 201)  # what is new takes nothing from anybody
    assert replaced[1]["error"].startswith("The change is stored")
    assert replaced[2]["Retry-After"] == "1"
    assert [type(each) for each in services.asked if not isinstance(each, GetBalance)] == [
        auth.ReplaceRole,
        auth.CreateRole,
    ]


def test_every_answer_can_be_encoded_and_every_body_decoded(edge: RunningEdge) -> None:
    for route in edge.edge.routes:
        for type_ in (getattr(route, "body", None), getattr(route, "data", None)):
            if type_ is not None:
                msgspec.json.schema(type_)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/credits", GetBalance),
        ("/ledger", billing.ListLedger),
        ("/usage", billing.GetUsage),
        ("/plans", billing.ListPlans),
        ("/subscription", billing.GetSubscription),
    ],
)
async def test_R024_billing_is_read_without_a_subscription(
    edge: RunningEdge, path: str, command: type[Message]
) -> None:
    key, _, _ = edge.organization(permissions=OWN_PERMISSIONS, subscription="none")
    edge.services.replies |= {
        GetBalance: Balance(balance=5, leased=1, buckets=(billing.Bucket(kind="topup", balance=5),)),
        billing.ListLedger: billing.LedgerPage(lines=()),
        billing.GetUsage: billing.UsageReport(lines=(), calls=0, credits=0),
        billing.ListPlans: billing.Plans(plans=()),
        billing.GetSubscription: billing.Subscription(status="none"),
    }

    status, answer, _ = await call(edge, key, "GET", path)

    assert (status, answer["_meta"]["_credits"]) == (200, {"used": 0, "balance": 4})
    reply = edge.services.replies[command]
    assert isinstance(reply, Message)
    every_member = msgspec.structs.asdict(reply)
    assert answer["data"] == msgspec.json.decode(msgspec.json.encode(every_member))
    assert any(isinstance(asked, command) for asked in edge.services.asked)


async def test_the_ledger_and_usage_are_asked_as_the_query_says(edge: RunningEdge) -> None:
    key, principal, _ = edge.organization(permissions=OWN_PERMISSIONS)
    edge.services.replies |= {
        billing.ListLedger: billing.LedgerPage(lines=()),
        billing.GetUsage: billing.UsageReport(lines=(), calls=0, credits=0),
    }
    cursor = uuid7().hex
    await call(
        edge, key, "GET",
        f"/ledger?types=debit,expire&group=hour&limit=999&cursor={cursor}&since=2026-07-01&until=2026-07-02T01:00:00%2B01:00",
    )  # fmt: skip
    await call(edge, key, "GET", "/usage?by=key,model&since=2026-07-01T10:00:00Z")

    ledger, usage = (one for one in edge.services.asked if not isinstance(one, GetBalance))
    july = datetime(2026, 7, 1, tzinfo=UTC)
    assert ledger == billing.ListLedger(
        org_id=principal.org_id, types=("debit", "expire"), group="hour", cursor=cursor, limit=100, since=july,
        until=july + timedelta(days=1),
    )  # fmt: skip
    assert usage == billing.GetUsage(org_id=principal.org_id, since=july + timedelta(hours=10), by=("key", "model"))


@pytest.mark.parametrize(
    "query",
    ["group=week", "types=", "types=a;b", "cursor=1", "limit=-1", "since=2026-02-30", "since=yesterday", "color=red"],
)
async def test_R050_a_query_of_the_ledger_that_means_nothing_is_a_400(edge: RunningEdge, query: str) -> None:
    key, _, _ = edge.organization(permissions=OWN_PERMISSIONS)
    status, answer, _ = await call(edge, key, "GET", f"/ledger?{query}")
    assert (status, answer["code"]) == (400, "INVALID_REQUEST")
    assert not any(isinstance(one, billing.ListLedger) for one in edge.services.asked)

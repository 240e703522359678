"""The surface `/api/platforms` through a whole edge: its errors, its statuses, its cap, and what it passes on."""

import asyncio
import json
from typing import Any

import pytest

from libs.common.contracts.auth import Limits
from libs.common.contracts.billing import GetBalance
from libs.common.contracts.creators import CreatorDeletion, DeleteCreator
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import GroupOutcome, SubmitUrls, UrlsSubmitted
from libs.common.ids import new_key, uuid7
from services.edge.domain.refusal import Refusal
from tests.support.edge import RunningEdge, running_edge
from tests.support.gateway_client import Answer, GatewayClient
from tests.support.services_double import ServicesDouble

CREATOR = "0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01"
ONE_URL = {"groups": [{"creator_id": CREATOR, "urls": ["https://leak-forum.net/1"]}]}


def a_reply(**changes: Any) -> UrlsSubmitted:
    return UrlsSubmitted(**{"batch_id": uuid7(), "url_count": 1, "new": 1, "duplicate": 0, "invalid": 0, **changes})


async def ask(
    edge: RunningEdge, key: str, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
) -> Answer:
    async with GatewayClient(edge.url, key or None) as client:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return await client.call(method, f"/api/platforms{path}", body=raw, headers=headers)


async def submitted(redis_url: str, reply: Message | Exception, path: str = "/submit-urls") -> Answer:
    async with running_edge(redis_url) as edge:
        key, _, _ = edge.organization()
        edge.services.replies[SubmitUrls] = reply
        return await ask(edge, key, "POST", path, ONE_URL)


async def test_R108_a_submission_is_answered_201_without_an_envelope(redis_url: str) -> None:
    reply = a_reply()
    answer = await submitted(redis_url, reply)
    assert answer.status == 201
    assert answer.json == {
        "batchId": str(reply.batch_id), "urlCount": 1, "new": 1, "duplicate": 0, "invalid": 0, "byHost": {},
    }  # fmt: skip
    assert "X-RateLimit-Remaining" in answer.headers


async def test_R118_the_surface_is_opened_for_single_organizations_and_sandbox_keys_always_have_it(
    redis_url: str,
) -> None:
    async with running_edge(redis_url) as edge:
        edge.services.replies[SubmitUrls] = a_reply()
        shut, _, _ = edge.organization(features=frozenset())
        answer = await ask(edge, shut, "POST", "/submit-urls", ONE_URL)
        assert (answer.status, answer.headers["X-Error-Code"]) == (403, "NOT_ENABLED")
        assert answer.json == {"error": "This API is not enabled for this organization: ask the operator"}
        assert not [each for each in edge.services.asked if isinstance(each, SubmitUrls)]
        async with GatewayClient(edge.url, shut) as client:
            assert (await client.call("GET", "/api/organization")).status != 403, "the rest of the gateway is open"
        assert (await ask(edge, "", "GET", "/health")).status == 200
        staging, _, _ = edge.organization(kind="sandbox", features=frozenset())
        assert (await ask(edge, staging, "POST", "/submit-urls", ONE_URL)).status == 201


async def test_R112_a_failure_in_part_is_207_and_says_whose(redis_url: str) -> None:
    one, two = uuid7(), uuid7()
    groups = (
        GroupOutcome(creator_id=one, status="accepted"),
        GroupOutcome(creator_id=two, status="failed", error="Creator not found"),
    )
    answer = await submitted(redis_url, a_reply(url_count=3, failed=2, groups=groups))
    assert answer.status == 207
    assert (answer.json["failed"], answer.json["refunded"]) == (2, 2)
    assert answer.json["groups"] == [
        {"creator_id": str(one), "status": "accepted"},
        {"creator_id": str(two), "status": "failed", "error": "Creator not found"},
    ]


async def test_a_dry_run_is_200_with_its_price_and_no_batch(redis_url: str) -> None:
    answer = await submitted(redis_url, a_reply(required=1, balance=9), "/submit-urls?dry_run=true")
    assert answer.status == 200
    assert "batchId" not in answer.json
    assert (answer.json["dry_run"], answer.json["required"], answer.json["balance"]) == (True, 1, 9)


@pytest.mark.parametrize(
    ("refusal", "status", "body"),
    [
        (Refusal("INSUFFICIENT_CREDITS", "No more", required=150, balance=3), 402,
         {"error": "Insufficient credits", "required": 150, "balance": 3}),
        (Refusal("CREATOR_NOT_FOUND", "Creator not found: creator_abc123"), 404,
         {"error": "Creator not found: creator_abc123"}),
        (Refusal("INTERNAL_ERROR"), 500, {"error": "Internal server error"}),
        (Refusal("UNAVAILABLE", retry_after_s=2), 503,
         {"error": "The service is unavailable for a moment: try again"}),
        (Refusal("UPSTREAM_TIMEOUT", "No answer came in time: try again"), 504,
         {"error": "No answer came in time: try again"}),
        (RuntimeError("a defect"), 500, {"error": "Internal server error"}),
    ],
    ids=lambda value: value.code if isinstance(value, Refusal) else "",
)  # fmt: skip
async def test_R067_errors_have_one_member_and_the_facts_of_the_page(
    redis_url: str, refusal: Exception, status: int, body: dict[str, Any]
) -> None:
    answer = await submitted(redis_url, refusal)
    assert (answer.status, answer.json) == (status, body)
    assert ("Retry-After" in answer.headers) is (status == 503)


async def test_R068_a_full_window_is_429_with_the_seconds_in_the_body(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, _ = edge.organization(limits=Limits(per_day=0))
        answer = await ask(edge, key, "GET", "/creators")
    assert answer.status == 429
    assert answer.json == {"error": "Rate limit exceeded", "retryAfterSeconds": int(answer.headers["Retry-After"])}


async def test_R065_guessing_is_429_with_the_seconds_in_the_body(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        answers = [await ask(edge, new_key("fgk_"), "GET", "/creators") for _ in range(30)]
    assert answers[0].json == {"error": "Invalid or missing API key"}
    last = answers[-1]
    assert last.status == 429
    assert last.json == {
        "error": "Too many failed auth attempts",
        "retryAfterSeconds": int(last.headers["Retry-After"]),
    }


async def test_R064_an_inactive_account_is_401_here(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, _ = edge.organization(org_state="suspended")
        answer = await ask(edge, key, "GET", "/creators")
    assert (answer.status, answer.json) == (401, {"error": "Invalid or missing API key"})


async def test_R061_the_key_is_taken_from_its_header_only(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, _ = edge.organization()
        answer = await ask(edge, "", "GET", "/creators", headers={"Authorization": f"Bearer {key}"})
    assert answer.status == 401


async def test_R066_the_cap_is_5_mib_here_and_1_mib_elsewhere(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, _ = edge.organization()
        edge.services.replies[SubmitUrls] = a_reply()
        fits = json.dumps({**ONE_URL, "notes": ""}).encode()
        fits = fits.replace(b'"notes": ""', b'"notes": "%s"' % (b"a" * (5_242_880 - len(fits))))
        assert len(fits) == 5_242_880
        taken = await ask(edge, key, "POST", "/submit-urls", fits)
        too_large = await ask(edge, key, "POST", "/submit-urls", fits + b" ")
        async with GatewayClient(edge.url, key) as client:
            elsewhere = await client.call("POST", "/api/roles", body=b" " * 1_048_577)
    assert (taken.status, too_large.status, elsewhere.status) == (201, 413, 413)
    assert too_large.headers["Connection"] == "close"


async def test_the_fifth_submission_of_an_organization_waits_and_another_organizations_does_not(redis_url: str) -> None:
    release = asyncio.Event()

    class Slow(ServicesDouble):
        async def ask(self, command: Message, **options: Any) -> Message:
            assert not isinstance(command, GetBalance), "this surface shows no balance: nobody is to be asked for it"
            assert options["blob"] == json.dumps(ONE_URL).encode()  # as it was sent
            await release.wait()
            return a_reply()

    async with running_edge(redis_url, services=Slow()) as edge:
        key, _, _ = edge.organization()
        other, _, _ = edge.organization()
        under_way = [asyncio.create_task(ask(edge, key, "POST", "/submit-urls", ONE_URL)) for _ in range(4)]
        async with asyncio.timeout(10):
            while sum(edge.edge._own_call.under_way.values()) < 4:
                await asyncio.sleep(0.01)
        fifth = await ask(edge, key, "POST", "/submit-urls", ONE_URL)
        others = asyncio.create_task(ask(edge, other, "POST", "/submit-urls", ONE_URL))
        await asyncio.sleep(0)
        release.set()
        assert {answer.status for answer in await asyncio.gather(*under_way, others)} == {201}
        again = await ask(edge, key, "POST", "/submit-urls", ONE_URL)
    assert (fifth.status, fifth.headers["Retry-After"], fifth.json["retryAfterSeconds"]) == (429, "1", 1)
    assert again.status == 201


@pytest.mark.parametrize(
    ("query", "is_dry_run"),
    [("", False), ("?confirm=true", False), ("?confirm=TRUE", False), ("?confirm=false", True), ("?confirm=False", True),
     ("?confirm=0", True), ("?confirm=no", True), ("?confirm[]=false", True)],
)  # fmt: skip
async def test_R094_delete_is_a_dry_run_when_it_says_so(redis_url: str, query: str, *, is_dry_run: bool) -> None:
    async with running_edge(redis_url) as edge:
        key, _, _ = edge.organization()
        edge.services.replies[DeleteCreator] = CreatorDeletion(
            creator_id=uuid7(), stage_name="A", associated_urls=142, associated_takedowns=98, is_deleted=not is_dry_run
        )
        answer = await ask(edge, key, "DELETE", f"/creators/{CREATOR}{query}")
        asked = edge.services.asked[-1]
    assert answer.status == 200
    assert isinstance(asked, DeleteCreator)
    assert asked.is_dry_run is is_dry_run
    assert set(answer.json) == {"creator", "associated_urls", "associated_takedowns"} | (
        set() if is_dry_run else {"deleted"}
    )


@pytest.mark.parametrize(
    "query", ["confirm=flase", "confirm=", "confirm", "confirm=false&confirm=true", "confirm=1", "Confirm=false"]
)
async def test_delete_never_deletes_on_a_typo(redis_url: str, query: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, _ = edge.organization()
        answer = await ask(edge, key, "DELETE", f"/creators/{CREATOR}?{query}")
        assert answer.status == 400
        assert not [asked for asked in edge.services.asked if isinstance(asked, DeleteCreator)]

"""A client of Seed C works here with another base URL and key; every documented call and every documented error is met."""

import asyncio
import contextlib
import io
import json
import re
import shutil
import uuid
from typing import Any

import aiohttp
import pytest

from tests.e2e.clients.platform import DOCUMENTED, PlatformClient, PlatformError
from tests.e2e.clients.platform_curls import CURLS, called_here
from tests.support.stack import Stack

MIB = 1_048_576
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


def client_of(stack: Stack, key: str | None) -> PlatformClient:
    return PlatformClient(f"{stack.url}/api/platforms", key)


def a_creator(name: str = "ExampleCreator", **changes: Any) -> dict[str, Any]:
    links = [{"platform": "onlyfans", "handle": "examplecreator"}, {"platform": "fansly", "handle": "examplecreator"}]
    whole = {"stage_name": name, "email": f"{uuid.uuid4().hex}@example.com", "official_links": links}
    return {**whole, **changes}


async def a_partner(stack: Stack, credits_: int = 100, role: str = "takedowns") -> str:
    """The key of a fresh organization without a plan: bought credits only."""
    org_id = str(uuid.uuid4())
    await stack.cli(
        "auth", "org", "create", "--name", f"partner-{org_id[:8]}", "--org-id", org_id, "--enable", "platform"
    )
    if credits_:
        grant = ("--credits", str(credits_), "--kind", "topup", "--memo", "Credit purchase")
        await stack.cli("billing", "grant", "--org", org_id, *grant)
    made = await stack.cli("auth", "key", "create", "--org", org_id, "--role", role, "--label", "partner")
    return str(made["key"])


async def settled(client: PlatformClient, lines: int) -> list[dict[str, Any]]:
    """The transactions, once there are so many."""
    async with asyncio.timeout(60):  # refunds gather for 20 s
        while (page := await client.transactions())["total"] < lines:
            await asyncio.sleep(0.1)
    return list(page["transactions"])


async def refused(call: Any) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await call
    return caught.value


async def test_R060_R063_health_needs_no_key(stack: Stack) -> None:
    async with client_of(stack, None) as client:
        assert await client.health() == {"status": "ok"}


async def test_R073_R083_R086_R087_R095_creators_from_registration_to_deletion(stack: Stack) -> None:
    async with client_of(stack, await a_partner(stack)) as client:
        mine = a_creator(legal_name="Jane Doe", notes="internal")
        assert await client.submit_creators(mine) == {"created": 1, "updated": 0}
        assert await client.submit_creators(mine, a_creator("Another")) == {"created": 1, "updated": 1}

        page = await client.creators()
        assert (page["total"], page["limit"], page["offset"]) == (2, 50, 0)
        first = page["creators"][0]
        assert set(first) == {"id", "stage_name", "email", "official_links", "created_at"}
        assert first["official_links"] == mine["official_links"]
        assert TIME.fullmatch(first["created_at"])
        window = await client.creators(limit=5_000, offset=1)
        assert (len(window["creators"]), window["limit"], window["offset"]) == (1, 1_000, 1)

        whole = await client.creator(first["id"])
        assert (whole["stage_name"], whole["legal_name"], whole["notes"]) == ("ExampleCreator", "Jane Doe", "internal")
        changed = await client.update_creator(first["id"], stage_name="NewName", legal_name=None)
        assert (changed["creator"]["stage_name"], changed["creator"]["legal_name"]) == ("NewName", None)
        assert changed["creator"]["notes"] == "internal"

        await client.submit_urls({"creator_id": first["id"], "urls": ["https://leak-forum.net/1", "x"]})
        assert await client.stats("newn") == [
            {"creator_id": first["id"], "stage_name": "NewName", "total_urls": 2, "new_urls": 1, "duplicate_urls": 0,
             "invalid_urls": 1}
        ]  # fmt: skip
        assert len(await client.stats()) == 2

        preview = await client.delete_creator(first["id"], "false")
        named = {"id": first["id"], "stage_name": "NewName"}
        assert preview == {"creator": named, "associated_urls": 1, "associated_takedowns": 0}
        assert (await client.creator(first["id"]))["id"] == first["id"]
        assert await client.delete_creator(first["id"]) == {**preview, "deleted": True}
        assert (await refused(client.creator(first["id"]))).status == 404
        # what was not processed yet is cancelled and refunded without being asked
        lines = await settled(client, 3)
        assert [(line["type"], line["amount"]) for line in lines] == [("refund", 1), ("debit", 1), ("topup", 100)]


async def test_R099_R113_R114_R115_R116_R117_urls_are_taken_paid_and_listed(stack: Stack) -> None:
    async with client_of(stack, await a_partner(stack, 1_000)) as client:
        await client.submit_creators(a_creator("One"), a_creator("Two"))
        one, two = [creator["id"] for creator in (await client.creators())["creators"]]
        urls = [f"https://piracy-site.com/{n}" for n in range(150)]
        await client.submit_urls({"creator_id": two, "urls": ["https://x.com/leaker/status/123456"]})
        answer = await client.submit_urls(
            {"creator_id": one, "urls": [*urls, "https://t.me/leakchannel/456"]},
            {"creator_id": two, "urls": ["https://twitter.com/leaker/status/123456?s=20"]},
            notes="Weekly scan batch",
        )
        batch_id = answer.pop("batchId")
        assert uuid.UUID(batch_id)
        none = {"new": 0, "duplicate": 0, "invalid": 0, "contact": None}
        hosts = answer.pop("byHost")
        assert hosts["piracy-site.com"] == {**none, "total": 150, "new": 150}
        assert {host: hosts[host]["total"] for host in hosts} == {"piracy-site.com": 150, "t.me": 1, "twitter.com": 1}
        assert answer == {"urlCount": 152, "new": 151, "duplicate": 1, "invalid": 0}
        lines = await settled(client, 3)
        assert {**lines[0], "id": "", "created_at": ""} == {
            "id": "", "type": "debit", "amount": 151, "description": f"Batch {batch_id}: 151 new URLs", "created_at": "",
        }  # fmt: skip
        assert (lines[2]["type"], lines[2]["amount"], lines[2]["description"]) == ("topup", 1_000, "Credit purchase")
        assert all(uuid.UUID(line["id"]) and TIME.fullmatch(line["created_at"]) for line in lines)
        second = await client.transactions(page=1, limit=2)
        assert (len(second["transactions"]), second["total"], second["page"], second["limit"]) == (1, 3, 1, 2)
        assert (await client.transactions(limit=1_000))["limit"] == 100


async def test_R070_R111_too_few_credits_say_what_is_required_and_store_nothing(stack: Stack) -> None:
    async with client_of(stack, await a_partner(stack, 2)) as client:
        await client.submit_creators(a_creator())
        creator_id = (await client.creators())["creators"][0]["id"]
        group = {"creator_id": creator_id, "urls": [f"https://leak-forum.net/{n}" for n in range(3)]}
        error = await refused(client.submit_urls(group))
        assert (error.status, error.body) == (402, {"error": "Insufficient credits", "required": 3, "balance": 2})
        assert (await client.stats())[0]["total_urls"] == 0
        assert (await client.submit_urls({**group, "urls": group["urls"][:2]}))["new"] == 2


async def test_a_dry_run_says_what_it_would_cost(stack: Stack) -> None:
    async with client_of(stack, await a_partner(stack, 10)) as client:
        await client.submit_creators(a_creator())
        creator_id = (await client.creators())["creators"][0]["id"]
        body = {
            "groups": [{"creator_id": creator_id, "urls": ["https://leak-forum.net/1", "https://leak-forum.net/2"]}]
        }
        for _ in range(2):
            status, answer = await client.call("POST", "/submit-urls?dry_run=true", json=body)
            assert (status, answer["dry_run"], answer["new"], answer["required"], answer["balance"]) == (
                200,
                True,
                2,
                2,
                10,
            )
            assert "batchId" not in answer
        assert (await client.submit_urls(*body["groups"]))["new"] == 2


async def test_a_batch_can_be_looked_at_on_both_surfaces(stack: Stack) -> None:
    key = await a_partner(stack)
    async with client_of(stack, key) as client:
        await client.submit_creators(a_creator())
        creator_id = (await client.creators())["creators"][0]["id"]
        sent = await client.submit_urls({"creator_id": creator_id, "urls": ["https://leak-forum.net/1", "nonsense"]})
        _, shown = await client.call("GET", f"/batches/{sent['batchId']}")
        assert (shown["status"], shown["new"], shown["debited"], shown["invalid"]) == ("accepted", 1, 1, 1)
        assert shown["invalid_samples"] == [{"reason": "unparsable", "n": 1, "samples": ["nonsense"]}]
        assert sum(shown["states"].values()) == 1
        _, listed = await client.call("GET", "/batches")
        assert [batch["batch_id"] for batch in listed["batches"]] == [sent["batchId"]]
        assert (await refused(client.call("GET", f"/batches/{uuid.uuid4()}"))).status == 404
    async with PlatformClient(f"{stack.url}/api", key) as gateway:
        _, wrapped = await gateway.call("GET", f"/batches/{sent['batchId']}")
        moving: dict[str, object] = {"states": {}}  # the URL goes its way between the two reads
        assert wrapped["data"] | moving == shown | moving


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("POST", "/submit-creators", {}, "creators"),
        ("POST", "/submit-creators", {"creators": []}, "creators: 1 to 500"),
        ("POST", "/submit-creators", {"creators": [a_creator()] * 501}, "creators: 1 to 500"),
        ("POST", "/submit-creators", {"creators": [a_creator(), a_creator(email="nobody")]}, "creators[1].email"),
        ("POST", "/submit-creators", {"creators": [a_creator(stage_name=" ")]}, "creators[0].stage_name"),
        ("POST", "/submit-creators", {"creators": [a_creator(official_links=[])]}, "creators[0].official_links"),
        (
            "POST",
            "/submit-creators",
            {"creators": [a_creator(official_links=[{"platform": "myspace", "handle": "a"}])]},
            "creators[0].official_links[0].platform",
        ),
        ("POST", "/submit-urls", {}, "groups"),
        ("POST", "/submit-urls", {"groups": []}, "groups: 1 to 100"),
        ("POST", "/submit-urls", {"groups": [{"creator_id": 5, "urls": []}]}, "groups[0].creator_id"),
        ("POST", "/submit-urls", {"groups": [{"creator_id": "a"}]}, "groups[0]"),
        ("POST", "/submit-urls", {"groups": [{"creator_id": "a", "urls": [None]}]}, "groups[0].urls[0]"),
        ("POST", "/submit-urls", {"groups": [{"creator_id": "a", "urls": [], "category": "x"}]}, "groups[0].category"),
        ("POST", "/submit-urls", {"groups": [{"creator_id": "a", "urls": ["x"] * 10_001}]}, "at most 10000"),
        ("POST", "/submit-urls", {"groups": [{"creator_id": "a", "urls": []}], "notes": "\x00"}, "notes"),
        ("GET", "/creators?limit=-1", None, "limit"),
        ("GET", "/creators?limit=ten", None, "limit"),
        ("GET", "/transactions?page=x", None, "page"),
        ("PATCH", "/creators/0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01", {}, "body"),
        ("PATCH", "/creators/0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01", {"stage_name": None}, "stage_name"),
        ("PATCH", "/creators/0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01", {"stage_name": ""}, "stage_name"),
        ("PATCH", "/creators/0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01", {"official_links": []}, "official_links"),
        ("DELETE", "/creators/0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01?confirm=flase", None, "confirm"),
        ("DELETE", "/creators/0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01?confirm=false&confirm=true", None, "confirm"),
    ],
)
async def test_R069_bad_requests_name_the_place(
    stack: Stack, method: str, path: str, body: dict[str, Any] | None, place: str
) -> None:
    async with client_of(stack, stack.demo["FANGATE_PLATFORM_API_KEY"]) as client:
        error = await refused(client.call(method, path, json=body))
    assert error.status == 400
    assert place in error.error


@pytest.mark.parametrize("creator_id", ["creator_abc123", "0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01"])
async def test_R071_unknown_creators_are_404_everywhere(stack: Stack, creator_id: str) -> None:
    async with client_of(stack, stack.demo["FANGATE_PLATFORM_API_KEY"]) as client:
        for call in (
            client.creator(creator_id),
            client.update_creator(creator_id, stage_name="x"),
            client.delete_creator(creator_id),
            client.delete_creator(creator_id, "false"),
        ):
            error = await refused(call)
            assert (error.status, error.error) == (404, "Creator not found")
        error = await refused(client.submit_urls({"creator_id": creator_id, "urls": ["https://leak-forum.net/1"]}))
        assert (error.status, error.body) == (404, {"error": f"Creator not found: {creator_id}"})


async def test_R175_another_organizations_creators_and_transactions_are_not_there(stack: Stack) -> None:
    async with client_of(stack, await a_partner(stack)) as mine, client_of(stack, await a_partner(stack, 7)) as other:
        await mine.submit_creators(a_creator())
        creator_id = (await mine.creators())["creators"][0]["id"]
        assert (await refused(other.creator(creator_id))).status == 404
        assert (await refused(other.submit_urls({"creator_id": creator_id, "urls": []}))).status == 404
        assert (await other.creators())["creators"] == await other.stats() == []
        assert [line["amount"] for line in (await other.transactions())["transactions"]] == [7]


async def test_R064_R062_a_missing_a_bad_and_an_inactive_accounts_key_are_401(stack: Stack) -> None:
    org_id = str(uuid.uuid4())
    await stack.cli("auth", "org", "create", "--name", "suspended", "--org-id", org_id)
    made = await stack.cli("auth", "key", "create", "--org", org_id, "--role", "takedowns", "--label", "x")
    await stack.cli("auth", "org", "suspend", org_id)
    for key in (None, "fl_your_api_key", str(made["key"])):
        async with client_of(stack, key) as client:
            error = await refused(client.creators())
        assert (error.status, error.body) == (401, {"error": "Invalid or missing API key"})


async def test_R066_a_body_over_5_mib_is_413_and_one_of_5_mib_is_read(stack: Stack) -> None:
    async with client_of(stack, stack.demo["FANGATE_PLATFORM_API_KEY"]) as client:
        frame = len(b'{"groups":[],"notes":""}')
        for size, status in ((5 * MIB, 400), (5 * MIB + 1, 413)):
            body = b'{"groups":[],"notes":"%s"}' % (b"a" * (size - frame))
            assert len(body) == size
            json_type = {"Content-Type": "application/json"}
            with contextlib.suppress(aiohttp.ClientOSError):  # the rest of the body is not read
                assert (
                    await refused(client.call("POST", "/submit-urls", data=io.BytesIO(body), headers=json_type))
                ).status == status


async def test_R067_R068_every_error_is_documented_and_the_fifth_submission_at_once_waits(stack: Stack) -> None:
    async with client_of(stack, await a_partner(stack, 100_000)) as client:
        await client.submit_creators(a_creator())
        creator_id = (await client.creators())["creators"][0]["id"]
        groups = [
            {"creator_id": creator_id, "urls": [f"https://host{n}.com/{i}" for i in range(3_000)]} for n in range(8)
        ]
        outcomes = await asyncio.gather(*(client.submit_urls(group) for group in groups), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, PlatformError)]
        assert errors
        for error in errors:
            assert (error.status, error.body["retryAfterSeconds"], error.retry_after_s) == (429, 1, 1)
            assert error.error.startswith("Rate limit exceeded")
            assert error.status in DOCUMENTED
        taken = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        assert sum(outcome["new"] for outcome in taken) == 3_000 * len(taken)
        assert (await refused(client.call("GET", "/nothing-here"))).status == 404
        assert (await refused(client.call("PUT", "/creators"))).status == 405


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_pages_curl_examples_run_verbatim(stack: Stack) -> None:
    key = await a_partner(stack)
    async with client_of(stack, key) as client:
        await client.submit_creators(a_creator("First"), a_creator("Second"))
        first, second = [creator["id"] for creator in (await client.creators())["creators"]]
    answers = []
    for curl in CURLS:
        command = called_here(curl, stack.url, key, first=first, second=second)
        shell = await asyncio.create_subprocess_shell(
            command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        answers.append(json.loads((await shell.communicate())[0]))
    health, listed, registered, changed, submitted = answers
    assert health == {"status": "ok"}
    assert listed["total"] == 2
    assert registered == {"created": 1, "updated": 0}
    assert changed["creator"]["stage_name"] == "NewName"
    assert {name: submitted[name] for name in ("urlCount", "new", "duplicate", "invalid")} == {
        "urlCount": 4, "new": 4, "duplicate": 0, "invalid": 0,
    }  # fmt: skip
    assert set(submitted["byHost"]) == {"piracy-site.com", "leak-forum.net", "t.me", "x.com"}


async def test_the_demo_has_submitted_the_pages_batch(stack: Stack) -> None:
    async with client_of(stack, stack.demo["FANGATE_PLATFORM_API_KEY"]) as client:
        creator = await client.creator(stack.demo["FANGATE_CREATOR_ID"])
        assert creator["email"] == "creator@example.com"
        stats = {line["creator_id"]: line for line in await client.stats()}
    assert stats[creator["id"]]["new_urls"] >= 3  # what the README has a reader submit comes on top

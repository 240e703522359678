"""From a submission to what became of it, through the whole system in mode dry_run."""

import asyncio
import csv
import io
import json
import uuid
from typing import Any

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_takedowns_are_listed_read_cancelled_and_exported(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=50)
    async with GatewayClient(stack.url, tenant.key) as client:

        async def ask(method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
            answer = await client.call(method, path, body=None if body is None else json.dumps(body).encode())
            assert answer.status == status, answer.body
            return answer.json

        email = f"{uuid.uuid4().hex}@example.com"
        link = {"platform": "onlyfans", "handle": "lunavale"}
        creator = {"stage_name": "Luna Vale", "email": email, "official_links": [link]}
        await ask("POST", "/api/platforms/submit-creators", {"creators": [creator]}, status=201)
        creator_id = (await ask("GET", "/api/platforms/creators"))["creators"][0]["id"]
        urls = [f"https://t.me/leaks/{number}" for number in range(3)]
        await ask(
            "POST", "/api/platforms/submit-urls", {"groups": [{"creator_id": creator_id, "urls": urls}]}, status=201
        )

        listed = (await ask("GET", f"/api/takedowns?creator_id={creator_id}"))["data"]
        assert sorted(takedown["url"] for takedown in listed["takedowns"]) == urls
        assert listed["next_cursor"] is None
        assert (await ask("GET", f"/api/platforms/takedowns?creator_id={creator_id}"))["takedowns"][0]["host"] == "t.me"
        takedown_id = listed["takedowns"][0]["id"]
        async with asyncio.timeout(100):  # behind what tests before this one submitted
            while (await ask("GET", f"/api/takedowns/{takedown_id}"))["data"]["takedown"]["state"] == "queued":
                await asyncio.sleep(0.2)
        shown = (await ask("GET", f"/api/takedowns/{takedown_id}"))["data"]
        assert shown["timeline"][-1]["previous"] == "queued"
        assert (await ask("GET", "/api/hosts/t.me"))["data"]["contact"]["dmca_email"] == "dmca@telegram.org"
        cancelled = (await ask("POST", f"/api/takedowns/{takedown_id}/cancel"))["data"]
        assert cancelled["state"] == "cancelled"
        summary = (await ask("GET", "/api/takedowns/summary"))["data"]
        assert (summary["total"], summary["states"]["cancelled"]) == (3, 1)
        assert (await ask("GET", "/api/action-items"))["data"]["actions"] == []

        assert (await ask("GET", "/api/takedown-settings"))["data"] == {"lumen": False}
        assert (await ask("PATCH", "/api/takedown-settings", {"lumen": True}))["data"] == {"lumen": True}
        assert await ask("GET", "/api/platforms/takedown-settings") == {"lumen": True}
        for bad in ({}, {"lumen": "yes"}, {"lumen": None}):
            await ask("PATCH", "/api/takedown-settings", bad, status=400)
        reported = await ask(
            "POST", "/api/csam-reports", {"urls": ["https://never.example.com/x", urls[0]]}, status=201
        )
        assert (reported["data"]["url_count"], reported["data"]["stopped"]) == (2, 1)
        assert (await ask("GET", f"/api/takedowns?creator_id={creator_id}&state=reported"))["data"]["takedowns"][0][
            "url"
        ] == "withheld"
        urls = ["withheld", *urls[1:]]
        await ask("POST", "/api/platforms/csam-reports", {"urls": ["https://never.example.com/y"]}, status=201)
        wrongs: tuple[dict[str, Any], ...] = ({}, {"urls": []}, {"urls": ["x"] * 101}, {"urls": [7]}, {"urls": "x"})
        for wrong in wrongs:
            await ask("POST", "/api/csam-reports", wrong, status=400)

        lines = (await client.call("GET", f"/api/takedowns/export?creator_id={creator_id}")).body.decode().splitlines()
        assert json.loads(lines[-1]) == {"kind": "end", "takedowns": 3}
        as_csv = await client.call("GET", f"/api/takedowns/export?creator_id={creator_id}&format=csv")
        assert as_csv.headers["Content-Type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(as_csv.body.decode())))
        assert sorted(row["url"] for row in rows) == sorted(urls)


async def test_what_is_wrong_or_anothers_is_told_so(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=5)
    async with GatewayClient(stack.url, tenant.key) as client:
        nobody = uuid.uuid4()
        for path, status in (
            ("/api/takedowns", 400), (f"/api/takedowns?creator_id={nobody}", 404), (f"/api/takedowns?batch_id={nobody}", 404),
            (f"/api/takedowns?creator_id={nobody}&state=zoo", 400), (f"/api/takedowns/{nobody}", 404), ("/api/takedowns/x", 404),
            (f"/api/takedowns/export?creator_id={nobody}", 404), (f"/api/notices/{nobody}", 404), ("/api/hosts/never-seen.com", 404),
        ):  # fmt: skip
            answer = await client.call("GET", path)
            assert answer.status == status, (path, answer.body)
        for verb in ("recheck", "cancel", "filed"):
            answer = await client.call("POST", f"/api/takedowns/{nobody}/{verb}", body=b"{}")
            assert answer.status == 404, (verb, answer.body)

"""The demo's takedowns: two creators and the batch of the platform API's documentation, sent as a customer would send them."""

import asyncio
import time
from typing import Any, Final

import aiohttp

from deploy.local.children import ChildFailedError

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0)
_LOOK_SECONDS: Final = 0.2
_GRANTED_SECONDS_MAX: Final = 10.0  # a key is known everywhere within moments of being made
_PAID_SECONDS_MAX: Final = 10.0
CREATORS: Final = (
    {
        "stage_name": "ExampleCreator",
        "email": "creator@example.com",
        "legal_name": "Jane Doe",
        "official_links": [
            {"platform": "onlyfans", "handle": "examplecreator"},
            {"platform": "fansly", "handle": "examplecreator"},
        ],
    },
    {
        "stage_name": "SecondCreator",
        "email": "second@example.com",
        "official_links": [{"platform": "fanvue", "handle": "secondcreator"}],
    },
)
URLS: Final = (
    ("https://piracy-site.com/stolen-content", "https://leak-forum.net/uploads/12345", "https://t.me/leakchannel/456"),
    ("https://x.com/leaker/status/123456",),
)


async def plant_batch(base_url: str, key: str) -> str:
    """Register the creators and submit for them; answers the first one's id. Repeating it changes nothing and costs nothing.

    Raises ChildFailedError with the answer that was not expected.
    """
    headers = {"X-API-Key": key}
    async with aiohttp.ClientSession(f"{base_url}/api/platforms/", timeout=_TIMEOUT, headers=headers) as session:
        await _until_known(session)
        await _call(session, "POST", "submit-creators", {"creators": CREATORS})
        listed = await _call(session, "GET", "creators")
        ids = {creator["email"]: creator["id"] for creator in listed["creators"]}
        groups = [
            {"creator_id": ids[str(creator["email"])], "urls": urls}
            for creator, urls in zip(CREATORS, URLS, strict=True)
        ]
        batch = await _call(session, "POST", "submit-urls", {"groups": groups, "notes": "Weekly scan batch"})
        if batch["new"]:
            await _until_paid(session, batch["batchId"])
    return str(ids[str(CREATORS[0]["email"])])


async def _until_known(session: aiohttp.ClientSession) -> None:
    end = time.monotonic() + _GRANTED_SECONDS_MAX
    while time.monotonic() < end:
        async with session.get("creators?limit=1") as answer:
            if answer.status != 503:
                return
        await asyncio.sleep(_LOOK_SECONDS)


async def _until_paid(session: aiohttp.ClientSession, batch_id: str) -> None:
    """A debit travels over the bus; whoever looks at the balance next should see it."""
    end = time.monotonic() + _PAID_SECONDS_MAX
    while time.monotonic() < end:
        page = await _call(session, "GET", "transactions")
        if any(line["description"].startswith(f"Batch {batch_id}:") for line in page["transactions"]):
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise ChildFailedError("the demo's batch was not debited in time; see .run/dev/log/takedowns.log and billing.log")


async def _call(session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    async with session.request(method, path, json=body) as answer:
        if answer.status not in {200, 201}:
            raise ChildFailedError(f"the demo's {method} {path} was answered {answer.status}: {await answer.text()}")
        return await answer.json()

"""The main job before your eyes: one proxied, paid call and one URL to be taken down, and the balance before and after each."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp

from deploy.local.children import ChildFailedError

_SHOWN_CHARACTERS: Final = 400  # of `data`: enough to recognise it
_POSTED_SECONDS_MAX: Final = 10.0  # a debit is in the ledger within 5 s of the answer
_SUBMIT: Final = "/api/platforms/submit-urls"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0)


async def show(demo: Mapping[str, str], balance: Callable[[], Awaitable[int]], say: Callable[[str], None]) -> None:
    """Make both and print them. Raises ChildFailedError if one is not answered as it should be, or not paid in time."""
    await _paid(lambda: _call(demo, say), balance, say)
    await _paid(lambda: _submission(demo, say), balance, say)


async def _call(demo: Mapping[str, str], say: Callable[[str], None]) -> int:
    path = f"/api/models/{demo['FANGATE_MODEL_ID']}/chats?size=2"
    say(f'\n  curl -H "X-API-Key: $FANGATE_API_KEY" "$FANGATE_URL{path}"\n')
    answer = await _answer(demo, "GET", path, "FANGATE_API_KEY", status=200, say=say)
    data = json.dumps(answer["data"], ensure_ascii=False)
    say(f"  data   {data[:_SHOWN_CHARACTERS]}{' …' if len(data) > _SHOWN_CHARACTERS else ''}")
    say(f"  _meta  {json.dumps(answer['_meta'])}")
    return int(answer["_meta"]["_credits"]["used"])


async def _submission(demo: Mapping[str, str], say: Callable[[str], None]) -> int:
    """A URL that nobody has submitted yet."""
    url, creator_id = f"https://leak-forum.net/uploads/{uuid.uuid4().hex[:12]}", demo["FANGATE_CREATOR_ID"]
    body = {"groups": [{"creator_id": creator_id, "urls": [url]}]}
    say('\n  curl -H "X-API-Key: $FANGATE_PLATFORM_API_KEY" -H "Content-Type: application/json" \\')
    say(f"       -d '{json.dumps(body)}' \"$FANGATE_URL{_SUBMIT}\"\n")
    answer = await _answer(demo, "POST", _SUBMIT, "FANGATE_PLATFORM_API_KEY", status=201, say=say, body=body)
    say(f"  {json.dumps(answer)}")
    return int(answer["new"])


async def _paid(
    job: Callable[[], Awaitable[int]], balance: Callable[[], Awaitable[int]], say: Callable[[str], None]
) -> None:
    """Do the job, and see that the ledger moved by as many credits as it says it cost."""
    before = await balance()
    used = await job()
    after = await _below(before, balance)
    say(f"\n  balance in the ledger: {before:,} before, {after:,} after (used: {used})\n")
    if before - after != used:
        raise ChildFailedError(f"it cost {used}, but the ledger moved by {before - after}")


async def _answer(
    demo: Mapping[str, str], method: str, path: str, key: str, *, status: int, say: Callable[[str], None],
    body: object = None,
) -> Any:  # fmt: skip
    started = time.monotonic()
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, headers={"X-API-Key": demo[key]}) as session,
        session.request(method, demo["FANGATE_URL"] + path, json=body) as answer,
    ):
        text = await answer.text()
    if answer.status != status:
        raise ChildFailedError(f"the demo's {method} {path} was answered {answer.status}: {text[:1000]}")
    say(f"  {status} in {(time.monotonic() - started) * 1000:.0f} ms")
    return json.loads(text)


async def _below(before: int, balance: Callable[[], Awaitable[int]]) -> int:
    """The balance once the debit is posted: usage travels over the bus and is posted in batches."""
    end = time.monotonic() + _POSTED_SECONDS_MAX
    after = before
    while after >= before and time.monotonic() < end:
        await asyncio.sleep(0.1)
        after = await balance()
    return after

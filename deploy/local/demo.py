"""The main job before your eyes: one proxied, paid call with its `_meta`, and the balance before and after."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import aiohttp

from deploy.local.children import ChildFailedError

_SHOWN_CHARACTERS: Final = 400  # of `data`: enough to recognise it
_POSTED_SECONDS_MAX: Final = 10.0  # a debit is in the ledger within 5 s of the answer
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0)


async def show(demo: Mapping[str, str], balance: Callable[[], Awaitable[int]], say: Callable[[str], None]) -> None:
    """Make the call and print it. Raises ChildFailedError if it is not answered 200, or not paid in time."""
    before = await balance()
    path = f"/api/models/{demo['FANGATE_MODEL_ID']}/chats?size=2"
    say(f'\n  curl -H "X-API-Key: $FANGATE_API_KEY" "$FANGATE_URL{path}"\n')
    started = time.monotonic()
    status, body = await _get(demo["FANGATE_URL"] + path, demo["FANGATE_API_KEY"])
    took_ms = (time.monotonic() - started) * 1000
    if status != 200:
        raise ChildFailedError(f"the demo call was answered {status}: {body[:1000]}")
    answer = json.loads(body)
    data = json.dumps(answer["data"], ensure_ascii=False)
    say(f"  {status} in {took_ms:.0f} ms")
    say(f"  data   {data[:_SHOWN_CHARACTERS]}{' …' if len(data) > _SHOWN_CHARACTERS else ''}")
    say(f"  _meta  {json.dumps(answer['_meta'])}")
    after = await _below(before, balance)
    used = answer["_meta"]["_credits"]["used"]
    say(f"\n  balance in the ledger: {before:,} before, {after:,} after (used: {used})\n")
    if before - after != used:
        raise ChildFailedError(f"the call cost {used}, but the ledger moved by {before - after}")


async def _get(url: str, key: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, headers={"X-API-Key": key}) as session,
        session.get(url) as answer,
    ):
        return answer.status, await answer.text()


async def _below(before: int, balance: Callable[[], Awaitable[int]]) -> int:
    """The balance once the debit is posted: usage travels over the bus and is posted in batches."""
    end = time.monotonic() + _POSTED_SECONDS_MAX
    after = before
    while after >= before and time.monotonic() < end:
        await asyncio.sleep(0.1)
        after = await balance()
    return after

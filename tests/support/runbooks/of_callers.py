"""Entries about platforms and callers."""

import asyncio
from typing import Final

import aiohttp

from libs.common.ids import new_key
from tests.support.runbooks.drill import Drill
from tests.support.runbooks.left_open import end_left_open, leave_open
from tests.support.runbooks.looking import line_of, nothing, ready_in
from tests.support.runbooks.room import Room


async def platform_fails(room: Room) -> None:
    async with aiohttp.ClientSession(room.stack.sandbox_url) as session:
        async with session.post("/_control/faults", json={"status": 500}) as answer:
            assert answer.status == 201


async def platform_works(room: Room) -> None:
    async with aiohttp.ClientSession(room.stack.sandbox_url) as session, session.delete("/_control/faults") as answer:
        assert answer.status == 204


async def see_platform(room: Room) -> str:
    return f"a second, by outcome: {await room.figure('sum by (outcome) (rate(fangate_upstream_duration_seconds_count[1m])) > 0')}"


async def sessions_overdue(room: Room) -> None:
    """Sessions that should have been renewed, and that nobody takes up."""
    await room.owner(
        "UPDATE sessions.models SET refresh_due_at = now() - interval '1 day', claimed_until = now() + interval '1 hour'"
        " WHERE state = 'connected'"
    )


async def sessions_renewed(room: Room) -> None:
    await room.owner("UPDATE sessions.models SET claimed_until = NULL")
    await asyncio.sleep(20)


async def see_overdue(room: Room) -> str:
    return f"fangate_session_refreshes_overdue {await room.figure('max(fangate_session_refreshes_overdue)')}; fangate_session_refresh_total {await room.figure('sum by (outcome) (fangate_session_refresh_total)')}; in sessions.jobs {await room.figure(ready_in('sessions.jobs'))}"


async def keys_guessed(room: Room) -> None:
    """Ten unknown keys block an address; twelve addresses guess."""
    for number in range(2, 14):
        connector = aiohttp.TCPConnector(local_addr=(f"127.0.0.{number}", 0))
        async with aiohttp.ClientSession(room.stack.url, connector=connector) as guesser:
            for _ in range(11):
                async with guesser.get("/api/whoami", headers={"X-API-Key": new_key("fgk_")}) as answer:
                    room.notes["guess"] = answer.status


async def see_guesses(room: Room) -> str:
    outcomes = 'sum by (outcome) (increase(fangate_auth_total{outcome!="ok"}[10m])) > 0'
    return f"the guesser's last answer {room.notes['guess']}; fangate_auth_total {await room.figure(outcomes)}; a good key from the same address reads {await room.call('/api/whoami')}"


async def waits_ignored(room: Room) -> None:
    slow = await room.stack.an_organization(credits=100, per_minute=1)
    room.notes["slow"] = slow
    async with aiohttp.ClientSession(room.stack.url, headers={"X-API-Key": slow.key}) as caller:
        for _ in range(330):
            async with caller.get(f"/api/models/{slow.model_id}/chats") as answer:
                room.notes["last"] = answer.status


async def see_ignored(room: Room) -> str:
    line = room.logged("edge", "a key ignores Retry-After")
    spent = await room.call("/api/usage?by=key", key=room.notes["slow"].key)
    return f"its last answer {room.notes['last']}; log: {line_of(line, 'event', 'key_id', 'org_id')}; `GET /api/usage?by=key` {spent}"


async def key_revoked(room: Room) -> None:
    line = room.logged("edge", "a key ignores Retry-After")
    await room.stack.cli("auth", "key", "revoke", line["key_id"])
    room.notes["said"] = f"the key then reads {await room.call('/api/whoami', key=room.notes['slow'].key)}"


async def many_refusals(room: Room) -> None:
    """Two keys, each as often as its window lets it."""
    room.notes["enough"] = asyncio.Event()
    keys = [tenant.organization for tenant in room.campaign.tenants if not tenant.is_scarce]
    refused = (_refused_for_a_while(room, each.limited_key, each.model_id) for each in keys)
    room.notes["refusing"] = [asyncio.create_task(each) for each in refused]


async def _refused_for_a_while(room: Room, key: str, model: str) -> None:
    async with aiohttp.ClientSession(room.stack.url, headers={"X-API-Key": key}) as caller:
        while not room.notes["enough"].is_set():
            async with caller.post(f"/api/models/{model}/chats/1001/messages", json={"text": "x"}) as answer:
                if answer.status == 429:
                    await asyncio.sleep(1.0)


async def see_refusals(room: Room) -> str:
    line = room.logged("edge", "request", code="PERMISSION_DENIED")
    return f"a second: {await room.figure('sum by (code) (rate(fangate_refusals_total[1m])) > 0.5')}; log: {line_of(line, 'code', 'route', 'key_id')}"


async def refusals_end(room: Room) -> None:
    room.notes["enough"].set()
    await asyncio.gather(*room.notes["refusing"])


async def webhooks_late(room: Room) -> None:
    """A transaction that somebody left open holds what is to be sent: whoever would deliver passes it by."""
    made = await room.ask("POST", "/api/webhooks", url=f"http://{room.receiver}/")
    webhook_id = made["data"]["webhook"]["webhook_id"]
    await room.ask("POST", f"/api/webhooks/{webhook_id}/test")
    await asyncio.sleep(2)  # nobody listens: it is due again in a while
    await leave_open(room, f"BEGIN; SELECT FROM auth.webhook_lines WHERE webhook_id = '{webhook_id}' FOR UPDATE")


async def see_webhooks(room: Room) -> str:
    rows = await room.owner(
        "SELECT state, left(query, 60) AS query FROM pg_stat_activity WHERE state = 'idle in transaction' LIMIT 1"
    )
    held = f"{rows[0]['state']}: «{rows[0]['query']}»" if rows else "nobody is idle in a transaction"
    return f"fangate_webhook_oldest_seconds {await room.figure('max(fangate_webhook_oldest_seconds)')}; deliveries by outcome: {await room.figure('sum by (outcome) (fangate_webhook_deliveries_total) > 0')}; pg_stat_activity: {held}"


# In this order: those that need the database to have lived come after those that crash it.


OF_CALLERS: Final = (
    Drill(entry="FangatePlatformFails", caused_by="the sandbox answers 500", cause=platform_fails, look=see_platform, done="waited", safe=platform_works, window="5 min"),
    Drill(entry="FangateSessionsOverdue", caused_by="renewals due a day ago and claimed by nobody who lives", cause=sessions_overdue, look=see_overdue, done="claims ended; renewed by themselves", safe=sessions_renewed),
    Drill(entry="FangateSessions", alert="FangateSessionsBurns", caused_by="the same", cause=sessions_overdue, look=see_overdue, done="claims ended; renewed by themselves", safe=sessions_renewed, window="5 min and 1 h"),
    Drill(entry="FangateKeyMisused", caused_by="330 calls of a key that was told to wait", cause=waits_ignored, look=see_ignored, done="`key revoke`", safe=key_revoked, window="1 h"),
    Drill(entry="FangateRefusalsMany", caused_by="two keys try a right that they have not, again and again", cause=many_refusals, look=see_refusals, done="nothing: nothing is given, and their windows are used up", safe=refusals_end, window="10 min", fires_within_s=420.0),
    Drill(entry="FangateKeysGuessed", caused_by="unknown keys from twelve addresses", cause=keys_guessed, look=see_guesses, done="nothing: blocked", safe=nothing, window="30 min"),
    Drill(entry="FangateWebhooksLate", caused_by="a transaction left open on what is to be sent", cause=webhooks_late, look=see_webhooks, done="ended by its pid", safe=end_left_open, fires_within_s=300.0),
)  # fmt: skip

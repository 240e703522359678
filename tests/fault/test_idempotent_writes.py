"""SIGKILL in the middle of a paid message under an `Idempotency-Key`: the client repeats it until somebody answers, and it is never
sent, nor paid, a second time.
"""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import asyncpg
import pytest

from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack

SENDING_MS = 1_500  # the platform takes its time after the message is out
PRICE = 2

_CLAIMED = "SELECT count(*) FROM edge.idempotency WHERE org_id = $1 AND status IS NULL"
# The claim of a dead edge runs out after 40 s: a test does not wait for it.
_RUN_OUT = "UPDATE edge.idempotency SET claimed_until = now() WHERE org_id = $1 AND status IS NULL"
_HOLD = "SELECT FROM edge.idempotency WHERE org_id = $1 FOR UPDATE"
_PAID = "SELECT count(*) FROM billing.transfers WHERE org_id = $1 AND code = 10"
# The server would carry out a waiting statement of a client that is dead.
_FORGET_WHAT_WAITS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'edge_app'"
_PUT_ASIDE = "SELECT count(*) FROM billing.post_errors"


class Message:
    """One message of one organization, under one key."""

    def __init__(self, stack: Stack, organization: Organization) -> None:
        self.stack, self.organization = stack, organization
        self.text = f"once {uuid.uuid4().hex}"

    async def send(self) -> Answer | None:
        """The answer; None if the connection died with the edge."""
        path = f"/api/models/{self.organization.model_id}/chats/1001/messages"
        body = json.dumps({"text": self.text}).encode()
        async with GatewayClient(self.stack.url, self.organization.key) as client:
            try:
                return await client.call("POST", path, body=body, headers={"Idempotency-Key": self.text})
            except aiohttp.ClientError:
                return None

    async def is_out(self) -> bool:
        return await self.stack.delivered(self.text) > 0

    async def repeated(self) -> Answer:
        """What a client gets who repeats the message until it is answered for good."""
        async with asyncio.timeout(60):
            while True:
                answer = await self.send()
                if answer is not None and answer.status not in {409, 503}:
                    return answer
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def books(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        yield connection
    finally:
        await connection.close()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await is_so():
            await asyncio.sleep(0.02)


async def _is_paid(hands: asyncpg.Connection, org_id: uuid.UUID) -> bool:
    return bool(await hands.fetchval(_PAID, org_id))


@pytest.fixture
async def message(stack: Stack) -> Message:
    await stack.until_ready()
    return Message(stack, await stack.an_organization(credits=1_000))


async def check_once(message: Message, answer: Answer) -> None:
    """Sent once, paid once if and only if it is shown, and nothing in the books that has two meanings."""
    stack, organization = message.stack, message.organization
    assert await stack.delivered(message.text) == 1
    again = await message.send()
    assert again is not None
    assert (again.status, again.body) == (answer.status, answer.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    paid = PRICE if answer.status < 300 else 0
    assert await stack.debits(organization, at_least=paid) == paid
    assert await stack.delivered(message.text) == 1
    assert await stack.ledger_is_sound(organization)


async def test_the_edge_killed_between_the_platforms_answer_and_the_kept_answer(message: Message) -> None:
    stack, org_id = message.stack, uuid.UUID(message.organization.org_id)
    async with books(stack) as hands:
        put_aside = await hands.fetchval(_PUT_ASIDE)
        async with stack.fault(message.organization, route="messages_send", delay_ms=SENDING_MS):
            first = asyncio.create_task(message.send())
            await until(message.is_out)
            # given an edge that cannot keep its answer, because somebody holds the row
            holding = hands.transaction()
            await holding.start()
            await hands.execute(_HOLD, org_id)
            # when the call is recorded and paid, and the edge is killed before the answer is kept
            await until(lambda: _is_paid(hands, org_id))
            await stack.kill("edge")
            await hands.execute(_FORGET_WHAT_WAITS)
            await holding.rollback()
            assert await first is None
        assert await hands.fetchval(_CLAIMED, org_id) == 1
        await stack.until_ready()
        in_progress = await message.send()
        await hands.execute(_RUN_OUT, org_id)
        answer = await message.repeated()
        assert await hands.fetchval(_PUT_ASIDE) == put_aside
    assert in_progress is not None
    assert in_progress.status == 409
    assert answer.status in {200, 201}, "the fence of sessions knows the platform's answer"
    await check_once(message, answer)


async def test_the_edge_killed_while_the_platform_is_at_work(message: Message) -> None:
    stack, org_id = message.stack, uuid.UUID(message.organization.org_id)
    async with stack.fault(message.organization, route="messages_send", delay_ms=SENDING_MS):
        first = asyncio.create_task(message.send())
        await until(message.is_out)
        await stack.kill("edge")
        assert await first is None
        await asyncio.sleep(SENDING_MS / 1_000)
    await stack.until_ready()
    async with books(stack) as hands:
        await hands.execute(_RUN_OUT, org_id)
    answer = await message.repeated()
    assert answer.status in {200, 201}
    await check_once(message, answer)


async def test_edge_and_sessions_killed_while_the_platform_is_at_work(message: Message) -> None:
    stack, org_id = message.stack, uuid.UUID(message.organization.org_id)
    async with stack.fault(message.organization, route="messages_send", delay_ms=SENDING_MS):
        first = asyncio.create_task(message.send())
        await until(message.is_out)
        await stack.kill("sessions")
        await stack.kill("edge")
        assert await first is None
    await stack.until_ready()
    async with books(stack) as hands:
        await hands.execute(_RUN_OUT, org_id)
    answer = await message.repeated()
    assert (answer.status, answer.json["code"]) == (504, "OUTCOME_UNKNOWN"), "nobody alive knows, and it is said so"
    await check_once(message, answer)


async def test_sessions_killed_while_the_platform_is_at_work(message: Message) -> None:
    """The broker delivers the call again, under the same id, to the process that takes its place."""
    stack = message.stack
    async with stack.fault(message.organization, route="messages_send", delay_ms=SENDING_MS):
        first = asyncio.create_task(message.send())
        await until(message.is_out)
        await stack.kill("sessions")
        answer = await first
    assert answer is not None
    assert (answer.status, answer.json["code"]) == (504, "OUTCOME_UNKNOWN")
    await stack.until_ready()
    await check_once(message, answer)

"""Writes that must never run twice: redelivered, killed in the middle, forgotten."""

import asyncio
import signal
import time

import pytest

from libs.common.bus import Bus
from libs.common.contracts.sessions import Proxied, Proxy
from libs.common.db.pool import Database
from libs.common.errors import RpcError
from libs.common.ids import uuid7
from tests.support.sandbox import Sandbox
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import Operator, running_service
from tests.support.sessions import Sessions
from tests.support.sessions_process import environment


async def test_a_redelivery_gets_the_recorded_answer_and_no_second_call(sessions: Sessions) -> None:
    model = await sessions.connect()
    call_id = uuid7()
    first = await sessions.send(model.model_id, call_id=call_id)
    second = await sessions.send(model.model_id, call_id=call_id)
    assert second == first
    assert sessions.sandbox.world.calls.by_route["messages_send"] == 1
    row = await sessions.fence(call_id)
    assert row is not None
    assert (row["state"], row["outcome"]["status"], row["body"]) == ("finished", 201, first[1])


async def test_a_redelivery_gets_the_recorded_error_too(sessions: Sessions) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="messages_send", drop="after", times=1)
    call_id = uuid7()
    for _ in range(2):
        with pytest.raises(RpcError) as unknown:
            await sessions.send(model.model_id, call_id=call_id)
        assert unknown.value.code == "OUTCOME_UNKNOWN"
    assert sessions.sandbox.delivered("messages_send") == 1


async def test_two_deliveries_at_once_make_one_call(sessions: Sessions) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="messages_send", delay_ms=300)
    call_id = uuid7()
    answers = await asyncio.gather(
        *(sessions.send(model.model_id, call_id=call_id) for _ in range(5)), return_exceptions=True
    )
    assert sessions.sandbox.delivered("messages_send") == 1
    assert sum(isinstance(answer, tuple) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, RpcError)} == {"OUTCOME_UNKNOWN"}


async def test_a_call_that_was_started_and_not_finished_is_never_made(sessions: Sessions) -> None:
    model = await sessions.connect()
    call_id = uuid7()
    await sessions.on.calls.start(call_id, sessions.org_id, model.model_id, "messages_send")
    with pytest.raises(RpcError) as unknown:
        await sessions.send(model.model_id, call_id=call_id)
    assert unknown.value.code == "OUTCOME_UNKNOWN"
    assert sessions.sandbox.world.calls.by_route["messages_send"] == 0


async def test_the_sweeper_closes_what_nobody_finished(sessions: Sessions) -> None:
    model = await sessions.connect()
    old, young = uuid7(), uuid7()
    for call_id in (old, young):
        await sessions.on.calls.start(call_id, sessions.org_id, model.model_id, "messages_send")
    await sessions.db.execute(
        "UPDATE upstream_calls SET started_at = now() - interval '11 minutes' WHERE call_id = $1", old
    )
    assert list(await sessions.on.calls.close_old_calls()) == [1, 0, 0]
    closed = await sessions.fence(old)
    assert closed is not None
    assert closed["state"] == "unknown"
    await sessions.db.execute("UPDATE upstream_calls SET started_at = now() - interval '31 days'")
    assert (await sessions.on.calls.close_old_calls())[2] == 2


async def test_reads_leave_no_row(sessions: Sessions) -> None:
    model = await sessions.connect()
    await sessions.call(model.model_id, "chats_list")
    assert await sessions.db.fetchval("SELECT count(*) FROM upstream_calls") == 0


async def test_a_call_killed_after_started_is_never_sent_twice(
    database: TestDatabase, broker: TestBroker, sandbox: Sandbox
) -> None:
    env, org_id = environment(database, broker, sandbox), uuid7()
    edge = await Bus.connect(broker.url("edge"), service="edge")
    db = await Database.connect(database.dsn("sessions"), schema="sessions", name="test", size_max=2)
    try:
        async with running_service("sessions", env) as first:
            connect = f"model connect --org {org_id} --provider sandbox --label one --email demo@sandbox.test"
            model = await Operator("sessions", env)(f"{connect} --password-stdin", "sandbox-demo-password\n")
            sandbox.fault(route="messages_send", delay_ms=20_000)
            call = Proxy(
                call_id=uuid7(), org_id=org_id, model_id=model["model_id"], route="messages_send",
                path_params={"fan_id": "1001"},
            )  # fmt: skip
            deadline_ms = int(1000 * (time.time() + 25))
            answer = asyncio.create_task(
                edge.call(call, org_id=org_id, deadline_ms=deadline_ms, blob=b'{"text":"once"}')
            )
            async with asyncio.timeout(10):
                while not sandbox.delivered("messages_send"):
                    await asyncio.sleep(0.02)
            assert await first.end(signal.SIGKILL) == -signal.SIGKILL
        # when another process gets the message again
        async with running_service("sessions", env):
            with pytest.raises(RpcError) as unknown:
                await answer
        assert unknown.value.code == "OUTCOME_UNKNOWN"
        assert sandbox.delivered("messages_send") == 1
        assert await db.fetchval("SELECT state FROM upstream_calls") == "started"
    finally:
        await edge.close()
        await db.close()


async def test_a_drain_finishes_the_call_under_way(
    database: TestDatabase, broker: TestBroker, sandbox: Sandbox
) -> None:
    env, org_id = environment(database, broker, sandbox), uuid7()
    edge = await Bus.connect(broker.url("edge"), service="edge")
    try:
        async with running_service("sessions", env) as process:
            connect = f"model connect --org {org_id} --provider sandbox --label one --email demo@sandbox.test"
            model = await Operator("sessions", env)(f"{connect} --password-stdin", "sandbox-demo-password\n")
            sandbox.fault(route="chats_list", delay_ms=1_000)
            call = Proxy(call_id=uuid7(), org_id=org_id, model_id=model["model_id"], route="chats_list")
            answer = asyncio.create_task(edge.call(call, org_id=org_id, deadline_ms=int(1000 * (time.time() + 10))))
            async with asyncio.timeout(10):
                while not sandbox.world.calls.by_route["chats_list"]:
                    await asyncio.sleep(0.02)
            assert await process.end() == 0
        reply, _ = await answer
        assert isinstance(reply, Proxied)
        assert reply.status == 200
    finally:
        await edge.close()

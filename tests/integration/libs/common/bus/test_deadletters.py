"""The operator's tool for dead letters, as it is called."""

import asyncio
import json
import os
import sys
from typing import Any

from libs.common.bus import jobs
from libs.common.contracts import sessions
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.wire import encode
from libs.common.errors import Permanent
from libs.common.ids import uuid7
from tests.support.bus import ORG, RabbitWorld, a_connect, eventually
from tests.support.servers import TestBroker


async def tool(broker: TestBroker, *arguments: str) -> list[dict[str, Any]]:
    """Call it; returns its lines. Asserts that it succeeded."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.common.bus.deadletters", *arguments, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "FANGATE_AMQP_URL_OPERATOR": broker.url("operator")},
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


async def test_letters_are_listed_replayed_and_dropped(broker: TestBroker) -> None:
    # given three letters of two types, of a handler that is then mended
    world = RabbitWorld(broker)
    bus = await world.bus("sessions")
    is_mended = False
    done: list[tuple[Message, Context]] = []

    async def handle(message: Message, context: Context) -> None:
        if not is_mended:
            raise Permanent(f"no table {type(message).__name__}")
        done.append((message, context))

    await bus.start(
        [jobs("sessions.jobs", prefetch=8, workers=8).on(sessions.ConnectModel, sessions.RefreshModel, handle)]
    )
    first, second = (encode(a_connect(), org_id=ORG) for _ in range(2))
    other = encode(sessions.RefreshModel(org_id=ORG, model_id=uuid7()), org_id=uuid7())
    for one in (first, second, other):
        await bus.publisher.publish(one)
    await eventually(lambda: _holds(world, "sessions.jobs.dead", 3))
    is_mended = True

    # looking changes nothing
    listed = await tool(broker, "list", "sessions.jobs")
    assert {line["id"] for line in listed} == {str(one.message_id) for one in (first, second, other)}
    assert {line["dead-reason"] for line in listed} == {"permanent"}
    assert all("body" not in line for line in listed)
    [shown] = await tool(broker, "show", "sessions.jobs", "--type", "sessions.job.refresh.v1")
    assert json.loads(shown["body"]) == json.loads(other.body)
    assert len(await tool(broker, "replay", "sessions.jobs", "--dry-run", "--org", str(ORG))) == 2
    assert await world.depth("sessions.jobs.dead") == 3

    # replay takes what is meant: under its own id, as a first attempt, without the obituary
    replayed = await tool(broker, "replay", "sessions.jobs", "--org", str(ORG), "--limit", "1", "--by", "ana")
    assert len(replayed) == 1
    await eventually(lambda: len(done) == 1)
    assert str(done[0][1].message_id) == replayed[0]["id"]
    assert (done[0][1].attempt, done[0][1].sender) == (1, "operator")
    renamed = await tool(broker, "replay", "sessions.jobs", "--org", str(ORG), "--new-id")
    await eventually(lambda: len(done) == 2)
    assert str(done[1][1].message_id) != renamed[0]["id"]

    # drop ends it
    assert len(await tool(broker, "drop", "sessions.jobs", "--error", "no table Refresh")) == 1
    assert await world.depth("sessions.jobs.dead") == 0
    await world.close()


async def test_a_wrong_url_is_one_line_and_code_2() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.common.bus.deadletters", "list", "sessions.jobs", stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")},
    )  # fmt: skip
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert errors.decode().strip() == "FANGATE_AMQP_URL is not set (service operator)"


async def _holds(world: RabbitWorld, queue: str, count: int) -> bool:
    return await world.depth(queue) == count

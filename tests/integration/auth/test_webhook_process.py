"""Webhooks by processes of auth: killed in the middle of a delivery, drained, announced by the operator; and the rpc's secrets."""

import asyncio
import json
import signal
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from libs.common.bus import Bus
from libs.common.contracts import webhooks
from libs.common.contracts.auth import Actor
from libs.common.contracts.envelope import Message
from libs.common.contracts.sessions import ModelReconnected, ModelSyncLost
from libs.common.contracts.wire import encode
from libs.common.db.pool import Database
from libs.common.errors import RpcError
from services.edge.domain.reply_key import reply_key
from tests.support.servers import TestBroker
from tests.support.service_process import Operator, ServiceProcess, running_service
from tests.support.webhooks import Receiver, a_receiver, is_signed

TOKEN = "the edge's own token of one request"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as made:
        yield made


@pytest.fixture
def env_with_receiver(env: dict[str, str], receiver: Receiver) -> dict[str, str]:
    return env | {"FANGATE_WEBHOOK_LOCAL_RECEIVERS": f"127.0.0.1:{receiver.port}"}


@pytest.fixture
async def sessions(broker: TestBroker) -> AsyncIterator[Bus]:
    """The place of sessions on the bus."""
    bus = await Bus.connect(broker.url("sessions"), service="sessions")
    yield bus
    await bus.close()


async def ask(edge: Bus, command: Message) -> Any:
    reply, _ = await edge.call(command, org_id=None, deadline_ms=int(time.time() * 1000) + 10_000)
    return reply


async def an_endpoint(edge: Bus, org_id: str, url: str) -> tuple[uuid.UUID, str]:
    """A new endpoint, and its secret as the edge opens it."""
    command = webhooks.CreateWebhook(
        org_id=uuid.UUID(org_id), by=Actor(), url=url, reply_key=reply_key(TOKEN).public
    )  # fmt: skip
    reply = cast(webhooks.WebhookSecret, await ask(edge, command))
    assert b"whsec" not in reply.sealed
    webhook_id = reply.webhook.webhook_id
    return webhook_id, reply_key(TOKEN).open(reply.sealed, bound_to=webhook_id.bytes).decode()


async def say(bus: Bus, message: Message, org_id: str) -> None:
    await bus.publisher.publish(encode(message, org_id=uuid.UUID(org_id)))


async def test_an_auth_that_is_killed_in_the_middle_loses_nothing_and_sends_it_again_under_the_same_id(
    env_with_receiver: dict[str, str], operator: Operator, edge: Bus, sessions: Bus, receiver: Receiver, owner: Database
) -> None:
    org_id = (await operator("org create --name Example"))["org_id"]
    receiver.hold = asyncio.Event()
    model_id = uuid.uuid4()
    # given an auth that has sent a webhook and waits for the receiver, and a second event behind it
    first = await ServiceProcess.start("auth", env_with_receiver)
    await first.until_ready()
    _, secret = await an_endpoint(edge, org_id, receiver.url)
    await say(sessions, ModelSyncLost(org_id=uuid.UUID(org_id), model_id=model_id, version=1), org_id)
    await receiver.until(1)
    await say(sessions, ModelReconnected(org_id=uuid.UUID(org_id), model_id=model_id, version=2), org_id)
    async with asyncio.timeout(20):
        while await owner.fetchval("SELECT count(*) FROM auth.webhook_deliveries") < 2:
            await asyncio.sleep(0.05)
    # when it is killed
    await first.end(signal.SIGKILL)
    receiver.hold.set()
    receiver.hold = None
    # its claim ends by itself after half a minute: let it be over
    await owner.execute("UPDATE auth.webhook_lines SET claimed_until = now() - interval '1 second'")
    async with running_service("auth", env_with_receiver) as second:
        got = await receiver.until(3)
    # then the same event came again under the same id, and the second behind it
    assert got[0].id == got[1].id
    assert [each.json["data"]["version"] for each in got] == [1, 1, 2]
    assert all(is_signed(each, secret) for each in got)
    assert got[2].id != got[0].id
    for process in (first, second):
        assert not any("whsec" in line or secret[6:] in line for line in process.lines)


async def test_a_process_that_is_drained_finishes_what_it_sends(
    env_with_receiver: dict[str, str], operator: Operator, edge: Bus, sessions: Bus, receiver: Receiver, owner: Database
) -> None:
    org_id = (await operator("org create --name Example"))["org_id"]
    receiver.hold = asyncio.Event()
    process = await ServiceProcess.start("auth", env_with_receiver)
    await process.until_ready()
    await an_endpoint(edge, org_id, receiver.url)
    await say(sessions, ModelSyncLost(org_id=uuid.UUID(org_id), model_id=uuid.uuid4(), version=1), org_id)
    await receiver.until(1)
    ending = asyncio.create_task(process.end(signal.SIGTERM))
    receiver.hold.set()
    assert await ending == 0
    assert await owner.fetchval("SELECT state FROM auth.webhook_deliveries") == "delivered"
    assert await owner.fetchval("SELECT count(*) FROM auth.webhook_lines") == 0


async def test_R179_an_announcement_reaches_every_organization_and_can_be_read(
    env_with_receiver: dict[str, str], operator: Operator, edge: Bus, receiver: Receiver
) -> None:
    async with running_service("auth", env_with_receiver):
        secrets = {}
        for path in ("one", "two"):
            org_id = (await operator("org create --name Example"))["org_id"]
            _, secrets[f"/{path}"] = await an_endpoint(edge, org_id, f"http://127.0.0.1:{receiver.port}/{path}")
        words = ["announcement", "make", "--subject", "api", "--title", "A new version", "--text", "Look & see."]
        status, out, err = await operator.run(
            [*words, "--effective", "2027-01-15", "--url", "https://example.com/news"]
        )
        assert status == 0, err
        announcement_id = json.loads(out)["announcement_id"]
        got = await receiver.until(2)
        assert {each.path for each in got} == {"/one", "/two"}
        for each in got:
            assert is_signed(each, secrets[each.path])
            assert each.type == "auth.announcement.made"
            assert each.json["data"] == {
                "announcement_id": announcement_id, "subject": "api", "effective_at": "2027-01-15T00:00:00Z",
            }  # fmt: skip
        page = cast(webhooks.Announcements, await ask(edge, webhooks.ListAnnouncements(limit=1)))
        assert (page.announcements[0].title, page.announcements[0].text) == ("A new version", "Look & see.")
        assert page.announcements[0].effective_at == datetime(2027, 1, 15, tzinfo=UTC)
        assert page.next is None
        assert (await operator("announcement list"))["announcements"][0]["url"] == "https://example.com/news"
    status, _, err = await operator.run([*words[:-1], " "])
    assert (status, "a text 1 to 5000" in err) == (2, True)


async def test_secrets_are_rewrapped_under_another_key(
    env_with_receiver: dict[str, str], operator: Operator, edge: Bus, receiver: Receiver
) -> None:
    org_id = (await operator("org create --name Example"))["org_id"]
    async with running_service("auth", env_with_receiver):
        webhook_id, secret = await an_endpoint(edge, org_id, receiver.url)
    old = env_with_receiver["FANGATE_WEBHOOK_KEYS"]
    both = Operator("auth", operator.env | {"FANGATE_WEBHOOK_KEYS": f"w2:{'44' * 32},{old}"})
    assert await both("webhook rewrap") == {"rewrapped": 1}
    assert await both("webhook rewrap") == {"rewrapped": 0}
    alone = env_with_receiver | {"FANGATE_WEBHOOK_KEYS": f"w2:{'44' * 32}"}
    async with running_service("auth", alone):
        await ask(edge, webhooks.TestWebhook(org_id=uuid.UUID(org_id), by=Actor(), webhook_id=webhook_id))
        (got,) = await receiver.until(1)
    assert is_signed(got, secret)


async def test_a_sealed_secret_opens_for_the_request_that_asked_and_no_other(
    env_with_receiver: dict[str, str], operator: Operator, edge: Bus, receiver: Receiver
) -> None:
    org_id = (await operator("org create --name Example"))["org_id"]
    async with running_service("auth", env_with_receiver):
        webhook_id, _ = await an_endpoint(edge, org_id, receiver.url)
        command = webhooks.RotateWebhookSecret(
            org_id=uuid.UUID(org_id), by=Actor(), webhook_id=webhook_id, reply_key=reply_key("one").public
        )
        reply = cast(webhooks.WebhookSecret, await ask(edge, command))
        assert reply_key("one").open(reply.sealed, bound_to=webhook_id.bytes).startswith(b"whsec_")
        with pytest.raises(Exception, match="changed"):
            reply_key("two").open(reply.sealed, bound_to=webhook_id.bytes)
        with pytest.raises(Exception, match="changed"):
            reply_key("one").open(reply.sealed, bound_to=uuid.uuid4().bytes)
        with pytest.raises(RpcError) as caught:
            await an_endpoint(edge, org_id, "http://127.0.0.1:1/")
        assert caught.value.code == "INVALID_REQUEST"

"""Webhooks through the whole system: made by an API call, told of what happens in other services, signed, listed, sent again."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack
from tests.support.webhooks import Got, Receiver, a_receiver, is_signed


@pytest.fixture
async def receiver(stack: Stack) -> AsyncIterator[Receiver]:
    port = int(stack.env["FANGATE_WEBHOOK_LOCAL_RECEIVERS"].rpartition(":")[2])
    async with a_receiver(port=port) as made:
        yield made


@pytest.fixture
async def tenant(stack: Stack) -> Organization:
    return await stack.an_organization(credits=50)


async def ask(client: GatewayClient, method: str, path: str, body: Any = None) -> Answer:
    return await client.call(method, f"/api{path}", body=None if body is None else json.dumps(body).encode())


async def a_webhook(client: GatewayClient, url: str, *types: str) -> tuple[str, str]:
    answer = await ask(client, "POST", "/webhooks", {"url": url, "event_types": list(types)})
    assert answer.status == 201, answer.body
    return answer.json["data"]["webhook"]["webhook_id"], answer.json["data"]["secret"]


async def of_type(receiver: Receiver, type_: str) -> Got:
    """The first of its type; others may come before it."""
    async with asyncio.timeout(60):
        while True:
            for got in receiver.got:
                if got.type == type_:
                    return got
            receiver.came.clear()
            await receiver.came.wait()


async def test_a_submitted_batch_arrives_signed(stack: Stack, tenant: Organization, receiver: Receiver) -> None:
    async with GatewayClient(stack.url, tenant.key) as client:
        _, secret = await a_webhook(client, receiver.url, "takedowns.batch.accepted", "takedowns.url.changed")
        link = {"platform": "onlyfans", "handle": "lunavale"}
        creator = {"stage_name": "Luna Vale", "email": f"{uuid.uuid4().hex}@example.com", "official_links": [link]}
        answer = await ask(client, "POST", "/platforms/submit-creators", {"creators": [creator]})
        assert answer.status == 201, answer.body
        creator_id = (await ask(client, "GET", "/platforms/creators")).json["creators"][0]["id"]
        urls = [f"https://t.me/leaks/{number}" for number in range(3)]
        answer = await ask(
            client, "POST", "/platforms/submit-urls", {"groups": [{"creator_id": creator_id, "urls": urls}]}
        )
        assert answer.status == 201, answer.body
    accepted = await of_type(receiver, "takedowns.batch.accepted")
    assert is_signed(accepted, secret)
    assert accepted.json["data"] == {
        "org_id": tenant.org_id, "batch_id": answer.json["batchId"], "state": "accepted", "url_count": 3, "new": 3,
        "duplicate": 0, "invalid": 0, "failed": 0,
    }  # fmt: skip
    changed = await of_type(receiver, "takedowns.url.changed")
    assert is_signed(changed, secret)
    assert changed.json["data"]["creator_id"] == creator_id
    assert all(b"t.me" not in got.body and b"Luna" not in got.body for got in receiver.got)


async def test_a_model_that_loses_its_session_and_finds_it_again_is_told_in_order(
    stack: Stack, tenant: Organization, receiver: Receiver
) -> None:
    async with GatewayClient(stack.url, tenant.key) as client:
        _, secret = await a_webhook(client, receiver.url)
        async with contextlib.AsyncExitStack() as faults:
            for route in ("auth_login", "auth_refresh"):
                await faults.enter_async_context(stack.fault(tenant, route=route, status=401))
            async with aiohttp.ClientSession(stack.sandbox_url) as session:
                await session.post("/_control/expire-sessions", json={"account": int(tenant.account)})
            lost = await client.get(tenant.model_id, "/chats")
            assert (lost.status, lost.json["code"]) == (424, "SYNC_LOST")
            told = await of_type(receiver, "sessions.model.sync_lost")
        await stack.cli("sessions", "model", "refresh", tenant.model_id)
        back = await of_type(receiver, "sessions.model.reconnected")
    assert is_signed(told, secret)
    assert is_signed(back, secret)
    assert (told.json["data"]["model_id"], told.json["data"]["state"]) == (tenant.model_id, "sync_lost")
    assert back.json["data"]["version"] > told.json["data"]["version"]
    order = [got.type for got in receiver.got if got.type.startswith("sessions.model.")]
    assert order.index("sessions.model.sync_lost") < order.index("sessions.model.reconnected")


async def test_a_webhook_from_its_beginning_to_its_end(stack: Stack, tenant: Organization, receiver: Receiver) -> None:
    async with GatewayClient(stack.url, tenant.key) as client:
        # made: the secret is shown once
        webhook_id, old = await a_webhook(client, receiver.url, "auth.key.revoked")
        path = f"/webhooks/{webhook_id}"
        read = await ask(client, "GET", path)
        assert (read.status, read.json["data"]["state"], read.json["data"]["url"]) == (200, "active", receiver.url)
        listed = await ask(client, "GET", "/webhooks")
        assert [each["webhook_id"] for each in listed.json["data"]["webhooks"]] == [webhook_id]
        assert all(b"whsec_" not in answer.body for answer in (read, listed))
        # tested
        answer = await ask(client, "POST", f"{path}/test")
        assert answer.status == 201, answer.body
        assert is_signed(await of_type(receiver, "auth.webhook.tested"), old)
        # a key that is revoked
        key = (await ask(client, "POST", "/keys", {"label": "spare", "role": "read_only"})).json["data"]["key"]
        await ask(client, "DELETE", f"/keys/{key['key_id']}")
        revoked = await of_type(receiver, "auth.key.revoked")
        assert revoked.json["data"] == {"org_id": tenant.org_id, "key_id": key["key_id"], "state": "revoked"}
        # two secrets sign for a while
        answer = await ask(client, "POST", f"{path}/rotate-secret", {"overlap_seconds": 3600})
        new = answer.json["data"]["secret"]
        assert (answer.status, new == old) == (201, False)
        # listed, and sent again under the same id
        page = await stack.until_seen(
            lambda: ask(client, "GET", f"{path}/deliveries?limit=1&state=delivered"),
            lambda data: data["deliveries"] and data["deliveries"][0]["type"] == "auth.key.revoked",
        )
        delivery = page["deliveries"][0]
        assert (delivery["event_id"], delivery["attempts"][0]["status"]) == (revoked.id, 200)
        following = await ask(client, "GET", f"{path}/deliveries?limit=5&before={page['next']}")
        assert [each["type"] for each in following.json["data"]["deliveries"]] == ["auth.webhook.tested"]
        count = len(receiver.got)
        answer = await ask(client, "POST", f"{path}/deliveries/{delivery['delivery_id']}/replay")
        assert answer.status == 201, answer.body
        again = (await receiver.until(count + 1))[-1]
        assert again.id == revoked.id
        assert is_signed(again, old)
        assert is_signed(again, new)
        # switched off and on, and ended
        answer = await ask(client, "PATCH", path, {"state": "disabled", "description": "rests"})
        assert (answer.json["data"]["state"], answer.json["data"]["reason"]) == ("disabled", "asked")
        assert (await ask(client, "POST", f"{path}/test")).status == 409
        assert (await ask(client, "PATCH", path, {"state": "active"})).json["data"]["state"] == "active"
        assert (await ask(client, "DELETE", path)).json["data"]["state"] == "deleted"
        assert (await ask(client, "PATCH", path, {"state": "active"})).status == 404
        # and the audit log names it all, without the path of the URL
        log = (await ask(client, "GET", "/audit-log?limit=20")).json["data"]["entries"]
        done = [entry["action"] for entry in log if entry["object_id"] == webhook_id]
        assert done == [
            "webhook.delete", "webhook.update", "webhook.update", "webhook.replay", "webhook.rotate_secret",
            "webhook.test", "webhook.create",
        ]  # fmt: skip
        assert "/hook" not in json.dumps(log)


async def test_what_is_wrong_or_anothers_is_told_so(stack: Stack, tenant: Organization, receiver: Receiver) -> None:
    async with GatewayClient(stack.url, tenant.key) as client:
        webhook_id, _ = await a_webhook(client, receiver.url)
        for body in (
            {}, {"url": 7}, {"url": "ftp://e.com/"}, {"url": "https://u@e.com/"}, {"url": "http://10.0.0.1/"},
            {"url": "http://127.0.0.1:1/"}, {"url": "https://name.invalid/"}, {"url": "http://169.254.169.254/latest/"},
            {"url": receiver.url, "event_types": ["zoo"]}, {"url": receiver.url, "description": "x" * 201},
        ):  # fmt: skip
            answer = await ask(client, "POST", "/webhooks", body)
            assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST"), (body, answer.body)
        answer = await ask(client, "POST", "/webhooks", {"url": receiver.url, "app_id": str(uuid.uuid4())})
        assert answer.status == 404
        for path, status in (
            ("/webhooks/x", 404), (f"/webhooks/{uuid.uuid4()}", 404), (f"/webhooks/{webhook_id}/deliveries?state=zoo", 400),
            (f"/webhooks/{uuid.uuid4()}/deliveries", 404), ("/announcements?before=x", 400), ("/announcements", 200),
        ):  # fmt: skip
            assert (await ask(client, "GET", path)).status == status, path
        assert (await ask(client, "PATCH", f"/webhooks/{webhook_id}", {})).status == 400
        assert (
            await ask(client, "POST", f"/webhooks/{webhook_id}/rotate-secret", {"overlap_seconds": -1})
        ).status == 400
        # a key that sees one model only does not get all of them by a webhook
        create = (
            "key",
            "create",
            "--org",
            tenant.org_id,
            "--role",
            "owner",
            "--label",
            "one",
            "--model",
            tenant.model_id,
        )
        bound = (await stack.cli("auth", *create))["key"]
    stranger = await stack.an_organization()
    async with GatewayClient(stack.url, bound) as client:
        assert (await ask(client, "POST", "/webhooks", {"url": receiver.url})).json["code"] == "PERMISSION_DENIED"
        answer = await ask(client, "PATCH", f"/webhooks/{webhook_id}", {"url": receiver.url})
        assert answer.json["code"] == "PERMISSION_DENIED"
    async with GatewayClient(stack.url, stranger.key) as client:
        for method, tail in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
            edit: Any = {"state": "disabled"} if method == "PATCH" else None
            answer = await ask(client, method, f"/webhooks/{webhook_id}{tail}", edit)
            assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND"), (method, tail)
        assert (await ask(client, "GET", "/webhooks")).json["data"]["webhooks"] == []


async def test_an_announcement_can_be_read_by_everybody(stack: Stack, tenant: Organization) -> None:
    words = ("--subject", "terms", "--title", "New terms", "--text", "From next year on.")
    made = await stack.cli("auth", "announcement", "make", *words)
    async with GatewayClient(stack.url, tenant.limited_key) as client:
        page = (await ask(client, "GET", "/announcements?limit=1")).json["data"]
    assert page["announcements"][0]["announcement_id"] == made["announcement_id"]
    assert (page["announcements"][0]["subject"], page["announcements"][0]["title"]) == ("terms", "New terms")

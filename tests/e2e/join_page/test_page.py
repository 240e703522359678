"""The page of an invitation, as a browser meets it."""

import uuid

from tests.support.connect_page import Browser
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack

PASSWORD = "correct horse battery staple"


async def test_who_follows_the_link_joins_once(stack: Stack) -> None:
    tenant = await stack.an_organization(plan=None)
    email = f"{uuid.uuid4()}@example.test"
    async with GatewayClient(stack.url, tenant.key) as client:
        made = (await client.ask("POST", "/organization/users", email=email, role="developer")).json["data"]
        path = f"/organization/users/{made['user']['user_id']}"
        name = (await client.ask("GET", "/organization")).json["data"]["name"]
        async with Browser(made["join_url"]) as browser:
            page = await browser.open()
            assert (page.status, page.title, page.fields) == (200, f"Join {name}", ["password", "again"])
            assert f"{email} is invited to join as <strong>developer</strong>" in page.text
            assert "<script" not in page.text
            foreign = await browser.send(page, headers={"Origin": "https://evil.example"})
            unequal = await browser.send(page, password=PASSWORD, again="something else entirely")
            short = await browser.send(page, password="short", again="short")
            joined = await browser.send(page, password=PASSWORD, again=PASSWORD)
            again = await browser.send(page, password=PASSWORD, again=PASSWORD)
        suspended = await client.ask("PATCH", path, state="suspended")
        resumed = await client.ask("PATCH", path, state="active")
        log = (await client.ask("GET", "/audit-log?limit=4")).json["data"]["entries"]
    assert foreign.status == 403
    assert (unequal.status, unequal.problem) == (400, "The two passwords are not the same.")
    assert (short.status, short.problem.partition(",")[0]) == (400, "A password has 12 characters or more")
    assert (joined.status, joined.title) == (200, f"You have joined {name}")
    assert (again.status, again.title) == (404, "The link does not work")
    assert [answer.json["data"]["state"] for answer in (suspended, resumed)] == ["suspended", "active"]
    assert resumed.json["data"]["invited_until"] is None
    assert [(entry["action"], entry["by"]) for entry in log] == [
        ("user.update", "key"), ("user.update", "key"), ("user.set_password", "link"), ("user.join", "link"),
    ]  # fmt: skip
    assert (log[3]["address"], log[3]["user_id"]) == ("127.0.0.1", made["user"]["user_id"])


async def test_an_address_that_joined_elsewhere_is_told_so(stack: Stack) -> None:
    here, there = await stack.an_organization(plan=None), await stack.an_organization(plan=None)
    email, pages = f"{uuid.uuid4()}@example.test", []
    for tenant in (here, there):
        async with GatewayClient(stack.url, tenant.key) as client:
            made = (await client.ask("POST", "/organization/users", email=email, role="read_only")).json["data"]
        async with Browser(made["join_url"]) as browser:
            pages.append(await browser.send(await browser.open(), password=PASSWORD, again=PASSWORD))
    assert [page.status for page in pages] == [200, 400]
    assert pages[1].problem == "A user with this e-mail address exists already"


async def test_what_is_no_link_is_said_so(stack: Stack) -> None:
    for tail in ("x", "A" * 43):
        async with Browser(f"{stack.url}/join/{tail}") as browser:
            page = await browser.open()
        assert (page.status, page.title) == (404, "The link does not work")

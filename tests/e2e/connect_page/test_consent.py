""" "Connect with Fanvue" in a real browser: from the connect link to the platform and back, on two sites as in real life."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from services.sessions.sandbox.signin import PASSWORD
from tests.support.browser import PROGRAM, Tab, a_tab
from tests.support.connect_page import Browser
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: `make tools` installs it")
CLICK = "document.querySelector('button').click()"


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    async with a_tab(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(stack: Stack, organization: Organization) -> AsyncIterator[GatewayClient]:
    async with GatewayClient(stack.url, organization.key) as opened:
        yield opened


async def a_link(client: GatewayClient) -> tuple[str, str]:
    """A fresh model of provider `fanvue`, and where its creator is to be sent."""
    answer = await client.ask("POST", "/models", provider="fanvue", label=f"Mia {uuid.uuid4().hex[:8]}")
    assert answer.status == 201, answer.json
    return answer.json["data"]["model"]["model_id"], answer.json["data"]["connect_url"]


async def to_the_platform(tab: Tab, stack: Stack, url: str) -> str:
    """Open the link, click, and move the platform's page to a site of its own (ports make none)."""
    await tab.open(url)
    assert await tab.evaluate("document.querySelector('button').textContent") == "Connect with Fanvue"
    await tab.go_on(CLICK, to=f"{stack.sandbox_url}/oauth2/auth?")
    page: str = await tab.evaluate("location.href")
    await tab.open(page.replace("127.0.0.1", "localhost", 1))
    return page


def text_of(folder: Path) -> str:
    return "".join(file.read_text(encoding="utf-8", errors="replace") for file in folder.rglob("*.log"))


async def test_R013_R166_connect_with_fanvue(stack: Stack, client: GatewayClient, tab: Tab) -> None:
    model_id, url = await a_link(client)
    page = await to_the_platform(tab, stack, url)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{stack.url}/connect/fanvue/callback"
    assert {"read:chat", "write:chat", "offline_access"} <= set(asked["scope"].split())

    email = f"mia-{uuid.uuid4().hex[:8]}@sandbox.test"
    await tab.evaluate(f"document.getElementById('email').value = '{email}'")
    await tab.evaluate(f"document.getElementById('password').value = '{PASSWORD}'")
    loaded, referrers = len(tab.loaded), len(tab.referrers)
    await tab.go_on("document.getElementById('allow').click()", to=url)

    assert "is connected" in await tab.evaluate("document.querySelector('h1').textContent")
    assert [each for each in tab.complaints if "Content Security Policy" in each or "exception" in each.lower()] == []
    answer = await client.ask("GET", f"/models/{model_id}")
    assert (answer.json["data"]["state"], answer.json["data"]["provider"]) == ("connected", "fanvue")
    assert (await client.ask("GET", f"/models/{model_id}/users/me")).status == 200

    # The code was in one address, which the browser left at once: in no referrer, no page's address, no log of ours.
    (callback,) = [each for each in tab.loaded[loaded:] if "/connect/fanvue/callback" in each]
    code = parse_qs(urlsplit(callback).query)["code"][0]
    assert [each for each in tab.referrers[referrers:] if code in each] == []
    assert code not in await tab.evaluate("location.href + document.referrer")
    logs = await asyncio.to_thread(text_of, stack.folder)
    assert "consent callback" in logs
    assert [secret for secret in (code, asked["state"], url.rpartition("/")[2]) if secret in logs] == []

    # Coming back a second time is refused, here and in any other browser.
    for _ in range(2):
        await tab.open(callback)
        assert "This did not work" in await tab.evaluate("document.querySelector('h1').textContent")
    answer = await client.ask("GET", f"/models/{model_id}")
    assert answer.json["data"]["state"] == "connected"

    # The organization ends it: the platform knows.
    async with aiohttp.ClientSession(stack.sandbox_url) as session:
        async with session.get("/_control/grants") as shown:
            before = await shown.json()
        assert (await client.ask("POST", f"/models/{model_id}/disconnect")).status == 200
        async with session.get("/_control/grants") as shown:
            after = await shown.json()
    assert after["revocations"] - before.get("revocations", 0) == 1


async def test_who_says_no_is_told_so_and_may_still_say_yes(stack: Stack, client: GatewayClient, tab: Tab) -> None:
    model_id, url = await a_link(client)
    await to_the_platform(tab, stack, url)
    await tab.go_on("document.getElementById('deny').click()", to=url)
    assert await tab.evaluate("document.querySelector('.problem').textContent") == (
        "You did not allow it. Nothing was connected."
    )
    await tab.go_on(CLICK, to=f"{stack.sandbox_url}/oauth2/auth?")
    page: str = await tab.evaluate("location.href")
    email = f"second-thoughts-{uuid.uuid4().hex[:8]}@sandbox.test"
    await tab.go_on(f"location.href = '{page}&prompt=none&login_hint={email}'", to=url)
    assert (await client.ask("GET", f"/models/{model_id}")).json["data"]["state"] == "connected"


async def test_another_browser_cannot_come_back_in_its_place(stack: Stack, client: GatewayClient, tab: Tab) -> None:
    """An attacker's way: the victim's browser is led to the callback of a consent that was begun elsewhere."""
    model_id, url = await a_link(client)
    async with Browser(url) as attacker:
        page = await attacker.send(await attacker.open(), consent="ask")
        authorize = page.text.partition('content="0;url=')[2].partition('"')[0].replace("&amp;", "&")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{authorize}&prompt=none&login_hint=attacker@sandbox.test", allow_redirects=False) as answer,
    ):
        callback = answer.headers["Location"]
    await tab.open(callback)
    assert "This did not work" in await tab.evaluate("document.querySelector('h1').textContent")
    assert (await client.ask("GET", f"/models/{model_id}")).json["data"]["state"] == "connecting"

"""All rings of keys are rotated as docs/operations.md says, process by process, while customers call: no call fails.

Peppers of API keys (edge, auth), keys of the credential vault and of sealed forms (sessions), of webhooks' secrets and of passwords
(auth): first behind the old one everywhere, then in front, then alone. And the keys of the tokens in our mails' addresses (takedowns), which
hosts answer to.
"""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from deploy.local import ports
from deploy.local.profile import RUN
from tests.e2e.clients.platform import PlatformClient
from tests.fault.test_rolling_upgrade import CUSTOMERS, money_of
from tests.support.faults.money import Figures
from tests.support.gateway_client import GatewayClient
from tests.support.mails import a_mail
from tests.support.rollout.launcher import RINGS
from tests.support.rollout.system import Rollout, rollout
from tests.support.takedowns_life import MINUTE, a_creator, a_life

HOLDERS = ("auth", "sessions", "edge")  # of rings; edges last, so that they ask auth anew under its active pepper

pytestmark = pytest.mark.timeout(600)


async def rotate(system: Rollout, rings: dict[str, str]) -> None:
    """Give all holders these rings, one process after the other."""
    for ring, text in rings.items():
        system.write_ring(ring, text)
    await system.replace(system.instances(*HOLDERS))


async def keys_by_pepper(system: Rollout) -> dict[str, int]:
    answer: dict[str, Any] = await system.stack.cli("auth", "pepper", "list")
    return dict(answer["keys_by_pepper"])


async def rewrap(system: Rollout) -> tuple[int, int]:
    """How many sessions, and secrets of webhooks, were not under the active key yet."""
    sessions = await system.stack.cli("sessions", "vault", "rewrap")
    webhooks = await system.stack.cli("auth", "webhook", "rewrap")
    return sessions["rewrapped"], webhooks["rewrapped"]


async def test_every_ring_is_rotated_under_load() -> None:
    receiver = f"127.0.0.1:{ports.pick(1)[0]}"  # nobody listens: only its secret matters here
    run = RUN / f"stack-{os.getpid()}-rotation"
    async with rollout(run, customers=CUSTOMERS, FANGATE_WEBHOOK_LOCAL_RECEIVERS=receiver) as system:
        old = {ring: system.ring(ring) for ring in RINGS}
        new = {ring: f"next:{secrets.token_hex(32)}" for ring in RINGS}
        async with GatewayClient(system.stack.url, system.tenants[0].organization.key) as client:
            made = await client.ask("POST", "/webhooks", url=f"http://{receiver}/")
            assert made.status in {200, 201}, made.body
        system.load.resume()

        # when: known everywhere before anybody uses it
        await rotate(system, {ring: f"{old[ring]},{new[ring]}" for ring in RINGS})
        before = await keys_by_pepper(system)
        await rotate(system, {ring: f"{new[ring]},{old[ring]}" for ring in RINGS})
        moved = await keys_by_pepper(system)
        rewrapped = [await rewrap(system) for _ in range(2)]
        await rotate(system, new)

        # then
        assert await money_of(system) == Figures()
        assert set(before) == {"dev"}
        assert moved["next"] == len(
            system.tenants
        )  # the keys in use; those that sleep stay, and die with the old pepper
        assert rewrapped[0][0] >= len(system.tenants)
        assert rewrapped == [(rewrapped[0][0], 1), (0, 0)]
        assert system.money.seen.calls > 100
        async with GatewayClient(system.stack.url, system.tenants[0].organization.limited_key) as client:
            assert (await client.ask("GET", "/models")).status == 401


async def test_answers_to_mails_are_read_as_long_as_their_key_is_there(tmp_path: Path) -> None:
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    ring = tmp_path / "ring"
    ring.write_text(old, encoding="ascii")
    run = RUN / f"stack-{os.getpid()}-mails"
    async with a_life(run, tmp_path, FANGATE_MAIL_TOKEN_KEYS_FILE=str(ring)) as life:
        organization = await life.stack.an_organization(credits=100)
        async with PlatformClient(f"{life.stack.url}/api/platforms", organization.key) as client:
            creator = await a_creator(client, "Luna Vale")

            async def told(host: str) -> str:
                """Submit a URL there, let its notice be mailed; where answers to it go."""
                await life.knows(host)
                life.site.pages[f"/{host}"] = "<title>stolen</title>"
                await client.submit_urls({"creator_id": creator, "urls": [f"http://{host}:{life.site.port}/{host}"]})
                while not life.mails_to(f"dmca@{host}"):
                    life.later(2 * MINUTE)
                    await asyncio.sleep(0.5)
                await life.until(lambda: state_is(host, "noticed"))
                return str(life.mails_to(f"dmca@{host}")[0]["Reply-To"])

            async def state_is(host: str, state: str) -> bool:
                _, page = await client.call("GET", f"/takedowns?creator_id={creator}&host={host}")
                return [each["state"] for each in page["takedowns"]] == [state]

            async def rotate_to(text: str) -> None:
                ring.write_text(text, encoding="ascii")
                before = life.stack.processes()["takedowns"]
                life.stack.terminate("takedowns")
                await life.until(lambda: life.stack.processes().get("takedowns", before) != before)
                await life.stack.until_ready()

            # given notices under the old key
            first, second = await told("leaks-first.com"), await told("leaks-second.com")

            # when the new one is known, then in front
            await rotate_to(f"{old},{new}")
            await rotate_to(f"{new},{old}")
            third = await told("leaks-third.com")

            # then answers to both are read
            for address in (first, third):
                life.receive(a_mail("We received your report. Ticket #4711.", to=address))
            await life.until(lambda: state_is("leaks-first.com", "acknowledged"))
            await life.until(lambda: state_is("leaks-third.com", "acknowledged"))

            # when the old one is gone, then an answer to it has no effect, and nothing else suffers
            await rotate_to(new)
            life.receive(a_mail("We received your report. Ticket #4712.", to=second))
            fourth = await told("leaks-fourth.com")
            life.receive(a_mail("We received your report. Ticket #4713.", to=fourth))
            await life.until(lambda: state_is("leaks-fourth.com", "acknowledged"))
            await life.until(lambda: not list((life.maildir / "new").iterdir()))
            assert await state_is("leaks-second.com", "noticed")

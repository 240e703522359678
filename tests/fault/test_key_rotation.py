"""All rings of keys are rotated as docs/operations.md says, process by process, while customers call: no call fails.

Peppers of API keys (edge, auth), keys of the credential vault and of sealed forms (sessions), of webhooks' secrets (auth): first behind the old one
everywhere, then in front, then alone.
"""

import os
import secrets
from typing import Any

import pytest

from deploy.local import ports
from deploy.local.profile import RUN
from tests.fault.test_rolling_upgrade import CUSTOMERS, money_of
from tests.support.faults.money import Figures
from tests.support.gateway_client import GatewayClient
from tests.support.rollout.launcher import RINGS
from tests.support.rollout.system import Rollout, rollout

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

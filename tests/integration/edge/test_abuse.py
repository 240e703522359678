"""Abuse is slowed down at the edge itself: whoever tries out keys, rights or versions ends at a 429."""

from libs.common.contracts.auth import Limits
from libs.common.ids import new_key
from services.edge.store.failures import FAILURES_MAX
from tests.support.edge import running_edge
from tests.support.gateway_client import GatewayClient


async def test_R149_trying_out_rights_and_versions_uses_up_the_window(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        only = frozenset({"api_chats_list"})
        key, principal, model = edge.organization(limits=Limits(per_minute=5, per_day=100), permissions=only)
        async with GatewayClient(edge.url, key) as client:
            refused = [(await client.get(str(model), "/followers")).status for _ in range(5)]
            allowed = await client.get(str(model), "/chats")
        assert (refused, allowed.status) == ([403] * 5, 429)
        assert edge.billing.balances[principal.org_id] == 1_000  # and costs nothing


async def test_R149_bad_key_formats_open_nothing_and_guessed_keys_block_their_address(redis_url: str) -> None:
    async with running_edge(redis_url, proxies="127.0.0.1") as edge:
        where = {"X-Forwarded-For": "203.0.113.9"}
        async with GatewayClient(edge.url, None) as client:
            malformed = [
                (await client.call("GET", "/api/whoami", headers={**where, "X-API-Key": "fgk_short"})).status
                for _ in range(2 * FAILURES_MAX)
            ]
            asked = edge.directory.asked
            guessed = [
                (await client.call("GET", "/api/whoami", headers={**where, "X-API-Key": new_key("fgk_")})).status
                for _ in range(FAILURES_MAX + 3)
            ]
        assert (set(malformed), asked) == ({401}, 0)
        assert guessed == [401] * FAILURES_MAX + [429] * 3

"""Every own route without its permission: 403 that names it (R40, R53)."""

import uuid

import pytest

from services.edge.domain.own import own_routes
from services.edge.domain.own_route import OwnRoute
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

SECURED = [route for route in own_routes() if route.permission != "api_self_read"]
_keys: dict[str, str] = {}


async def a_bare_key(stack: Stack, organization: Organization) -> str:
    """A key whose role grants nothing but to look at itself; made once."""
    if stack.url not in _keys:
        owner = ("--org", organization.org_id)
        await stack.cli("auth", "role", "create", *owner, "--name", "bare", "--permissions", "api_self_read")
        made = await stack.cli("auth", "key", "create", *owner, "--role", "bare", "--label", "bare")
        _keys[stack.url] = made["key"]
    return _keys[stack.url]


@pytest.mark.parametrize("route", SECURED, ids=lambda route: route.name)
async def test_R040_R053_the_missing_permission_is_named(
    stack: Stack, organization: Organization, route: OwnRoute
) -> None:
    path = route.path
    while "{" in path:
        path = path[: path.index("{")] + str(uuid.uuid4()) + path[path.index("}") + 1 :]
    async with GatewayClient(stack.url, await a_bare_key(stack, organization)) as client:
        answer = await client.call(route.method, f"/api{path}", body=b"{}" if route.takes_body else None)
    assert answer.status == 403
    assert answer.json == {"error": f"Missing permission {route.permission}", "code": "PERMISSION_DENIED"}

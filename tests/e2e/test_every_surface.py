"""Every operation of the catalogue on every surface that has it, under each of its names there: one table, made of the catalogue."""

from collections.abc import Iterator

import pytest

from libs.common.contracts.catalogue import CatalogueRoute, catalogue
from libs.common.contracts.versions import NEWEST
from tests.e2e.gateway.test_every_route import EXISTING, MADE_BY, a_body, make
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


def served() -> Iterator[tuple[str, str, CatalogueRoute]]:
    """Surface, path below it, and the operation."""
    for route in catalogue().values():
        yield "metric", route.path, route
        if route.metric_alias is not None:
            yield "metric", route.metric_alias, route
        if route.fanvue_alias is not None:
            yield "fanvue", route.fanvue_alias, route


TABLE = list(served())


_bound: dict[str, str] = {}  # by organization


@pytest.fixture
async def bound_key(stack: Stack, organization: Organization) -> str:
    """A key that reaches the organization's one model, made once."""
    if organization.org_id not in _bound:
        create = ("key", "create", "--org", organization.org_id, "--role", "owner", "--label", "every surface")
        made = await stack.cli("auth", *create, "--model", organization.model_id)
        _bound[organization.org_id] = str(made["key"])
    return _bound[organization.org_id]


def test_the_table_has_all_surfaces_and_both_names() -> None:
    counted = {surface: sum(one == surface for one, _, _ in TABLE) for surface in ("metric", "fanvue")}
    assert counted == {"metric": 60 + 4, "fanvue": 46}


@pytest.mark.parametrize(("surface", "path", "route"), TABLE, ids=[f"{s}{p}:{r.method}" for s, p, r in TABLE])
async def test_an_operation_is_reached_on_a_surface_that_has_it(
    stack: Stack, organization: Organization, bound_key: str, surface: str, path: str, route: CatalogueRoute
) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        for name in route.path_params:
            value = EXISTING.get(name) or await make(client, organization.model_id, MADE_BY[name])
            path = path.replace(f"{{{name}}}", value)
    prefix = f"/v1/{organization.account}" if surface == "metric" else "/fanvue"
    headers = {"X-Fanvue-API-Key": bound_key, "X-Fanvue-API-Version": NEWEST} if surface == "fanvue" else {}
    body = None if route.method in {"GET", "DELETE"} else a_body()
    async with GatewayClient(stack.url, organization.key if surface == "metric" else None) as client:
        answer = await client.call(route.method, prefix + path, body=body, headers=headers)
    assert 200 <= answer.status < 300, answer.body

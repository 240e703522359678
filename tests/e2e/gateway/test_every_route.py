"""All 60 routes of the catalogue through the whole system: a 2xx, and exactly the catalogue's price."""

import pytest

from libs.common.contracts.catalogue import CatalogueRoute, catalogue
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

PARAMETERS = {"part": "1", "upload_id": "upload-1"}


def concrete(route: CatalogueRoute) -> str:
    path = route.path
    for name in route.path_params:
        path = path.replace(f"{{{name}}}", PARAMETERS.get(name, "1001"))
    return path


@pytest.mark.parametrize("route", catalogue().values(), ids=list(catalogue()))
async def test_a_route_answers_and_costs_what_the_catalogue_says(
    stack: Stack, organization: Organization, route: CatalogueRoute
) -> None:
    body = None if route.method in {"GET", "DELETE"} else b'{"text":"hello","name":"a name"}'
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call(route.method, f"/api/models/{organization.model_id}{concrete(route)}", body=body)

    assert 200 <= answer.status < 300, answer.body
    assert answer.used == route.credits

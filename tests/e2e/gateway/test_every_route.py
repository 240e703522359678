"""All 60 routes of the catalogue through the whole system: a 2xx, and exactly the catalogue's price."""

import json
import uuid

import pytest

from libs.common.contracts.catalogue import CatalogueRoute, catalogue
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

EXISTING = {"fan_id": "1001", "creator_user_id": "1001", "part": "1"}
# What a test may read, like or delete, it has made before: parameter -> the route that makes it.
MADE_BY = {
    "message_id": "messages_send",
    "mass_message_id": "mass_messages_send",
    "list_id": "user_lists_create",
    "link_id": "tracking_links_create",
    "post_id": "posts_create",
    "upload_id": "media_upload_signed_create",
}


def a_body() -> bytes:
    """Members that every writing route finds what it needs among; the name is fresh, since lists' names are unique."""
    body = {"text": "hello", "name": uuid.uuid4().hex, "userIds": [1001], "filename": "a.jpg", "sizeBytes": 10}
    return json.dumps(body).encode()


async def concrete(client: GatewayClient, model_id: str, route: CatalogueRoute) -> str:
    """The route's path with parameters that exist on the platform."""
    path = route.path
    for name in route.path_params:
        value = EXISTING.get(name) or await make(client, model_id, MADE_BY[name])
        path = path.replace(f"{{{name}}}", value)
    return f"/api/models/{model_id}{path}"


async def make(client: GatewayClient, model_id: str, route_name: str) -> str:
    route = catalogue()[route_name]
    answer = await client.call(route.method, await concrete(client, model_id, route), body=a_body())
    assert answer.status in {200, 201, 202}, answer.body
    made = json.loads(answer.data_bytes)
    made = made.get("data", made)
    return str(next(made[name] for name in ("id", "uuid", "uploadId") if name in made))


@pytest.mark.parametrize("route", catalogue().values(), ids=list(catalogue()))
async def test_R006_R018_R020_a_route_answers_and_costs_what_the_catalogue_says(
    stack: Stack, organization: Organization, route: CatalogueRoute
) -> None:
    body = None if route.method in {"GET", "DELETE"} else a_body()
    async with GatewayClient(stack.url, organization.key) as client:
        path = await concrete(client, organization.model_id, route)
        answer = await client.call(route.method, path, body=body)

    assert 200 <= answer.status < 300, answer.body
    assert answer.used == route.credits

"""Two organizations: over the whole catalogue, on both surfaces, another's model and no model are one and the same answer."""

import re
import uuid

import pytest

from libs.common.contracts.catalogue import CatalogueRoute, catalogue
from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack

MOVING = {"date", "x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset"}
SURFACES = {"gateway": "/api/models/{name}", "metric": "/v1/{name}"}


def shown(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    """All of an answer that does not move by itself."""
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in MOVING}
    return answer.status, answer.body, headers


@pytest.fixture(scope="module")
def strangers() -> dict[str, Organization]:
    return {}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("route", catalogue().values(), ids=list(catalogue()))
async def test_R001_R038_R175_foreign_is_absent(
    stack: Stack, organization: Organization, strangers: dict[str, Organization], route: CatalogueRoute, surface: str
) -> None:
    stranger = strangers.setdefault("one", strangers.get("one") or await stack.an_organization(credits=1_000))
    tails = [route.path] if surface == "gateway" or route.metric_alias is None else [route.path, route.metric_alias]
    names = [organization.model_id, str(uuid.uuid4())]
    if surface == "metric":
        names += [organization.account, "1" + organization.account]
    body = None if route.method in {"GET", "DELETE"} else b'{"text":"x"}'
    answers = []
    async with GatewayClient(stack.url, stranger.key) as client:
        for tail in tails:
            for name in names:
                path = SURFACES[surface].format(name=name) + re.sub(r"\{[a-z_]+\}", "1", tail)
                answers.append(shown(await client.call(route.method, path, body=body)))
    assert answers[0][0] == 404
    assert b"Model not found" in answers[0][1]
    assert all(answer == answers[0] for answer in answers), answers

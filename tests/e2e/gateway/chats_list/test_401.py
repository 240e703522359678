"""No, malformed, unknown and revoked keys: one text for all, no charge, no window."""

import pytest

from libs.common.ids import new_key
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "NO_API_KEY"),
        ("", "INVALID_API_KEY"),
        ("nonsense", "INVALID_API_KEY"),
        (new_key("fgk_"), "INVALID_API_KEY"),
    ],
    ids=["none", "empty", "malformed", "unknown"],
)
async def test_R051_every_bad_key_reads_the_same(
    stack: Stack, organization: Organization, key: str | None, code: str
) -> None:
    async with GatewayClient(stack.url, key) as client:
        answer = await client.get(organization.model_id, "/chats")

    assert answer.status == 401
    assert answer.json == {"error": "Invalid or missing API key", "code": answer.json["code"]}
    assert answer.json["code"] in {code, "NO_API_KEY"}
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_R011_R051_a_revoked_key_fails_on_the_next_call(stack: Stack, organization: Organization) -> None:
    key = await stack.cli(
        "auth", "key", "create", "--org", organization.org_id, "--role", "owner", "--label", "short-lived"
    )
    async with GatewayClient(stack.url, key["key"]) as client:
        assert (await client.get(organization.model_id, "/chats")).status == 200

        await stack.cli("auth", "key", "revoke", key["key_id"])

        after = [await client.get(organization.model_id, "/chats") for _ in range(3)]
    assert [answer.status for answer in after] == [401, 401, 401]

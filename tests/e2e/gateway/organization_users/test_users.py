"""The people of an organization: who they are, how they come and go."""

import uuid
from typing import Any

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def invited(client: GatewayClient, role: str = "developer", email: str = "") -> Any:
    answer = await client.ask("POST", "/organization/users", email=email or f"{uuid.uuid4()}@example.test", role=role)
    assert answer.status == 201, answer.body
    return answer.json["data"]


async def test_an_invited_user_is_listed_and_the_link_is_shown_once(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        made = await invited(client)
        users = (await client.ask("GET", "/organization/users?limit=1000")).json["data"]
    user = next(each for each in users["users"] if each["user_id"] == made["user"]["user_id"])
    assert user == made["user"]
    assert (user["role"], user["state"], user["invited_until"]) == (
        "developer", "invited", made["join_url_expires_at"],
    )  # fmt: skip
    assert made["join_url"].startswith(f"{stack.url}/join/")
    assert made["join_url"].rpartition("/")[2] not in str(users)
    owner = users["users"][0]
    assert (owner["role"], owner["state"], owner["invited_until"]) == ("owner", "active", None)
    assert users["total"] == len(users["users"])


async def test_roles_change_and_the_last_owner_stays(stack: Stack) -> None:
    tenant = await stack.an_organization(plan=None)
    async with GatewayClient(stack.url, tenant.key) as client:
        made = await invited(client)
        path = f"/organization/users/{made['user']['user_id']}"
        changed = await client.ask("PATCH", path, role="messaging")
        early = await client.ask("PATCH", path, state="suspended")
        removed = await client.ask("DELETE", path)
        again = await client.ask("DELETE", path)
        owner = (await client.ask("GET", "/organization/users")).json["data"]["users"][0]
        own = f"/organization/users/{owner['user_id']}"
        refused = [
            await client.ask("DELETE", own),
            await client.ask("PATCH", own, role="developer"),
            await client.ask("PATCH", own, state="suspended"),
        ]
        log = (await client.ask("GET", "/audit-log?limit=3")).json["data"]["entries"]
    assert (changed.status, changed.json["data"]["role"]) == (200, "messaging")
    assert (early.status, early.json["error"]) == (409, "The user has not joined yet")
    assert (removed.status, removed.json["data"]["state"]) == (200, "removed")
    assert (again.status, again.json["code"]) == (404, "NOT_FOUND")
    for answer in refused:
        assert (answer.status, answer.json) == (
            409, {"error": "The last owner stays: make somebody else an owner first", "code": "CONFLICT"},
        )  # fmt: skip
    assert [entry["action"] for entry in log] == ["user.remove", "user.update", "user.invite"]
    assert {entry["object_id"] for entry in log} == {made["user"]["user_id"]}


async def test_foreign_users_are_absent(stack: Stack, organization: Organization) -> None:
    stranger = await stack.an_organization(plan=None)
    async with GatewayClient(stack.url, organization.key) as client:
        made = await invited(client)
    async with GatewayClient(stack.url, stranger.key) as client:
        for user_id in (made["user"]["user_id"], str(uuid.uuid4()), "12"):
            path = f"/organization/users/{user_id}"
            for answer in (await client.ask("PATCH", path, role="owner"), await client.ask("DELETE", path)):
                assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "body: object missing required field `email`"),
        ({"email": "no address", "role": "developer"}, 400, "Not a valid e-mail address"),
        ({"email": "a@example.test", "role": "nobody"}, 404, "Role not found"),
        ({"email": "a" * 400 + "@example.test", "role": "owner"}, 400, "email: expected `str` of length <= 320"),
    ],
)
async def test_a_bad_invitation_says_what_is_wrong(
    stack: Stack, organization: Organization, body: dict[str, str], status: int, error: str
) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.ask("POST", "/organization/users", **body)
    assert (answer.status, answer.json["error"]) == (status, error)


@pytest.mark.parametrize("body", [{}, {"state": "removed"}, {"role": 1}])
async def test_a_bad_change_is_refused(stack: Stack, organization: Organization, body: dict[str, Any]) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.ask("PATCH", f"/organization/users/{uuid.uuid4()}", **body)
    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")


async def test_nobody_invites_beyond_the_own_rights(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        role = f"inviters {uuid.uuid4().hex[:8]}"
        await client.ask("POST", "/roles", name=role, permissions=["api_organization_users_invite"])
        key = (await client.ask("POST", "/keys", label="inviter", role=role)).json["data"]["secret"]
    async with GatewayClient(stack.url, key) as client:
        beyond = await client.ask("POST", "/organization/users", email="eve@example.test", role="owner")
        await invited(client, role=role)
    assert (beyond.status, beyond.json["code"]) == (403, "PERMISSION_DENIED")

"""The operator's command line."""

import uuid

from libs.common.db.pool import Database
from libs.common.ids import key_kind
from tests.support.service_process import Operator


async def test_what_an_operator_makes_can_be_listed_but_the_key_is_shown_once(operator: Operator, db: Database) -> None:
    given = uuid.uuid4()
    assert await operator(f"org create --name Test --org-id {given} --sandbox") == {"org_id": str(given)}
    user = await operator(f"user create --org {given} --email dev@example.test --role developer")
    assert set(user) == {"user_id"}
    made = await operator(f"key create --org {given} --role owner --label ci --kind sandbox --expires-days 3")
    assert key_kind(made["key"]) == "sandbox"

    (shown,) = (await operator(f"key list --org {given}"))["keys"]
    assert (shown["key_id"], shown["start"], shown["role"]) == (made["key_id"], made["key"][:8], "owner")
    assert (shown["label"], shown["kind"], shown["state"]) == ("ci", "sandbox", "active")
    organization = await operator(f"org show {given}")
    assert (organization["name"], organization["state"], organization["is_sandbox"]) == ("Test", "active", True)
    assert [each["org_id"] for each in (await operator("org list"))["organizations"]] == [str(given)]
    assert len((await operator(f"role list --org {given}"))["roles"]) == 5
    assert await operator("pepper list") == {"keys_by_pepper": {"b": 1}}
    assert len((await operator("permission list"))["permissions"]) == 136
    stored = str(await db.fetchval("SELECT array_agg(k::text) FROM keys k"))
    assert made["key"] not in stored


async def test_R002_one_command_makes_an_organization_whole(operator: Operator, db: Database) -> None:
    made = await operator("org create --name Example --owner-email owner@example.test")
    org = made["org_id"]
    organization = await operator(f"org show {org}")
    roles = {role["name"] for role in (await operator(f"role list --org {org}"))["roles"]}
    (owner,) = await db.fetch(
        "SELECT email, u.state, name FROM users u JOIN roles r USING (role_id) WHERE u.org_id = $1", uuid.UUID(org)
    )
    status, _, err = await operator.run("org create --name Another --owner-email OWNER@example.test")
    assert (organization["name"], organization["state"]) == ("Example", "active")
    assert tuple(owner) == ("owner@example.test", "active", "owner")
    assert roles == {"owner", "developer", "messaging", "takedowns", "read_only"}
    assert (status, "CONFLICT" in err) == (2, True)


async def test_a_refusal_is_one_line_on_standard_error_and_status_2(operator: Operator) -> None:
    unknown = uuid.uuid4()
    for command, word in (
        (f"key list --org {unknown}", "NOT_FOUND"),
        (f"key revoke {unknown}", "NOT_FOUND"),
        (f"role create --org {unknown} --name x --all-but api_nope", "api_nope"),
        (f"role create --org {unknown} --name owner --permissions api_chats_list", "built in"),
    ):
        status, out, err = await operator.run(command)
        assert (status, out) == (2, ""), command
        assert err.count("\n") == 1
        assert word in err


async def test_a_setting_that_is_missing_or_unknown_is_named(operator: Operator) -> None:
    lacking = {name: value for name, value in operator.env.items() if name != "FANGATE_KEY_PEPPERS"}
    status, _, err = await Operator("auth", lacking).run("org list")
    assert (status, err.count("\n")) == (2, 1)
    assert "FANGATE_KEY_PEPPERS" in err
    status, _, err = await Operator("auth", operator.env | {"FANGATE_KEY_PEPPER": "x"}).run("org list")
    assert status == 2
    assert "FANGATE_KEY_PEPPER " in err


async def test_without_the_bus_the_change_stands_and_says_that_it_is_not_announced(
    operator: Operator, db: Database
) -> None:
    alone = Operator("auth", operator.env | {"FANGATE_AMQP_URL": "amqp://auth:x@127.0.0.1:9/none"})
    status, out, err = await alone.run("org create --name Example")
    assert status == 3
    assert "org_id" in out
    assert "not announced" in err
    assert await db.fetchval("SELECT count(*) FROM organizations") == 1
    assert await db.fetchval("SELECT count(*) FROM outbox") == 1

"""One suite for auth's ports: the memory that unit tests use keeps the same promises as Postgres."""

import asyncio
import uuid
from datetime import timedelta

import msgspec
import pytest

from libs.common.contracts.auth import Actor, KeyRevoked, OrganizationChanged
from libs.common.ids import uuid7
from services.auth.domain.errors import Conflict, NotFound, OrganizationDeleted
from services.auth.domain.organization import OrganizationState, Subscription, User
from services.auth.domain.role import Role
from tests.contract.auth.conftest import Ports
from tests.support.auth import NOW, a_key, an_organization


async def role_of(ports: Ports, org_id: uuid.UUID, name: str = "developer") -> Role:
    return next(role for role in await ports.accounts.roles(org_id) if role.name == name)


async def test_a_new_organization_is_there_whole_and_announced(ports: Ports) -> None:
    organization = await an_organization(ports.accounts, is_sandbox=True)

    found = await ports.accounts.organization(organization.org_id)
    assert (found.name, found.state, found.is_sandbox) == ("Example", OrganizationState.ACTIVE, True)
    assert found.subscription == Subscription()
    assert [role.name for role in await ports.accounts.roles(organization.org_id)] == [
        "developer",
        "messaging",
        "owner",
        "read_only",
        "takedowns",
    ]
    assert await ports.accounts.keys(organization.org_id) == []
    assert await ports.events() == [OrganizationChanged(org_id=organization.org_id, av=found.av)]


async def test_an_organization_id_or_an_owners_address_is_taken_once(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    with pytest.raises(Conflict):
        await an_organization(ports.accounts, org_id=organization.org_id)
    other = await an_organization(ports.accounts)
    async with ports.accounts.change(other.org_id) as change:
        role = await change.role_named("owner")
    with pytest.raises(Conflict):
        async with ports.accounts.change(other.org_id) as change:
            taken = f"{organization.org_id}@EXAMPLE.test"
            await change.add_user(User(user_id=uuid7(), org_id=other.org_id, email=taken, role_id=role.role_id))
    assert len(await ports.accounts.organizations()) == 2


async def test_what_is_not_there_is_not_found(ports: Ports) -> None:
    unknown = uuid7()
    with pytest.raises(NotFound):
        await ports.accounts.organization(unknown)
    with pytest.raises(NotFound):
        async with ports.accounts.change(unknown):
            pass
    with pytest.raises(NotFound):
        await ports.accounts.organization_of_key(unknown)
    assert await ports.accounts.roles(unknown) == []
    assert await ports.accounts.keys(unknown) == []
    assert await ports.holders.find(["00" * 32]) is None


async def test_a_change_raises_the_auth_version_once_and_says_so(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    before = (await ports.accounts.organization(organization.org_id)).av
    role = await role_of(ports, organization.org_id)

    async with ports.accounts.change(organization.org_id) as change:
        await change.add_key(a_key(organization.org_id, role))
        await change.add_key(a_key(organization.org_id, role))
        av = change.av

    assert av == before + 1
    assert (await ports.accounts.organization(organization.org_id)).av == av
    assert (await ports.events())[1:] == [OrganizationChanged(org_id=organization.org_id, av=av)]


async def test_a_change_that_writes_nothing_raises_nothing(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    before, said = await ports.accounts.organization(organization.org_id), await ports.events()
    async with ports.accounts.change(organization.org_id) as change:
        await change.role_named("OWNER")
    assert await ports.accounts.organization(organization.org_id) == before
    assert await ports.events() == said


async def test_a_change_that_fails_leaves_nothing_and_says_nothing(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    before, said = await ports.accounts.organization(organization.org_id), await ports.events()
    with pytest.raises(ZeroDivisionError):
        async with ports.accounts.change(organization.org_id) as change:
            await change.set_state(OrganizationState.SUSPENDED)
            change.announce(OrganizationChanged(org_id=organization.org_id, av=99))
            raise ZeroDivisionError
    assert await ports.accounts.organization(organization.org_id) == before
    assert await ports.events() == said


async def test_changes_at_once_happen_one_after_another(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    before = (await ports.accounts.organization(organization.org_id)).av
    role = await role_of(ports, organization.org_id)

    async def issue() -> int:
        async with ports.accounts.change(organization.org_id) as change:
            await change.add_key(a_key(organization.org_id, role))
            return change.av

    avs = await asyncio.gather(*(issue() for _ in range(12)))
    assert sorted(avs) == list(range(before + 1, before + 13))
    assert (await ports.accounts.organization(organization.org_id)).av == before + 12


async def test_a_key_is_found_by_any_of_its_digests_with_all_it_speaks_for(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    role = await role_of(ports, organization.org_id)
    key = a_key(
        organization.org_id,
        role,
        model_id=uuid7(),
        api_version="2025-06-26",
        key_per_minute=7,
        read_only=True,
        expires_at=NOW + timedelta(days=3),
    )
    async with ports.accounts.change(organization.org_id) as change:
        await change.add_key(key)

    holder = await ports.holders.find(["ff" * 32, key.digest])
    assert holder is not None
    assert holder.key == key
    assert holder.role == role
    assert holder.organization == await ports.accounts.organization(organization.org_id)
    assert holder.user_state is None
    assert await ports.accounts.organization_of_key(key.key_id) == organization.org_id


async def test_keys_are_listed_newest_first_and_of_one_organization_only(ports: Ports) -> None:
    one, two = await an_organization(ports.accounts), await an_organization(ports.accounts)
    keys = []
    for organization, minutes in ((one, 0), (two, 1), (one, 2)):
        role = await role_of(ports, organization.org_id)
        key = a_key(organization.org_id, role, created_at=NOW + timedelta(minutes=minutes))
        async with ports.accounts.change(organization.org_id) as change:
            await change.add_key(key)
        keys.append(key)
    assert await ports.accounts.keys(one.org_id) == [keys[2], keys[0]]
    assert await ports.accounts.keys(two.org_id) == [keys[1]]


async def test_a_foreign_key_is_not_found_and_cannot_be_revoked(ports: Ports) -> None:
    one, two = await an_organization(ports.accounts), await an_organization(ports.accounts)
    key = a_key(one.org_id, await role_of(ports, one.org_id))
    async with ports.accounts.change(one.org_id) as change:
        await change.add_key(key)
    with pytest.raises(NotFound):
        async with ports.accounts.change(two.org_id) as change:
            await change.key(key.key_id)
    assert await ports.accounts.keys(one.org_id) == [key]


async def test_a_revoked_key_keeps_its_first_date(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    key = a_key(organization.org_id, await role_of(ports, organization.org_id))
    async with ports.accounts.change(organization.org_id) as change:
        await change.add_key(key)
    for hours in (1, 2):
        async with ports.accounts.change(organization.org_id) as change:
            await change.revoke_key(key.key_id, NOW + timedelta(hours=hours))
            change.announce(KeyRevoked(org_id=organization.org_id, key_id=key.key_id, digest=key.digest, av=change.av))
    (found,) = await ports.accounts.keys(organization.org_id)
    assert found.revoked_at == NOW + timedelta(hours=1)
    said = await ports.events()
    assert [type(event) for event in said[-2:]] == [KeyRevoked, OrganizationChanged]


async def test_role_names_are_one_whatever_their_case(ports: Ports) -> None:
    organization, other = await an_organization(ports.accounts), await an_organization(ports.accounts)
    role = Role(role_id=uuid7(), org_id=organization.org_id, name="Support", granted=frozenset({"api_chats_list"}))
    async with ports.accounts.change(organization.org_id) as change:
        await change.add_role(role)
        assert await change.role_named("sUPPORT") == role
    with pytest.raises(Conflict):
        async with ports.accounts.change(organization.org_id) as change:
            await change.add_role(Role(role_id=uuid7(), org_id=organization.org_id, name="SUPPORT"))
    with pytest.raises(NotFound):
        async with ports.accounts.change(other.org_id) as change:
            await change.role_named("Support")
    assert (await ports.accounts.roles(organization.org_id))[-1] == role


async def test_what_a_role_grants_is_replaced_whole(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    role = Role(role_id=uuid7(), org_id=organization.org_id, name="support", granted=frozenset({"api_chats_list"}))
    async with ports.accounts.change(organization.org_id) as change:
        await change.add_role(role)
    async with ports.accounts.change(organization.org_id) as change:
        granted = frozenset({"api_chats_read", "api_self_read"})
        await change.replace_role(role, msgspec.structs.replace(role, granted=granted))
        assert (await change.role_named("support")).granted == {"api_chats_read", "api_self_read"}


async def test_a_user_has_one_active_personal_key(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    async with ports.accounts.change(organization.org_id) as change:
        owner = await change.role_named("owner")
        user = User(user_id=uuid7(), org_id=organization.org_id, email="u@example.test", role_id=owner.role_id)
        await change.add_user(user)
    first, second = (
        a_key(organization.org_id, None, user_id=user.user_id, scopes=frozenset({"read:chat"})) for _ in range(2)
    )
    async with ports.accounts.change(organization.org_id) as change:
        await change.add_key(first)
    with pytest.raises(Conflict):
        async with ports.accounts.change(organization.org_id) as change:
            await change.add_key(second)
    async with ports.accounts.change(organization.org_id) as change:
        await change.revoke_key(first.key_id, NOW)
        await change.add_key(second)
    holder = await ports.holders.find([second.digest])
    assert holder is not None
    assert holder.key == second
    assert holder.role is None
    assert holder.user_state == "active"


async def test_a_message_is_accepted_once_and_only_with_its_effect(ports: Ports) -> None:
    organization, message_id = await an_organization(ports.accounts), uuid7()
    with pytest.raises(ZeroDivisionError):
        async with ports.accounts.change(organization.org_id) as change:
            assert await change.accept_once(message_id)
            raise ZeroDivisionError
    async with ports.accounts.change(organization.org_id) as change:
        assert await change.accept_once(message_id)
    async with ports.accounts.change(organization.org_id) as change:
        assert not await change.accept_once(message_id)


async def test_a_subscription_is_kept_as_it_was_told(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    told = Subscription(
        version=4,
        plan="pro",
        status="past_due",
        per_minute=300,
        per_day=50_000,
        period_start=NOW,
        period_end=NOW + timedelta(days=31),
    )
    async with ports.accounts.change(organization.org_id) as change:
        await change.set_subscription(told)
    assert (await ports.accounts.organization(organization.org_id)).subscription == told


async def test_a_deleted_organization_is_found_by_its_keys_only(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    key = a_key(organization.org_id, await role_of(ports, organization.org_id))
    async with ports.accounts.change(organization.org_id) as change:
        await change.add_key(key)
        await change.set_state(OrganizationState.DELETED)
    with pytest.raises(OrganizationDeleted):
        await ports.accounts.organization(organization.org_id)
    with pytest.raises(OrganizationDeleted):
        async with ports.accounts.change(organization.org_id):
            pass
    holder = await ports.holders.find([key.digest])
    assert holder is not None
    assert holder.organization.state is OrganizationState.DELETED


async def test_a_digest_moves_to_another_pepper_once_and_leaves_the_auth_version(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    key = a_key(organization.org_id, await role_of(ports, organization.org_id), pepper="a")
    async with ports.accounts.change(organization.org_id) as change:
        await change.add_key(key)
    before = (await ports.accounts.organization(organization.org_id)).av

    await asyncio.gather(*(ports.holders.rewrite_digest(key, pepper="b", digest="bb" * 32) for _ in range(3)))
    await ports.holders.rewrite_digest(key, pepper="c", digest="cc" * 32)  # decided on a row that is no longer so

    assert await ports.holders.find([key.digest, "cc" * 32]) is None
    holder = await ports.holders.find(["bb" * 32])
    assert holder is not None
    assert holder.key.pepper == "b"
    assert holder.organization.av == before


async def test_every_write_leaves_its_line_in_the_audit_log_and_nothing_else_does(ports: Ports) -> None:
    organization, other = await an_organization(ports.accounts), await an_organization(ports.accounts)
    async with ports.accounts.change(organization.org_id) as change:
        owner = await change.role_named("owner")
        asking = a_key(organization.org_id, owner)
        await change.add_key(asking)
    by = Actor(key_id=asking.key_id, address="203.0.113.7")
    async with ports.accounts.change(organization.org_id, by) as change:
        role = Role(role_id=uuid7(), org_id=organization.org_id, name="mine", granted=frozenset({"api_chats_list"}))
        await change.add_role(role)
        narrowed = msgspec.structs.replace(role, granted=frozenset(), name="ours")
        await change.replace_role(role, narrowed)
        await change.remove_role(narrowed, NOW)
        key = a_key(organization.org_id, owner)
        await change.add_key(key, replaces=asking.key_id)
        await change.update_key(key, msgspec.structs.replace(key, label="other"))
        await change.revoke_key(key.key_id, NOW)
        await change.rename("Other")
        await change.set_state(OrganizationState.SUSPENDED)
        await change.set_subscription(Subscription(version=1))
    with pytest.raises(RuntimeError):
        async with ports.accounts.change(organization.org_id, by) as change:
            await change.rename("never")
            raise RuntimeError

    entries = await ports.accounts.audit_page(organization.org_id, limit=100, before=None)

    assert [each.action for each in reversed(entries)] == [
        "organization.create", "user.create", "key.create", "role.create", "role.update", "role.delete", "key.create",
        "key.update", "key.revoke", "organization.update", "organization.set_state",
    ]  # fmt: skip
    assert {(each.by, each.key_id, each.address) for each in entries[:-3]} == {("key", by.key_id, by.address)}
    assert {(each.by, each.key_id, each.address) for each in entries[-3:]} == {("operator", None, "")}
    assert entries[6].details == {"removed": ["api_chats_list"], "added": [], "name": {"from": "mine", "to": "ours"}}
    assert entries[3].details == {"label": {"from": "a label", "to": "other"}}
    page = await ports.accounts.audit_page(organization.org_id, limit=2, before=entries[4].entry_id)
    assert page == entries[5:7]
    assert len(await ports.accounts.audit_page(other.org_id, limit=100, before=None)) == 2


async def test_a_removed_role_is_found_no_more_and_its_name_is_free(ports: Ports) -> None:
    organization, other = await an_organization(ports.accounts), await an_organization(ports.accounts)
    async with ports.accounts.change(organization.org_id) as change:
        role = Role(role_id=uuid7(), org_id=organization.org_id, name="mine")
        await change.add_role(role)
        key = a_key(organization.org_id, role)
        await change.add_key(key)
        assert await change.is_in_use(role, NOW)
        assert await change.count_keys(NOW) == 1
        await change.revoke_key(key.key_id, NOW)
        assert not await change.is_in_use(role, NOW)
        assert await change.count_keys(NOW) == 0
        before = await change.count_roles()
        await change.remove_role(role, NOW)
        assert await change.count_roles() == before - 1
        with pytest.raises(NotFound):
            await change.role(role.role_id)
        with pytest.raises(NotFound):
            await change.role_named("mine")
        await change.add_role(Role(role_id=uuid7(), org_id=organization.org_id, name="Mine"))
        assert (await change.holder(key.key_id)).role is not None
    async with ports.accounts.change(other.org_id) as change:
        for attempt in (change.role(role.role_id), change.holder(key.key_id)):
            with pytest.raises(NotFound):
                await attempt
    listed = await ports.accounts.listed_key(organization.org_id, key.key_id)
    assert listed.role_name == "mine"
    assert await ports.accounts.key_page(organization.org_id, limit=1, offset=0) == ([listed], 1)
    assert await ports.accounts.key_page(organization.org_id, limit=1, offset=1) == ([], 1)
    with pytest.raises(NotFound):
        await ports.accounts.listed_key(other.org_id, key.key_id)

"""One suite for the creators in memory and those on Postgres."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from libs.common.contracts.takedowns import CreatorDeleted
from libs.common.ids import uuid7
from services.takedowns.domain.errors import EmailTaken
from tests.contract.takedowns.conftest import ORG, Ports, a_creator

OTHER = uuid.UUID(int=8)


async def test_what_was_added_is_found_by_its_organization_only(ports: Ports) -> None:
    creator = await ports.creator()
    assert creator.id > 0
    assert creator.created_at is not None
    assert [link.handle for link in creator.links] == ["luna", "Luna.Vale"], "in their order, as they were spelt"
    assert await ports.creators.find(OTHER, creator.public_id) is None
    assert await ports.creators.find(ORG, uuid7()) is None
    async with ports.creators.exclusive(ORG) as tx:
        assert await tx.find(creator.public_id) == creator
        assert await tx.by_email([creator.email_key, "nobody@example.com"]) == {creator.email_key: creator}
    async with ports.creators.exclusive(OTHER) as tx:
        assert await tx.by_email([creator.email_key]) == {}


async def test_an_update_writes_all_of_it_and_the_address_is_one_creators(ports: Ports) -> None:
    first, second = await ports.creator("First"), await ports.creator("Second")
    changed = msgspec.structs.replace(first, stage_name="Renamed", notes="n", links=first.links[:1])
    async with ports.creators.exclusive(ORG) as tx:
        await tx.update([changed])
    found = await ports.creators.find(ORG, first.public_id)
    assert found is not None
    assert (found.stage_name, found.notes, found.links) == ("Renamed", "n", first.links[:1])
    stolen = msgspec.structs.replace(second, email_key=first.email_key)
    with pytest.raises(EmailTaken):
        async with ports.creators.exclusive(ORG) as tx:
            await tx.update([stolen])
    with pytest.raises(EmailTaken):
        async with ports.creators.exclusive(ORG) as tx:
            await tx.add([a_creator(email=first.email_key)])
    async with ports.creators.exclusive(OTHER) as tx:
        await tx.add([a_creator(email=first.email_key, org_id=OTHER)])  # an organization's own matter


async def test_what_is_raised_undoes_all(ports: Ports) -> None:
    creator = await ports.creator()
    with pytest.raises(ZeroDivisionError):
        async with ports.creators.exclusive(ORG) as tx:
            await tx.delete(creator)
            await tx.tell(CreatorDeleted(org_id=ORG, creator_id=creator.public_id))
            raise ZeroDivisionError
    assert await ports.creators.find(ORG, creator.public_id) is not None
    assert await ports.said() == []


async def test_pages_are_oldest_first_and_empty_past_the_end(ports: Ports) -> None:
    made = [await ports.creator(f"C{n}") for n in range(5)]
    await ports.delete(made[1].public_id)
    page, total = await ports.creators.page(ORG, limit=2, offset=1)
    assert ([c.stage_name for c in page], total) == (["C2", "C3"], 4)
    page, total = await ports.creators.page(ORG, limit=2, offset=9)
    assert (list(page), total) == ([], 4)
    assert (await ports.creators.page(OTHER, limit=2, offset=0))[1] == 0


async def test_a_deleted_creator_frees_its_address_and_loses_its_data_later(ports: Ports) -> None:
    creator = await ports.creator()
    await ports.delete(creator.public_id)
    assert await ports.creators.find(ORG, creator.public_id) is None
    async with ports.creators.exclusive(ORG) as tx:
        await tx.add([a_creator(email=creator.email)])
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert await ports.creators.purge(deleted_before=soon - timedelta(days=30), limit=10) == 0
    assert await ports.creators.purge(deleted_before=soon, limit=10) == 1
    assert await ports.creators.purge(deleted_before=soon, limit=10) == 0, "once"


@pytest.mark.parametrize(("search", "found"), [("", 3), ("lun", 2), ("%", 1), ("_", 0), ("\\", 0)])
async def test_stats_take_their_search_literally(ports: Ports, search: str, found: int) -> None:
    for name in ("Luna", "LUNATIC", "100% Vale"):
        await ports.creator(name)
    stats = await ports.creators.stats(ORG, search=search)
    assert len(stats) == found
    assert all((each.total_urls, each.new_urls) == (0, 0) for each in stats)


async def test_two_changes_of_one_organization_do_not_overlap(ports: Ports) -> None:
    order = []

    async def change(name: str) -> None:
        async with ports.creators.exclusive(ORG) as tx:
            order.append(name)
            await asyncio.sleep(0.02)
            await tx.by_email(["a"])
            order.append(name)

    await asyncio.gather(change("a"), change("b"))
    assert order in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


async def test_what_hangs_on_a_creator_is_nothing_at_first(ports: Ports) -> None:
    assert await ports.creators.associated(await ports.creator()) == (0, 0)

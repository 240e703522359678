"""Registering, changing and deleting creators, on doubles."""

from typing import Any

import pytest

from libs.common.contracts.creators import (
    CreatorInput,
    DeleteCreator,
    GetCreator,
    GetCreatorStats,
    ListCreators,
    OfficialLink,
    SubmitCreators,
    UpdateCreator,
)
from libs.common.ids import uuid7
from services.takedowns.domain.errors import CreatorNotFound, EmailTaken, InvalidRequest
from services.takedowns.usecases.manage_creators import PAGE_MAX, ManageCreators
from services.takedowns.usecases.register_creators import RegisterCreators
from tests.support.takedowns_memory import Memory, MemoryCreators
from tests.support.takedowns_world import LINKS, ORG


def said(email: str = "a@example.com", **changes: Any) -> CreatorInput:
    return CreatorInput(**{"stage_name": "Luna", "email": email, "official_links": LINKS} | changes)


class Desk:
    def __init__(self) -> None:
        self.memory = Memory()
        self.creators = MemoryCreators(self.memory)
        self.manage = ManageCreators(self.creators)

    async def register(self, *creators: CreatorInput) -> tuple[int, int]:
        done = await RegisterCreators(self.creators)(SubmitCreators(org_id=ORG, creators=creators))
        return done.created, done.updated


async def test_the_same_address_twice_in_a_request_counts_as_sent_twice() -> None:
    desk = Desk()
    assert await desk.register(said(stage_name="First"), said("A@Example.com", stage_name="Last")) == (1, 1)
    (creator,) = desk.memory.living(ORG)
    assert (creator.stage_name, creator.email) == ("Last", "A@Example.com")


async def test_a_resend_changes_nothing_and_what_is_left_out_stays() -> None:
    desk = Desk()
    await desk.register(said(notes="n", legal_name="Jane"))
    (before,) = desk.memory.living(ORG)
    assert await desk.register(said(notes="n", legal_name="Jane")) == (0, 1)
    assert desk.memory.living(ORG) == [before]
    await desk.register(said(legal_name=None))
    (after,) = desk.memory.living(ORG)
    assert (after.notes, after.legal_name) == ("n", None)


async def test_one_bad_item_writes_nothing_and_is_named() -> None:
    desk = Desk()
    with pytest.raises(InvalidRequest, match=r"creators\[1\]\.email"):
        await desk.register(said(), said("nonsense"))
    assert desk.memory.living(ORG) == []


@pytest.mark.parametrize("count", [0, 501])
async def test_none_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(InvalidRequest):
        await Desk().register(*(said(f"{n}@example.com") for n in range(count)))


async def test_a_change_needs_something_to_change_and_an_address_that_is_free() -> None:
    desk = Desk()
    await desk.register(said(), said("b@example.com"))
    first, _ = desk.memory.living(ORG)
    with pytest.raises(InvalidRequest):
        await desk.manage.update(UpdateCreator(org_id=ORG, creator_id=first.public_id))
    with pytest.raises(EmailTaken):
        await desk.manage.update(UpdateCreator(org_id=ORG, creator_id=first.public_id, email="B@example.com"))
    links = (OfficialLink("fansly", "new"),)
    answer = await desk.manage.update(UpdateCreator(org_id=ORG, creator_id=first.public_id, official_links=links))
    assert (answer.creator.official_links, answer.creator.stage_name) == (links, "Luna")


async def test_another_organizations_creator_is_not_found() -> None:
    desk = Desk()
    await desk.register(said())
    (creator,) = desk.memory.living(ORG)
    other = uuid7()
    with pytest.raises(CreatorNotFound):
        await desk.manage.show(GetCreator(org_id=other, creator_id=creator.public_id))
    with pytest.raises(CreatorNotFound):
        await desk.manage.update(UpdateCreator(org_id=other, creator_id=creator.public_id, stage_name="x"))
    with pytest.raises(CreatorNotFound):
        await desk.manage.delete(DeleteCreator(org_id=other, creator_id=creator.public_id))
    assert (await desk.manage.page(ListCreators(org_id=other))).total == 0


async def test_a_dry_run_of_a_deletion_deletes_nothing() -> None:
    desk = Desk()
    await desk.register(said())
    (creator,) = desk.memory.living(ORG)
    asked = DeleteCreator(org_id=ORG, creator_id=creator.public_id, is_dry_run=True)
    assert not (await desk.manage.delete(asked)).is_deleted
    assert desk.memory.living(ORG) == [creator]
    assert desk.memory.tables.said == []


async def test_pages_are_cut_to_the_maximum() -> None:
    desk = Desk()
    await desk.register(*(said(f"{n}@example.com") for n in range(3)))
    page = await desk.manage.page(ListCreators(org_id=ORG, limit=PAGE_MAX + 1, offset=1))
    assert (len(page.creators), page.total) == (2, 3)
    assert (await desk.manage.page(ListCreators(org_id=ORG, limit=-1, offset=-1))).creators == ()


async def test_a_search_that_no_name_can_hold_finds_nothing() -> None:
    desk = Desk()
    await desk.register(said())
    assert (await desk.manage.stats(GetCreatorStats(org_id=ORG, search="\x00"))).stats == ()
    assert len((await desk.manage.stats(GetCreatorStats(org_id=ORG, search="LUN"))).stats) == 1

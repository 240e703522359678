"""The edge cases of creators, one test a row, on real Postgres."""

import asyncio
import time
import uuid
from typing import Any

import pytest
from msgspec import UNSET

from libs.common.contracts.creators import (
    CreatorInput,
    CreatorShown,
    CreatorsSubmitted,
    DeleteCreator,
    GetCreator,
    GetCreatorStats,
    ListCreators,
    OfficialLink,
    SubmitCreators,
    UpdateCreator,
)
from libs.common.contracts.takedowns import BatchRefunded, CreatorDeleted, UrlChanged
from services.takedowns.domain.errors import CreatorNotFound, EmailTaken, InvalidRequest
from tests.support.takedowns import LINKS, Takedowns

U = "https://piracy-site.com/a"


def said(**changes: Any) -> CreatorInput:
    return CreatorInput(**{"stage_name": "A", "email": "a@example.com", "official_links": LINKS, **changes})


async def register(takedowns: Takedowns, *creators: CreatorInput, org_id: uuid.UUID | None = None) -> tuple[int, int]:
    answer = await takedowns.do.register_creators(SubmitCreators(org_id=org_id or takedowns.org_id, creators=creators))
    assert isinstance(answer, CreatorsSubmitted)
    return answer.created, answer.updated


async def listed(takedowns: Takedowns, **window: int) -> tuple[CreatorShown, ...]:
    return (await takedowns.do.manage_creators.page(ListCreators(org_id=takedowns.org_id, **window))).creators


async def update(takedowns: Takedowns, creator_id: uuid.UUID, **changes: Any) -> CreatorShown:
    request = UpdateCreator(org_id=takedowns.org_id, creator_id=creator_id, **changes)
    return (await takedowns.do.manage_creators.update(request)).creator


async def delete(takedowns: Takedowns, creator_id: uuid.UUID, *, is_dry_run: bool = False) -> Any:
    request = DeleteCreator(org_id=takedowns.org_id, creator_id=creator_id, is_dry_run=is_dry_run)
    return await takedowns.do.manage_creators.delete(request)


async def test_R077_upsert_key_is_the_normalised_address_and_the_given_form_is_kept(takedowns: Takedowns) -> None:
    assert await register(takedowns, said(email="A@X.com")) == (1, 0)
    assert await register(takedowns, said(email="a@x.com")) == (0, 1)
    assert await register(takedowns, said(email="a+tag@x.com"), said(email="ü@faß.de")) == (2, 0)
    assert await register(takedowns, said(email="Ü@xn--fa-hia.de")) == (0, 1)
    assert [creator.email for creator in await listed(takedowns)] == ["a@x.com", "a+tag@x.com", "Ü@xn--fa-hia.de"]


async def test_same_email_twice_in_one_request_is_as_if_sent_twice(takedowns: Takedowns) -> None:
    first, last = said(notes="first", legal_name="Jane"), said(stage_name="B", email="A@example.com", notes="last")
    assert await register(takedowns, first, last) == (1, 1)
    (creator,) = await listed(takedowns)
    assert (creator.stage_name, creator.notes, creator.legal_name) == ("B", "last", "Jane")


async def test_R074_identical_resend_updates_nothing(takedowns: Takedowns) -> None:
    await register(takedowns, said())
    (before,) = await listed(takedowns)
    assert await register(takedowns, said()) == (0, 1)
    assert await listed(takedowns) == (before,)
    await register(takedowns, said(official_links=(*LINKS, OfficialLink("twitter", "x"))))
    (after,) = await listed(takedowns)
    assert after.updated_at > before.updated_at
    assert len(after.official_links) == 3


async def test_R079_R080_R081_field_absent_is_unchanged_null_is_cleared_and_links_are_replaced(
    takedowns: Takedowns,
) -> None:
    await register(takedowns, said(legal_name="Jane", notification_email="n@example.com", notes="x"))
    await register(takedowns, said(legal_name=None, official_links=(OfficialLink("fanvue", "z"),)))
    (creator,) = await listed(takedowns)
    assert (creator.legal_name, creator.notification_email, creator.notes) == (None, "n@example.com", "x")
    assert creator.official_links == (OfficialLink("fanvue", "z"),)


@pytest.mark.alone  # it measures time
async def test_R075_500_creators_are_taken_501_and_none_are_refused_and_one_bad_item_stops_all(
    takedowns: Takedowns,
) -> None:
    many = [said(email=f"c{n}@example.com") for n in range(501)]
    for wrong in ([], many):
        with pytest.raises(InvalidRequest, match="creators: 1 to 500"):
            await register(takedowns, *wrong)
    with pytest.raises(InvalidRequest, match=r"creators\[3\]\.email: not a valid address"):
        await register(takedowns, *many[:3], said(email="nobody"))
    assert await listed(takedowns) == ()
    started = time.perf_counter()
    assert await register(takedowns, *many[:500]) == (500, 0)
    assert time.perf_counter() - started < 2.0
    assert await register(takedowns, *many[:500]) == (0, 500)


@pytest.mark.parametrize(
    ("platform", "handle", "plain"),
    [
        ("onlyfans", " @Example ", "Example"),
        ("onlyfans", "https://onlyfans.com/example", "example"),
        ("onlyfans", "https://www.onlyfans.com/example/media?x=1", "example"),
        ("twitter", "https://x.com/@example", "example"),
        ("twitter", "twitter.com/example", "example"),
        ("reddit", "https://reddit.com/user/example/", "example"),
        ("tiktok", "https://www.tiktok.com/@example", "example"),
        ("other", "https://my-own-shop.com/about", "https://my-own-shop.com/about"),
    ],
)
async def test_official_links_are_brought_into_their_plain_form(
    takedowns: Takedowns, platform: str, handle: str, plain: str
) -> None:
    links = (OfficialLink(platform, handle), OfficialLink(platform, plain.upper()))
    await register(takedowns, said(official_links=links))
    (creator,) = await listed(takedowns)
    assert creator.official_links == (OfficialLink(platform, plain),)  # repeats are folded, the first spelling stays


@pytest.mark.parametrize(
    ("links", "place"),
    [
        ((), "official_links: 1 to 50"),
        (tuple(OfficialLink("other", f"h{n}") for n in range(51)), "official_links: 1 to 50"),
        ((OfficialLink("myspace", "a"),), r"official_links\[0\]\.platform"),
        ((OfficialLink("fansly", "@"),), r"official_links\[0\]\.handle"),
        ((OfficialLink("fansly", "a" * 256),), r"official_links\[0\]\.handle"),
        ((OfficialLink("fansly", "a\nb"),), r"official_links\[0\]\.handle"),
    ],
)
async def test_R078_official_links_that_are_wrong_are_named(
    takedowns: Takedowns, links: tuple[OfficialLink, ...], place: str
) -> None:
    with pytest.raises(InvalidRequest, match=rf"creators\[0\]\.{place}"):
        await register(takedowns, said(official_links=links))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"stage_name": ""}, "stage_name"),
        ({"stage_name": "a" * 256}, "stage_name"),
        ({"stage_name": "a\r\nBcc: x"}, "stage_name"),
        ({"email": "a@localhost"}, "email"),
        ({"email": "a\x00@example.com"}, "email"),
        ({"notification_email": "x"}, "notification_email"),
        ({"legal_name": "a\x00"}, "legal_name"),
        ({"notes": "a\x00"}, "notes"),
        ({"notes": "a" * 10_001}, "notes"),
    ],
)
async def test_R076_texts_that_cannot_be_kept_are_named(
    takedowns: Takedowns, changes: dict[str, str], place: str
) -> None:
    with pytest.raises(InvalidRequest, match=rf"creators\[0\]\.{place}:"):
        await register(takedowns, said(**changes))


async def test_R088_R089_R090_R091_R092_patch_keeps_what_is_absent_and_clears_what_is_null(
    takedowns: Takedowns,
) -> None:
    await register(takedowns, said(legal_name="Jane", notes="x"))
    (creator,) = await listed(takedowns)
    changed = await update(takedowns, creator.id, legal_name=None, stage_name="B")
    assert (changed.stage_name, changed.legal_name, changed.notes) == ("B", None, "x")
    assert changed.official_links == LINKS
    assert (await update(takedowns, creator.id, official_links=LINKS[:1])).official_links == LINKS[:1]
    for wrong in ({}, {"stage_name": ""}, {"email": "x"}, {"official_links": ()}):
        with pytest.raises(InvalidRequest):
            await update(takedowns, creator.id, **wrong)


async def test_patch_to_the_email_of_another_live_creator_is_409(takedowns: Takedowns) -> None:
    await register(takedowns, said(), said(email="b@example.com"))
    one, two = await listed(takedowns)
    with pytest.raises(EmailTaken):
        await update(takedowns, two.id, email="A@example.com")
    await delete(takedowns, one.id)
    assert (await update(takedowns, two.id, email="A@example.com")).email == "A@example.com"


async def test_R093_delete_is_soft_at_once_and_cancels_refunds_and_stops_what_follows(takedowns: Takedowns) -> None:
    creator_id = await takedowns.creator()
    urls = [f"{U}{n}" for n in range(250)]
    await takedowns.submit((creator_id, urls))
    await takedowns.carry()
    # given one whose notice went out
    sent = (await takedowns.url_ids(creator_id))[0]
    await takedowns.db.execute("UPDATE urls SET state = 4, first_notice_at = now() WHERE id = $1", sent)
    preview = await delete(takedowns, creator_id, is_dry_run=True)
    assert (preview.associated_urls, preview.associated_takedowns, preview.is_deleted) == (250, 0, False)
    # when
    answer = await delete(takedowns, creator_id)
    # then it is gone for its organization
    assert (answer.associated_urls, answer.is_deleted) == (250, True)
    for request in (delete(takedowns, creator_id), update(takedowns, creator_id, stage_name="x")):
        with pytest.raises(CreatorNotFound):
            await request
    with pytest.raises(CreatorNotFound):
        await takedowns.submit((creator_id, urls))
    # and what had not left is cancelled and refunded, in events of at most 100 and one line of the ledger
    told = await takedowns.carry()
    assert [message.creator_id for message in told if isinstance(message, CreatorDeleted)] == [creator_id]
    sizes = [len(message.changes) for message in told if isinstance(message, UrlChanged)]
    assert sorted(sizes) == [49, 100, 100]
    await takedowns.on.refunds.send(older_s=0, limit=10)
    assert [m.amount for m in await takedowns.carry() if isinstance(m, BatchRefunded)] == [249]
    assert await takedowns.balance() == 100_000 - 1
    states = await takedowns.db.fetch(
        "SELECT state, count(*), count(next_action_at) FROM urls GROUP BY state ORDER BY 1"
    )
    assert [tuple(row) for row in states] == [(4, 1, 0), (13, 249, 0)]


async def test_a_deleted_creators_email_is_free_for_another_with_a_dedupe_space_of_its_own(
    takedowns: Takedowns,
) -> None:
    await register(takedowns, said())
    (first,) = await listed(takedowns)
    await takedowns.submit((first.id, [U]))
    await delete(takedowns, first.id)
    assert await register(takedowns, said()) == (1, 0)
    (second,) = await listed(takedowns)
    assert second.id != first.id
    assert (await takedowns.submit((second.id, [U]))).new == 1


async def test_personal_data_go_after_30_days_and_counters_stay(takedowns: Takedowns) -> None:
    await register(takedowns, said(legal_name="Jane Doe", notes="x"))
    (creator,) = await listed(takedowns)
    await takedowns.submit((creator.id, [U]))
    await delete(takedowns, creator.id)
    assert await takedowns.do.purge_creators() == 0
    takedowns.billing.clock.skip(31 * 86_400)
    assert await takedowns.do.purge_creators() == 1
    row = await takedowns.db.fetchrow("SELECT stage_name, email, legal_name, notes FROM creators")
    assert row is not None
    assert tuple(row) == ("deleted", "deleted", None, None)
    assert await takedowns.count("creator_links") == 0
    assert await takedowns.db.fetchval("SELECT total FROM creator_stats") == 1


@pytest.mark.parametrize(
    ("search", "found"),
    [("", 3), ("100%", 1), ("a_b", 1), ("A_B", 1), ("%", 1), ("_", 1), ("\\", 1), ("x", 0), ("\x00", 0)],
)
async def test_R096_stats_search_takes_its_text_literally(takedowns: Takedowns, search: str, found: int) -> None:
    await register(
        takedowns, said(stage_name="100%", email="1@x.com"), said(stage_name="a_b", email="2@x.com"),
        said(stage_name="c\\d", email="3@x.com"),
    )  # fmt: skip
    request = GetCreatorStats(org_id=takedowns.org_id, search=search)
    assert len((await takedowns.do.manage_creators.stats(request)).stats) == found


async def test_another_organizations_id_is_not_found(takedowns: Takedowns) -> None:
    foreign = await takedowns.creator(org_id=uuid.uuid4())
    with pytest.raises(CreatorNotFound):
        await takedowns.do.manage_creators.show(GetCreator(org_id=takedowns.org_id, creator_id=foreign))
    with pytest.raises(CreatorNotFound):
        await delete(takedowns, foreign)


async def test_R084_R085_pages_are_oldest_first_cut_to_the_maximum_and_empty_past_the_end(takedowns: Takedowns) -> None:
    await register(takedowns, *(said(stage_name=f"c{n}", email=f"c{n}@x.com") for n in range(5)))
    assert [creator.stage_name for creator in await listed(takedowns, limit=2, offset=1)] == ["c1", "c2"]
    assert len(await listed(takedowns, limit=5_000)) == 5
    page = await takedowns.do.manage_creators.page(ListCreators(org_id=takedowns.org_id, offset=9))
    assert (page.creators, page.total) == ((), 5)


async def test_two_registrations_of_the_same_creators_at_once_make_each_once(takedowns: Takedowns) -> None:
    creators = [said(email=f"c{n}@x.com") for n in range(50)]
    outcomes = await asyncio.gather(*(register(takedowns, *creators[n:], *creators[:n]) for n in range(8)))
    assert sum(created for created, _ in outcomes) == 50
    assert len(await listed(takedowns, limit=100)) == 50


def test_nothing_said_is_unset() -> None:
    assert said().notes is UNSET


async def test_R082_the_nineteen_platforms_are_known(takedowns: Takedowns) -> None:
    names = [
        "onlyfans",
        "fansly",
        "fanvue",
        "manyvids",
        "chaturbate",
        "stripchat",
        "cam4",
        "bongacams",
        "livejasmin",
        "camsoda",
        "patreon",
        "twitter",
        "instagram",
        "tiktok",
        "reddit",
        "pornhub",
        "xvideos",
        "xhamster",
        "other",
    ]
    links = tuple(OfficialLink(name, "example") for name in names)
    await register(takedowns, said(official_links=links))
    (creator,) = await listed(takedowns)
    assert creator.official_links == links
    assert len(links) == 19

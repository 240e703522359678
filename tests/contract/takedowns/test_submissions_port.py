"""One suite for the batches and URLs in memory and those on Postgres."""

import asyncio
import uuid
from collections.abc import Sequence

import pytest

from libs.common.contracts.billing import CloseLease
from libs.common.contracts.takedowns import BatchAccepted, BatchDebited, UrlsSubmitted
from libs.common.ids import uuid7
from services.takedowns.domain.ports import NewBatch
from services.takedowns.domain.states import Event, State, sources
from services.takedowns.domain.submission import Candidate, Intake, Pair, Target, outcome_of, reply_of
from services.takedowns.domain.url import OwnProfiles, UrlReader
from tests.contract.takedowns.conftest import ORG, Ports, a_batch, owner_of

URLS = tuple(f"https://leaks.example.com/{n}" for n in range(4))
READER = UrlReader([])


def intake_of(target: Target, urls: Sequence[str] = URLS) -> Intake:
    intake = Intake(READER)
    intake.add(target, OwnProfiles((), READER), urls)
    return intake


def sorted_candidates(intake: Intake) -> dict[Pair, Candidate]:
    return {pair: intake.candidates[pair] for pair in sorted(intake.candidates)}


async def store(ports: Ports, batch: NewBatch, intake: Intake) -> set[Pair]:
    """Everything of a submission whose credits are set aside."""
    await ports.submissions.add_hosts(intake.sites)
    hosts = await ports.submissions.hosts(list(intake.sites))
    async with ports.submissions.transaction() as tx:
        assert await tx.hold_batch(batch.id)
        stored = set(await tx.add_urls(batch.id, sorted_candidates(intake), hosts))
        outcome = outcome_of(intake, stored, ())
        reply = reply_of(batch.id, outcome, {})
        await tx.settle(
            batch.id, status="accepted", outcome=outcome, debited=len(stored), reply=reply, invalid=intake.samples
        )  # fmt: skip
        await tx.tell(ORG, BatchDebited(org_id=ORG, batch_id=batch.id, amount=len(stored)))
    return stored


async def a_stored_batch(ports: Ports, target: Target, urls: Sequence[str] = URLS) -> uuid.UUID:
    batch, intake = a_batch(), intake_of(target, urls)
    assert await ports.submissions.begin(batch, len(intake.candidates))
    await store(ports, batch, intake)
    return batch.id


async def test_targets_are_the_organizations_own_and_alive(ports: Ports) -> None:
    mine, other = await ports.target(), await ports.creator(org_id=uuid.UUID(int=8))
    gone = await ports.target("Gone")
    await ports.delete(gone.public_id)
    ids = [mine.public_id, other.public_id, gone.public_id, uuid7()]
    assert await ports.submissions.targets(ORG, ids) == {mine.public_id: mine}
    assert [link.platform for link in mine.links] == ["onlyfans", "fansly"]


async def test_a_batch_begins_once_and_is_dropped_or_shrunk_while_it_leases(ports: Ports) -> None:
    batch = a_batch()
    assert await ports.submissions.batch(batch.id) is None
    assert await ports.submissions.begin(batch, 4)
    assert not await ports.submissions.begin(batch, 4)
    known = await ports.submissions.batch(batch.id)
    assert known is not None
    assert (known.org_id, known.status, known.reply) == (ORG, "leasing", None)
    await ports.submissions.shrink(batch.id, 3)
    assert list(await ports.submissions.stuck(older_s=0, limit=10)) == [batch.id]
    assert list(await ports.submissions.stuck(older_s=120, limit=10)) == []
    await ports.submissions.drop(batch.id)
    assert await ports.submissions.batch(batch.id) is None
    assert await ports.said() == []


async def test_what_is_stored_is_known_and_what_is_settled_stays(ports: Ports) -> None:
    target = await ports.target()
    intake = intake_of(target, [*URLS, "ftp://no.example.com/"])
    pairs = list(intake.candidates)
    assert list((await ports.submissions.known(pairs)).all) == []
    batch = a_batch()
    await ports.submissions.begin(batch, 4)
    assert await store(ports, batch, intake) == set(pairs)
    known = await ports.submissions.known([*pairs, (target.id, b"\x00" * 16)])
    assert (set(known.all), list(known.removed)) == (set(pairs), [])
    settled = await ports.submissions.batch(batch.id)
    assert settled is not None
    assert settled.status == "accepted"
    assert isinstance(settled.reply, UrlsSubmitted)
    assert settled.reply.new == 4
    await ports.submissions.drop(batch.id)
    await ports.submissions.give_up(batch.id)
    assert await ports.submissions.batch(batch.id) == settled
    async with ports.submissions.transaction() as tx:
        assert not await tx.hold_batch(batch.id)
        assert not await tx.add_free_batch(batch)
    shown = await ports.batches.show(ORG, batch.id)
    assert shown is not None
    assert (shown.batch.debited, shown.states, [each.reason for each in shown.invalid]) == (
        4,
        {"queued": 4},
        ["scheme"],
    )
    (stats,) = await ports.creators.stats(ORG, search="")
    assert (stats.total_urls, stats.new_urls, stats.duplicate_urls, stats.invalid_urls) == (5, 4, 0, 1)
    creator = await ports.creators.find(ORG, target.public_id)
    assert creator is not None
    assert await ports.creators.associated(creator) == (4, 0)


async def test_what_another_stored_meanwhile_is_left_out(ports: Ports) -> None:
    target = await ports.target()
    await a_stored_batch(ports, target, URLS[:3])
    batch, intake = a_batch(), intake_of(target)
    await ports.submissions.begin(batch, 4)
    stored = await store(ports, batch, intake)
    assert [intake.candidates[pair].href for pair in stored] == [URLS[3]]
    known = await ports.submissions.batch(batch.id)
    assert known is not None
    assert known.reply is not None
    assert (known.reply.new, known.reply.duplicate) == (1, 3)


async def test_what_is_raised_undoes_all_of_a_transaction(ports: Ports) -> None:
    target, batch = await ports.target(), a_batch()
    intake = intake_of(target)
    await ports.submissions.begin(batch, 4)
    await ports.submissions.add_hosts(intake.sites)
    hosts = await ports.submissions.hosts(list(intake.sites))
    with pytest.raises(ZeroDivisionError):
        async with ports.submissions.transaction() as tx:
            await tx.add_urls(batch.id, sorted_candidates(intake), hosts)
            await tx.tell(ORG, BatchDebited(org_id=ORG, batch_id=batch.id, amount=4))
            raise ZeroDivisionError
    assert list((await ports.submissions.known(list(intake.candidates))).all) == []
    assert await ports.said() == []


async def test_creators_that_are_gone_are_not_held(ports: Ports) -> None:
    mine, gone = await ports.target(), await ports.target("Gone")
    await ports.delete(gone.public_id)
    async with ports.submissions.transaction() as tx:
        assert await tx.hold_creators([mine.id, gone.id]) == {mine.id}


async def test_giving_up_a_batch_of_which_nothing_is_stored_closes_its_lease_once(ports: Ports) -> None:
    batch = a_batch()
    await ports.submissions.begin(batch, 4)
    await asyncio.gather(*(ports.submissions.give_up(batch.id) for _ in range(4)))
    await ports.submissions.give_up(uuid7())
    known = await ports.submissions.batch(batch.id)
    assert known is not None
    assert (known.status, known.reply) == ("failed", None)
    assert await ports.said() == [CloseLease(org_id=ORG, lease_id=batch.id)]


async def test_giving_up_a_batch_of_which_a_part_is_stored_debits_that(ports: Ports) -> None:
    target, batch = await ports.target(), a_batch()
    intake = intake_of(target, URLS[:3])
    await ports.submissions.begin(batch, 4)
    await ports.submissions.add_hosts(intake.sites)
    hosts = await ports.submissions.hosts(list(intake.sites))
    async with ports.submissions.transaction() as tx:
        await tx.add_urls(batch.id, sorted_candidates(intake), hosts)
    assert await ports.refunds.is_under_way(owner_of(target))
    await ports.submissions.give_up(batch.id)
    await ports.submissions.give_up(batch.id)
    debited, accepted = await ports.said()
    assert isinstance(debited, BatchDebited)
    assert isinstance(accepted, BatchAccepted)
    assert (debited.amount, accepted.new) == (3, 3)
    shown = await ports.batches.show(ORG, batch.id)
    assert shown is not None
    assert (shown.batch.status, shown.batch.debited) == ("partial", 3)
    assert not await ports.refunds.is_under_way(owner_of(target))
    (stats,) = await ports.creators.stats(ORG, search="")
    assert (stats.total_urls, stats.new_urls) == (3, 3)


async def test_replies_are_forgotten_after_a_day(ports: Ports) -> None:
    batch_id = await a_stored_batch(ports, await ports.target())
    await ports.submissions.forget_replies()
    known = await ports.submissions.batch(batch_id)
    assert known is not None
    assert known.reply is not None
    await ports.a_day_later()
    await ports.submissions.forget_replies()
    known = await ports.submissions.batch(batch_id)
    assert known is not None
    assert known.reply is None


async def test_hosts_are_made_once(ports: Ports) -> None:
    assert await ports.submissions.hosts([]) == {}
    await asyncio.gather(*(ports.submissions.add_hosts({"a.example.com": "example.com"}) for _ in range(3)))
    found = await ports.submissions.hosts(["a.example.com", "b.example.com"])
    assert list(found) == ["a.example.com"]
    await ports.submissions.add_hosts({"a.example.com": "example.com", "b.example.com": "example.com"})
    again = await ports.submissions.hosts(["a.example.com", "b.example.com"])
    assert again["a.example.com"] == found["a.example.com"]
    assert again["b.example.com"].id != found["a.example.com"].id


async def test_batches_are_listed_newest_first_for_their_organization(ports: Ports) -> None:
    batches = [a_batch() for _ in range(3)]
    for batch in batches:
        await ports.submissions.begin(batch, 1)
    page = await ports.batches.page(ORG, limit=2, after=None)
    assert [shown.batch_id for shown in page] == [batches[2].id, batches[1].id]
    (last,) = await ports.batches.page(ORG, limit=2, after=page[-1].batch_id)
    assert (last.batch_id, last.notes, last.status) == (batches[0].id, "weekly", "leasing")
    assert list(await ports.batches.page(uuid.UUID(int=8), limit=2, after=None)) == []
    assert await ports.batches.show(uuid.UUID(int=8), batches[0].id) is None


POISONED = sources(Event.POISONED)


async def test_a_refund_is_given_once_whoever_asks_and_how_often(ports: Ports) -> None:
    target = await ports.target()
    batch_id = await a_stored_batch(ports, target)
    owner = owner_of(target)
    ids = list(await ports.refunds.refundable(owner, limit=10))
    assert len(ids) == 4
    ask = [
        ports.refunds.refund(owner, ids[:3], to=State.FAILED_REFUNDED, sources=POISONED, reason="x") for _ in range(4)
    ]
    assert sorted(await asyncio.gather(*ask)) == [0, 0, 0, 3]
    assert await ports.refunds.send(older_s=0, limit=10) == 1
    assert await ports.refunds.send(older_s=0, limit=10) == 0
    shown = await ports.batches.show(ORG, batch_id)
    assert shown is not None
    assert (shown.batch.refunded, shown.states) == (3, {"failed_refunded": 3, "queued": 1})
    told = (await ports.said())[-1]
    assert (told.__class__.__name__, getattr(told, "amount", None)) == ("BatchRefunded", 3)
    assert list(await ports.refunds.refundable(owner, limit=10)) == ids[3:]


async def test_what_a_notice_left_for_or_is_in_another_state_or_anothers_is_not_refunded(ports: Ports) -> None:
    target, stranger = await ports.target(), await ports.target("Stranger")
    await a_stored_batch(ports, target)
    first, *rest = await ports.refunds.refundable(owner_of(target), limit=10)
    await ports.notice_left(first)
    assert first not in await ports.refunds.refundable(owner_of(target), limit=10)
    to, reason = State.FAILED_REFUNDED, "x"
    assert await ports.refunds.refund(owner_of(target), [first], to=to, sources=POISONED, reason=reason) == 0
    assert await ports.refunds.refund(owner_of(target), rest, to=to, sources=[State.READY], reason=reason) == 0
    assert await ports.refunds.refund(owner_of(stranger), rest, to=to, sources=POISONED, reason=reason) == 0


async def test_urls_of_a_batch_that_is_not_settled_are_left_alone(ports: Ports) -> None:
    target, batch = await ports.target(), a_batch()
    intake = intake_of(target)
    await ports.submissions.begin(batch, 4)
    await ports.submissions.add_hosts(intake.sites)
    hosts = await ports.submissions.hosts(list(intake.sites))
    async with ports.submissions.transaction() as tx:
        await tx.add_urls(batch.id, sorted_candidates(intake), hosts)
    ids = await ports.refunds.refundable(owner_of(target), limit=10)
    ended = await ports.refunds.refund(
        owner_of(target), ids, to=State.CANCELLED, sources=sources(Event.CANCELLED), reason="x"
    )
    assert ended == 0


async def test_what_was_refunded_is_new_again(ports: Ports) -> None:
    target = await ports.target()
    first = await a_stored_batch(ports, target)
    ids = await ports.refunds.refundable(owner_of(target), limit=10)
    await ports.refunds.refund(
        owner_of(target), ids[:2], to=State.CANCELLED, sources=sources(Event.CANCELLED), reason="x"
    )
    known = await ports.submissions.known(list(intake_of(target).candidates))
    assert len(known.all) == 2
    second = await a_stored_batch(ports, target)
    shown = [await ports.batches.show(ORG, id_) for id_ in (first, second)]
    assert [each.states if each else None for each in shown] == [{"queued": 2}, {"queued": 2}]
    assert list(await ports.refunds.refundable(owner_of(target), limit=10)) != []


async def test_a_deleted_creator_is_found_by_its_organization(ports: Ports) -> None:
    target = await ports.target()
    assert await ports.refunds.deleted_creator(ORG, target.public_id) is None
    await ports.delete(target.public_id)
    assert await ports.refunds.deleted_creator(ORG, target.public_id) == owner_of(target)
    assert await ports.refunds.deleted_creator(uuid.UUID(int=8), target.public_id) is None
    await ports.refunds.stop(owner_of(target))

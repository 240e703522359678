"""The port `Progress` on Postgres: hosts, who resolves them, and the directory."""

import asyncio
import ipaddress
from datetime import datetime, timedelta

import msgspec
import pytest

from libs.common.contracts.takedowns import ResolveHost
from services.takedowns.domain.host import RDAP_FRESH, Entry, HostFacts, Kind, Method, Source
from services.takedowns.domain.progress_ports import HostFound, HostRow, Progress
from tests.support.takedowns_rows import HOST, NOW, Rows

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
UNTIL = NOW + timedelta(minutes=5)
FOUND = HostFound(
    facts=HostFacts(
        host=HOST, site="example.com", registrar_name="R", registrar_email="abuse@r.example", hoster_name="H",
        hoster_email="abuse@h.example", cdn="cdn",
    ),
    entry=None, addresses=(ipaddress.ip_address("93.184.216.34"),), registrar_iana=7, compliance="slow", is_confirmed=True,
    again_at=None,
)  # fmt: skip


async def claim(progress: Progress, host_id: int, at: datetime = NOW) -> HostRow | None:
    return await progress.claim_host(host_id, now=at, until=at + timedelta(minutes=5))


async def settle(progress: Progress, host_id: int, found: HostFound = FOUND, *, at: datetime = NOW) -> None:
    async with progress.transaction() as tx:
        await tx.settle_host(host_id, found, now=at)


async def show(progress: Progress, host_id: int) -> HostRow:
    async with progress.transaction() as tx:
        return (await tx.hosts([host_id]))[host_id]


async def test_a_host_is_resolved_by_one_until_its_time_is_up(rows: Rows, progress: Progress) -> None:
    host_id = await rows.host(resolve_after=NOW)
    claims = await asyncio.gather(*(claim(progress, host_id) for _ in range(4)))
    (host,) = [host for host in claims if host is not None]
    assert (host.id, host.facts.host, host.first_tried_at, host.resolve_tries) == (host_id, HOST, NOW, 0)
    assert await claim(progress, host_id, UNTIL - SECOND) is None
    again = await claim(progress, host_id, UNTIL + SECOND)
    assert again is not None
    assert again.first_tried_at == NOW, "the first stays the first"
    assert await claim(progress, host_id + 1) is None


async def test_hosts_whose_time_has_come_are_found_the_longest_waiting_first(rows: Rows, progress: Progress) -> None:
    ids = [await rows.host(f"{n}.example.com", resolve_after=NOW - n * HOUR) for n in range(3)]
    await rows.host("later.example.com", resolve_after=NOW + HOUR)
    await rows.host("done.example.com")
    assert list(await progress.hosts_to_resolve(now=NOW, limit=9)) == ids[::-1]
    assert list(await progress.hosts_to_resolve(now=NOW, limit=1)) == [ids[2]]
    await claim(progress, ids[2])
    assert list(await progress.hosts_to_resolve(now=NOW, limit=9)) == [ids[1], ids[0]]
    assert list(await progress.hosts_to_resolve(now=UNTIL + SECOND, limit=9)) == ids[::-1]


async def test_before_its_time_nothing_is_done_for_a_host(rows: Rows, progress: Progress) -> None:
    host_id = await rows.host(resolve_after=NOW)
    async with progress.transaction() as tx:
        await tx.postpone_host(host_id, until=NOW + HOUR)
    assert await claim(progress, host_id) is None
    assert await claim(progress, host_id, NOW + HOUR) is not None
    await settle(progress, host_id)
    assert await claim(progress, host_id, NOW + RDAP_FRESH) is None
    assert await claim(progress, host_id, NOW + RDAP_FRESH + SECOND) is not None, "what was found is out of date"


async def test_a_host_that_is_needed_is_due_and_somebody_is_told(rows: Rows, progress: Progress) -> None:
    idle, later = await rows.host(), await rows.host("later.example.com", resolve_after=NOW + HOUR)
    async with progress.transaction() as tx:
        for host_id in (idle, later):
            await tx.need_host(host_id, now=NOW)
        assert await rows.said() == []
    assert await rows.said() == [ResolveHost(host_id=idle), ResolveHost(host_id=later)]
    assert list(await progress.hosts_to_resolve(now=NOW, limit=9)) == [idle]
    assert (await show(progress, later)).resolve_after == NOW + HOUR, "the time that was set for it stays"


async def test_whoever_resolved_a_host_has_it_in_hand_no_more(rows: Rows, progress: Progress) -> None:
    host_id = await rows.host(resolve_after=NOW)
    assert await claim(progress, host_id) is not None
    await settle(progress, host_id, msgspec.structs.replace(FOUND, again_at=NOW + SECOND))
    assert await claim(progress, host_id, NOW + SECOND) is not None, "its time has come, however fresh it is"
    async with progress.transaction() as tx:
        await tx.postpone_host(host_id, until=NOW + 2 * SECOND)
    assert await claim(progress, host_id, NOW + 2 * SECOND) is not None


async def test_a_search_begins_anew_once_somebody_was_found(rows: Rows, progress: Progress) -> None:
    host_id = await rows.host(resolve_after=NOW)
    for n in range(3):
        assert await claim(progress, host_id, NOW + n * HOUR) is not None
        await settle(progress, host_id, msgspec.structs.replace(FOUND, again_at=NOW + (n + 1) * HOUR))
    host = await show(progress, host_id)
    assert (host.resolve_tries, host.first_tried_at) == (3, NOW)
    await settle(progress, host_id)
    host = await show(progress, host_id)
    assert (host.resolve_tries, host.first_tried_at) == (1, None)
    later = NOW + 2 * RDAP_FRESH
    claimed = await claim(progress, host_id, later)
    assert claimed is not None
    assert claimed.first_tried_at == later


async def test_what_was_found_is_kept(rows: Rows, progress: Progress) -> None:
    host_id = await rows.host(resolve_after=NOW)
    assert not (await show(progress, host_id)).has_contact
    await settle(progress, host_id)
    host = await show(progress, host_id)
    assert host.facts == msgspec.structs.replace(FOUND.facts, resolved_at=NOW)
    assert (host.compliance, host.has_contact, host.has_entry) == ("slow", True, False)
    assert (host.addresses, host.resolve_tries, host.resolve_after) == (("93.184.216.34",), 1, None)


async def test_a_host_of_the_directory_has_its_entry(rows: Rows, progress: Progress) -> None:
    await rows.entry()
    (entry,) = await progress.directory()
    host_id = await rows.host()
    bare = HostFacts(host=HOST, site="example.com")
    for found, has_entry in ((entry, True), (None, False)):
        await settle(progress, host_id, msgspec.structs.replace(FOUND, facts=bare, entry=found))
        host = await show(progress, host_id)
        assert (host.has_entry, host.has_contact) == (has_entry, has_entry)


async def test_what_no_registry_confirmed_stays_as_old_as_it_was(rows: Rows, progress: Progress) -> None:
    host_id = await rows.host(resolve_after=NOW)
    await settle(progress, host_id)
    unsure = msgspec.structs.replace(FOUND, is_confirmed=False, compliance=None, again_at=NOW + DAY)
    await settle(progress, host_id, unsure, at=NOW + HOUR)
    host = await show(progress, host_id)
    assert (host.facts.resolved_at, host.compliance) == (NOW, "slow")
    assert (host.resolve_tries, host.resolve_after) == (2, NOW + DAY)


async def test_a_try_that_came_to_nothing_leaves_what_was_known(rows: Rows, progress: Progress) -> None:
    host_id = await rows.host(resolve_after=NOW)
    await settle(progress, host_id)
    known = await show(progress, host_id)
    assert await claim(progress, host_id, NOW + RDAP_FRESH + SECOND) is not None
    async with progress.transaction() as tx:
        await tx.postpone_host(host_id, until=NOW + 9 * DAY)
    host = await show(progress, host_id)
    assert (host.facts, host.compliance, host.addresses) == (known.facts, known.compliance, known.addresses)
    assert (host.resolve_tries, host.resolve_after) == (2, NOW + 9 * DAY)


async def test_the_record_of_a_host_adds_up(rows: Rows, progress: Progress) -> None:
    host_id, other_id = await rows.host(), await rows.host("other.example.com")

    async def count() -> None:
        async with progress.transaction() as tx:
            await tx.count_host(host_id, sent=1, acked=1)
            await tx.count_host(host_id, removed=2)

    await asyncio.gather(*(count() for _ in range(4)))
    found = await rows.db.fetch("SELECT id, sent, acked, removed FROM hosts ORDER BY id")
    assert [tuple(row) for row in found] == [(host_id, 4, 4, 8), (other_id, 0, 0, 0)]


async def test_hosts_are_found_by_id(rows: Rows, progress: Progress) -> None:
    ids = [await rows.host(name) for name in (HOST, "other.example.com")]
    async with progress.transaction() as tx:
        found = await tx.hosts([*ids, 0])
    assert {id_: host.facts.host for id_, host in found.items()} == {ids[0]: HOST, ids[1]: "other.example.com"}


async def learn(rows: Rows, progress: Progress, form_url: str) -> Entry:
    """The directory's only entry, after a reply named this form."""
    host = await show(progress, await rows.host())
    async with progress.transaction() as tx:
        await tx.learn_form(host, form_url, now=NOW)
    (entry,) = await progress.directory()
    return entry


async def test_a_form_that_a_reply_named_is_a_hint_and_the_newest_counts(rows: Rows, progress: Progress) -> None:
    assert list(await progress.directory()) == []
    await learn(rows, progress, "https://x.example/old")
    assert await learn(rows, progress, "https://x.example/new") == Entry(
        id=f"learned:{HOST}", name=HOST, match=(HOST,), kind=Kind.FORUM, takedown_method=Method.FORM,
        source=Source.LEARNED, form_url="https://x.example/new", notes="A reply to a notice named this form.",
    )  # fmt: skip


@pytest.mark.parametrize("made", ["source = 'operator'", "verified_at = now(), verified_by = 'me'"])
async def test_no_reply_changes_what_a_person_vouches_for(rows: Rows, progress: Progress, made: str) -> None:
    await learn(rows, progress, "https://x.example/looked-at")
    await rows.db.execute(f"UPDATE directory SET {made}")
    (vouched,) = await progress.directory()
    assert await learn(rows, progress, "https://x.example/whatever") == vouched

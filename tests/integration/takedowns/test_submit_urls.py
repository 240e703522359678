"""The edge cases of submissions, one test a row, on real Postgres with real billing."""

import asyncio
import contextlib
import re
import uuid
from collections import Counter

import msgspec
import pytest

from libs.common.contracts.takedowns import BatchAccepted, BatchDebited, SubmitUrls
from libs.common.ids import uuid7
from services.takedowns.domain.errors import CreatorNotFound, InsufficientCredits, InvalidRequest
from services.takedowns.domain.states import RECLAIMABLE, Event, State
from services.takedowns.domain.url import UrlReader
from tests.support.takedowns import Takedowns
from tests.support.takedowns_rows import somebody_waits

U = "https://piracy-site.com/a"


async def test_R105_R109_new_urls_are_paid_and_counted_by_host(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    reply = await takedowns.submit(
        (creator, [U, "https://t.me/leak/1", "https://t.me/leak/2", "nonsense"]), notes="Weekly"
    )
    assert (reply.url_count, reply.new, reply.duplicate, reply.invalid) == (4, 3, 0, 1)
    assert {host: counts.total for host, counts in reply.by_host.items()} == {"piracy-site.com": 1, "t.me": 2}
    said = await takedowns.carry()
    debits = [message for message in said if isinstance(message, BatchDebited)]
    assert [(debit.amount, debit.memo) for debit in debits] == [(3, f"Batch {reply.batch_id}: 3 new URLs")]
    assert [message.new for message in said if isinstance(message, BatchAccepted)] == [3]
    assert await takedowns.balance() == 100_000 - 3
    assert await takedowns.leased() == 0


async def test_same_url_twice_in_a_group_in_two_groups_of_one_creator_or_one_creator_in_two_groups(
    takedowns: Takedowns,
) -> None:
    creator = await takedowns.creator()
    reply = await takedowns.submit((creator, [U, U]), (creator, [U, f"{U}2"]))
    assert (reply.url_count, reply.new, reply.duplicate) == (4, 2, 2)
    assert await takedowns.balance() == 100_000 - 2


async def test_R104_same_url_for_two_creators_is_new_twice(takedowns: Takedowns) -> None:
    one, two = await takedowns.creator(), await takedowns.creator()
    reply = await takedowns.submit((one, [U]), (two, [U]))
    assert reply.new == 2
    assert await takedowns.balance() == 100_000 - 2


async def test_variants_are_duplicates_and_other_port_path_case_slash_and_value_case_are_new(
    takedowns: Takedowns,
) -> None:
    creator = await takedowns.creator()
    base = "https://example-leaks.com/a?b=1&c=2"
    variants = [
        base, base + "&utm_source=x&fbclid=y", base.replace("https", "http"), base.replace("://", "://www."),
        base.replace(".com", ".com:443"), base + "#frag", "https://example-leaks.com/a?c=2&b=1",
        "https://example-leaks.com/%61?b=1&c=2", "https://EXAMPLE-leaks.com./a?b=1&c=2",
    ]  # fmt: skip
    reply = await takedowns.submit((creator, variants))
    assert (reply.new, reply.duplicate) == (1, len(variants) - 1)
    international = ["https://пиратка.рф/~a", "https://xn--80aawjwhp.xn--p1ai/%7Ea", "https://ПИРАТКА.рф/%7ea"]
    reply = await takedowns.submit((creator, international))
    assert (reply.new, reply.duplicate) == (1, 2)
    others = [
        base.replace(".com", ".com:8443"),
        base.replace("/a?", "/A?"),
        base.replace("/a?", "/a/?"),
        base + "&d=X",
        base + "&d=x",
    ]
    assert (await takedowns.submit((creator, others))).new == len(others)


@pytest.mark.parametrize(
    "given", ["creator_abc123", "{0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01}", pytest.param(str(uuid.uuid4()), id="absent")]
)
async def test_creator_unknown_or_malformed_is_404_for_the_whole_request(takedowns: Takedowns, given: str) -> None:
    creator = await takedowns.creator()
    with pytest.raises(CreatorNotFound, match=re.escape(f"Creator not found: {given}")):
        await takedowns.submit((creator, [U]), (given, [U]))
    assert await takedowns.balance() == 100_000
    assert await takedowns.count("urls") == await takedowns.count("batches") == 0


async def test_another_organizations_creator_is_404_and_five_are_named(takedowns: Takedowns) -> None:
    foreign = await takedowns.creator(org_id=uuid7())
    with pytest.raises(CreatorNotFound, match=str(foreign)):
        await takedowns.submit((foreign, [U]))
    with pytest.raises(CreatorNotFound) as caught:
        await takedowns.submit(*((f"creator_{n}", [U]) for n in range(8)))
    assert caught.value.public == "Creator not found: " + ", ".join(f"creator_{n}" for n in range(5))


async def test_R098_R100_R102_groups_missing_empty_or_over_100_and_urls_over_10000_are_refused(
    takedowns: Takedowns,
) -> None:
    creator = await takedowns.creator()
    with pytest.raises(InvalidRequest, match="groups: 1 to 100"):
        await takedowns.submit()
    with pytest.raises(InvalidRequest, match="groups: 1 to 100"):
        await takedowns.submit(*((creator, [U]) for _ in range(101)))
    with pytest.raises(InvalidRequest, match="groups: 10001 URLs, at most 10000"):
        await takedowns.submit((creator, [U] * 10_001))
    assert (await takedowns.submit((creator, []), (creator, [U] * 10_000))).new == 1  # a group without URLs is allowed


async def test_a_nul_in_notes_is_refused(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    with pytest.raises(InvalidRequest, match="notes"):
        await takedowns.submit((creator, [U]), notes="a\x00b")


async def test_a_lone_surrogate_is_no_json(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    body = b'{"groups":[{"creator_id":"%s","urls":["https://a.com/\\ud800"]}]}' % str(creator).encode()
    with pytest.raises(InvalidRequest):
        await takedowns.do.submit_urls(SubmitUrls(org_id=takedowns.org_id), body, uuid7())


async def test_R101_url_of_2048_characters_is_taken_and_2049_is_invalid(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    longest = "https://example-leaks.com/".ljust(2048, "a")
    reply = await takedowns.submit((creator, [longest, longest + "a"]))
    assert (reply.new, reply.invalid) == (1, 1)


@pytest.mark.parametrize("urls", [["nonsense", "ftp://x.com/a"], [U, U]])
async def test_R106_all_invalid_or_all_duplicates_leave_no_ledger_row(takedowns: Takedowns, urls: list[str]) -> None:
    creator = await takedowns.creator()
    await takedowns.submit((creator, [U]))
    before = await takedowns.balance()
    leases = takedowns.rpc.leases
    reply = await takedowns.submit((creator, urls))
    assert reply.new == 0
    assert not [message for message in await takedowns.carry() if isinstance(message, BatchDebited)]
    assert await takedowns.balance() == before
    assert takedowns.rpc.leases == leases
    assert await takedowns.db.fetchval("SELECT status FROM batches WHERE id = $1", reply.batch_id) == "accepted"


async def test_a_duplicate_of_what_is_being_worked_on_is_free(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    await takedowns.submit((creator, [U]))
    for state in set(State) - set(RECLAIMABLE):
        await takedowns.db.execute("UPDATE urls SET state = $1", state)
        assert (await takedowns.submit((creator, [U]))).duplicate == 1, state
    assert await takedowns.balance() == 100_000 - 1


@pytest.mark.parametrize(("checked_hours_ago", "is_due"), [(None, True), (25, True), (1, False)])
async def test_a_duplicate_of_removed_is_free_and_looked_at_again(
    takedowns: Takedowns, checked_hours_ago: int | None, is_due: bool
) -> None:
    creator = await takedowns.creator()
    await takedowns.submit((creator, [U]))
    await takedowns.db.execute("UPDATE urls SET state = 8, next_action_at = now() + interval '7 days'")
    if checked_hours_ago is not None:
        await takedowns.db.execute(
            "INSERT INTO checks (creator_id, url_id, at, verdict) SELECT creator_id, id, now() - make_interval(hours => $1), 'gone'"
            " FROM urls",
            checked_hours_ago,
        )
    assert (await takedowns.submit((creator, [U]))).duplicate == 1
    assert await takedowns.db.fetchval("SELECT next_action_at <= now() FROM urls") is is_due


@pytest.mark.parametrize("event", [Event.POISONED, Event.CANCELLED])
async def test_a_duplicate_of_refunded_or_cancelled_is_new_again(takedowns: Takedowns, event: Event) -> None:
    creator = await takedowns.creator()
    first = await takedowns.submit((creator, [U, f"{U}2"]))
    ids = await takedowns.url_ids(creator)
    assert await takedowns.do.refund_urls(await takedowns.owner(creator), ids[:1], event) == 1
    await takedowns.on.refunds.send(older_s=0, limit=10)
    assert await takedowns.balance() == 100_000 - 2 + 1
    again = await takedowns.submit((creator, [U, f"{U}2"]))
    assert (again.new, again.duplicate) == (1, 1)
    assert await takedowns.balance() == 100_000 - 2
    row = await takedowns.db.fetchrow("SELECT state, attempt, batch_id, refunded_at FROM urls WHERE id = $1", ids[0])
    assert row is not None
    assert tuple(row) == (1, 1, again.batch_id, None)
    assert first.batch_id != again.batch_id


async def test_same_url_in_two_requests_at_once_is_paid_once(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    replies = await asyncio.gather(*(takedowns.submit((creator, [U])) for _ in range(8)))
    assert Counter(reply.new for reply in replies) == {1: 1, 0: 7}
    assert await takedowns.balance() == 100_000 - 1
    assert await takedowns.leased() == 0


async def test_same_url_in_two_requests_at_once_is_the_seconds_if_the_first_rolls_back(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    owner = await takedowns.owner(creator)
    with contextlib.suppress(ZeroDivisionError):
        async with takedowns.db.transaction() as tx:
            await tx.execute(
                """INSERT INTO urls (id, creator_id, url_key, url, host_id, batch_id) VALUES ($1, $2, $3, $4, 1, $1)""",
                uuid7(), owner.creator_id, UrlReader().read(U).key, U,
            )  # fmt: skip
            second = asyncio.create_task(takedowns.submit((creator, [U])))
            await somebody_waits(takedowns.db)  # the unique index makes it wait
            raise ZeroDivisionError
    assert (await second).new == 1
    assert await takedowns.balance() == 100_000 - 1


async def test_four_identical_submissions_of_10000_at_once_count_exactly(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    urls = [f"https://host{n % 40}.com/{n}" for n in range(10_000)]
    replies = await asyncio.gather(
        *(takedowns.submit((creator, urls[n * 2500 :] + urls[: n * 2500])) for n in range(4))
    )
    assert sum(reply.new for reply in replies) == 10_000
    assert await takedowns.count("urls") == 10_000
    assert await takedowns.balance() == 90_000
    assert await takedowns.leased() == 0
    assert await takedowns.db.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


async def test_balance_short_by_one_is_402_and_leaves_nothing(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    poor = await takedowns.billing.organization(plan=None, topup=2)
    mine = await takedowns.creator(org_id=poor)
    with pytest.raises(InsufficientCredits) as caught:
        await takedowns.submit((mine, [U, f"{U}2", f"{U}3"]), org_id=poor)
    assert caught.value.fields == {"required": 3, "balance": 2}
    await takedowns.carry()
    assert await takedowns.count("urls") == await takedowns.count("batches") == 0
    assert await takedowns.billing.leased(poor) == 0
    assert (await takedowns.submit((mine, [U, f"{U}2"]), org_id=poor)).new == 2
    assert (await takedowns.submit((creator, [U]))).new == 1


async def test_host_that_cannot_be_parsed_counts_at_top_level_only(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    urls = ["nonsense", "http://10.0.0.1/a", "https://onlyfans.com/examplecreator", U]
    reply = await takedowns.submit((creator, urls))
    assert (reply.url_count, reply.new, reply.invalid) == (4, 1, 3)
    assert {host: (c.total, c.new, c.invalid) for host, c in reply.by_host.items()} == {
        "10.0.0.1": (1, 0, 1), "onlyfans.com": (1, 0, 1), "piracy-site.com": (1, 1, 0),
    }  # fmt: skip
    shown = await takedowns.on.batches.show(takedowns.org_id, reply.batch_id)
    assert shown is not None
    assert {each.reason: each.samples for each in shown.invalid} == {
        "unparsable": ("nonsense",), "private_address": ("http://10.0.0.1/a",),
        "own_profile": ("https://onlyfans.com/examplecreator",),
    }  # fmt: skip


async def test_R110_R178_contacts_are_what_is_cached_and_null_for_unknown_hosts(takedowns: Takedowns) -> None:
    add = """INSERT INTO directory (id, source, name, match, kind, takedown_method, dmca_email, form_url, confidence)
             VALUES ($1, 'shipped', $1, $2, 'platform', $3, $4, $5, 'high')"""
    await takedowns.db.execute(add, "telegram", ["t.me", ".t.me"], "email", "dmca@telegram.org", None)
    await takedowns.db.execute(add, "x", ["x.com"], "form", None, "https://help.x.com/en/forms/ipi/dmca")
    creator = await takedowns.creator()
    reply = await takedowns.submit(
        (creator, ["https://t.me/l/1", "https://sub.t.me/l/1", "https://x.com/l/status/1", U])
    )
    shown = {host: msgspec.to_builtins(counts.contact) for host, counts in reply.by_host.items()}
    assert shown == {
        "t.me": {"takedown_method": "email", "dmca_email": "dmca@telegram.org"},
        "sub.t.me": {"takedown_method": "email", "dmca_email": "dmca@telegram.org"},
        "x.com": {"takedown_method": "form", "form_url": "https://help.x.com/en/forms/ipi/dmca"},
        "piracy-site.com": None,
    }


async def test_a_dry_run_prices_and_does_nothing(takedowns: Takedowns) -> None:
    creator = await takedowns.creator()
    await takedowns.submit((creator, [U]))
    rows = [await takedowns.count(table) for table in ("urls", "batches", "hosts")]
    reply = await takedowns.submit((creator, [U, f"{U}2", "https://new-host.com/a", "x"]), is_dry_run=True)
    assert (reply.new, reply.duplicate, reply.invalid) == (2, 1, 1)
    assert (reply.required, reply.balance) == (2, await takedowns.balance())
    assert [await takedowns.count(table) for table in ("urls", "batches", "hosts")] == rows


async def test_R097_stats_add_up(takedowns: Takedowns) -> None:
    one, two = await takedowns.creator("One"), await takedowns.creator("Two")
    await takedowns.submit((one, [U, U, "x"]), (two, [U]))
    await takedowns.submit((one, [U]))
    stats = await takedowns.on.creators.stats(takedowns.org_id, search="")
    assert [(s.stage_name, s.total_urls, s.new_urls, s.duplicate_urls, s.invalid_urls) for s in stats] == [
        ("One", 4, 1, 2, 1), ("Two", 1, 1, 0, 0),
    ]  # fmt: skip

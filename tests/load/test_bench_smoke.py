"""The bench itself, in a few hundred requests: it measures what it says, and the money is right. No figure is judged."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.load.ledger import post, subscribed
from tests.load.plot import draw, draw_bars
from tests.load.sides import PATH, Cell, Side, fangate, measure, running
from tests.load.table import print_comparison, print_filling, print_ledger, print_soak, print_submissions
from tests.load.takedowns import filling, submissions
from tests.support.stack import Stack

REQUESTS = 200
RECORDS = 1_000
CREDITS = 10_000


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Side]]:
    """The bare upstream and the plain proxy before it."""
    log = tmp_path_factory.mktemp("bench") / "log"
    with running("tests.load.upstream", log) as (upstream_port, _):
        with running("tests.load.proxy", log, f"http://127.0.0.1:{upstream_port}") as (proxy_port, proxy_pid):
            yield [
                Side(name="direct", port=upstream_port, path=PATH),
                Side(name="proxy", port=proxy_port, path=PATH, programs={"proxy": proxy_pid}),
            ]


async def measured(side: Side) -> Cell:
    cell = await measure(side, connections=8, requests=REQUESTS)
    assert REQUESTS <= cell.outcome.answered < REQUESTS + 8
    assert 0 < cell.outcome.p50_ms <= cell.outcome.p99_ms <= cell.outcome.max_ms
    assert set(cell.cpu_ms) == set(cell.megabytes) == set(side.programs)
    return cell


async def test_the_bench_measures_all_sides_and_every_answer_is_paid(
    references: list[Side], stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    organization = await stack.an_organization(credits=CREDITS)

    # when
    cells = [await measured(side) for side in (*references, fangate(stack, organization))]
    print_comparison(cells)
    print_soak(cells[-1:])
    draw(cells, tmp_path / "bench.png")

    # then
    assert await stack.debits(organization, at_least=cells[-1].outcome.answered) == cells[-1].outcome.answered
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("direct", "proxy", "fangate", "edge", "sessions", "rabbitmq"))
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


async def test_the_ledger_load_posts_every_record_once(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    # given
    organization = await stack.an_organization(credits=CREDITS)
    size = ("--credits", str(CREDITS), "--per-minute", "1000", "--per-day", "50000")
    await stack.cli("billing", "plan", "set", "--plan", "many", *size)

    # when
    one = [UUID(organization.org_id)]
    hot = await post(stack, one, records=RECORDS)
    many = await post(stack, await subscribed(stack, 20, plan="many"), records=RECORDS)
    steady = await post(stack, one, records=RECORDS, rate=2_000)
    print_ledger({"hot": hot, "many": many}, steady, 2_000)

    # then
    assert [posting.records for posting in (hot, many, steady)] == [RECORDS] * 3
    assert await stack.debits(organization, at_least=2 * RECORDS) == 2 * RECORDS
    assert "debits/s" in capsys.readouterr().out


async def test_the_submissions_are_counted_and_paid_exactly(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    # given
    organization = await stack.an_organization(credits=CREDITS)

    # when
    found = await submissions(stack, organization, rounds=1, large=200)
    print_submissions(found)

    # then
    assert [(each.urls, each.count, each.at_once) for each in found] == [
        (200, 1, 1), (200, 1, 1), (100, 10, 1), (200, 2, 4),
    ]  # fmt: skip
    assert all(0 < each.p50_ms <= each.p99_ms <= each.max_ms for each in found)
    assert "4 at once" in capsys.readouterr().out


async def test_a_table_is_filled_and_both_sides_are_measured(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    organization = await stack.an_organization(credits=CREDITS)
    found = await filling(stack, organization, rows=2_000, rounds=2)
    print_filling(found)
    draw_bars("filled", [("before", found.before.p50_ms), ("after", found.after.p50_ms)], tmp_path / "filled.png")
    assert found.ratio == found.after.p50_ms / found.before.p50_ms
    assert "before and after 2,000 others" in capsys.readouterr().out
    assert (tmp_path / "filled.png").read_bytes().startswith(b"\x89PNG")

"""The table of a run: what was done, what had to be 0, how long healing took."""

import statistics
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.support.faults.campaign import Campaign, Outcome
from tests.support.faults.money import Figures

BEGIN: Final = "<!-- begin: written by make faults -->"
END: Final = "<!-- end -->"
_MEANING: Final = {
    "lost": "credits of calls answered 2xx that the ledger does not hold",
    "double": "credits debited beyond what was answered 2xx or not answered at all",
    "overspent": "credits used beyond what an organization was granted",
    "sent_twice": "messages that reached the platform more than once",
    "acknowledged_not_sent": "messages answered 201 that the platform does not have",
    "drift": "organizations in which a stored figure is not the sum of its transfers (`verify`)",
    "leaked": "credits still reserved after the quiet at the end",
}


def total(campaign: Campaign, *, leaked: int) -> Figures:
    """The run's figures in sum."""
    figures = Figures(leaked=leaked)
    for outcome in campaign.outcomes:
        figures.add(outcome.figures)
    return figures


def markdown(campaign: Campaign, figures: Figures, *, seconds: float, quiet_s: float, waived: int, seed: int) -> str:
    """The figures of a run."""
    seen, money = campaign.money.seen, campaign.money
    organizations = len(campaign.tenants)
    lines = [
        f"**{len(campaign.outcomes)} faults, {seen.calls:,} calls**, {organizations} organizations, {seconds / 60:.0f} minutes, seed {seed}.",
        "",
        "| must be 0 | measured | what it counts |",
        "|---|---|---|",
        *(f"| {name.replace('_', ' ')} | {value} | {_MEANING[name]} |" for name, value in asdict(figures).items()),
        "",
        "| bounded, and this much | measured | why it may be |",
        "|---|---|---|",
        f"| credits debited | {money.debited:,} | answered 2xx: {seen.paid_credits:,} credits; the rest is of the next line |",
        f"| credits of calls without any answer | {seen.unanswered_credits:,} | their connection died with the edge: debited or not, never twice |",
        f"| debited of those | {money.debited - seen.paid_credits:,} | at most the line above |",
        f"| messages sent, not acknowledged | {money.delivered_unpaid:,} | the customer was told 504 or 503 (unknown or unavailable), and did not pay |",
        f"| reads served by the platform, not answered 2xx | {max(0, money.platform_reads - seen.statuses[200]):,} | the answer was lost on its way, or the read was repeated; free |",
        f"| credits waived | {waived:,} | used after the end of their lease; nobody paid |",
        f"| seconds of quiet until nothing was reserved | {quiet_s:.0f} | a lease is final 90 s after its last use at the latest |",
        "",
        f"All answers: {_shown(seen.statuses)}.",
        "",
        "| fault | times | healed in s, median | slowest | answers meanwhile |",
        "|---|---|---|---|---|",
        *_rows(campaign.outcomes),
        "",
        "Healed: from the end of the fault until every service was ready and customers were answered 200.",
    ]
    return "\n".join(lines)


def put_into(page: Path, text: str) -> None:
    """Replace what stands between the marks of `page`, or write it as a page of its own if there is none."""
    if not page.exists():
        page.write_text(f"{text}\n", encoding="utf-8")
        return
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"{page}: no mark {BEGIN}"
    assert end, f"{page}: no mark {END}"
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _rows(outcomes: list[Outcome]) -> list[str]:
    times: dict[str, list[float]] = defaultdict(list)
    meanwhile: dict[str, Counter[int]] = defaultdict(Counter)
    for outcome in outcomes:
        times[outcome.fault].append(outcome.heal_s)
        meanwhile[outcome.fault].update(outcome.meanwhile)
    return [
        f"| {name} | {len(each)} | {statistics.median(each):.1f} | {max(each):.1f} | {_shown(meanwhile[name])} |"
        for name, each in sorted(times.items())
    ]


def _shown(answers: Counter[int]) -> str:
    return " · ".join(f"{status or 'none'}: {count:,}" for status, count in sorted(answers.items()))

"""The table of a run: what was done, what had to be 0, how long healing took."""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A run, or a part of one, on a system of its own."""

    outcomes: list[Outcome]
    figures: Figures  # with those of the end
    statuses: dict[int, int]
    paid_credits: int
    unanswered_credits: int
    debited_credits: int
    waived_credits: int
    messages_unacknowledged: int
    reads_delivered: int
    organizations: int
    seconds: float
    quiet_seconds: float
    seed: int

    @property
    def calls(self) -> int:
        return sum(self.statuses.values())

    @property
    def is_well(self) -> bool:
        return not self.figures.wrong and all(outcome.is_well for outcome in self.outcomes)


async def taken(campaign: Campaign, *, seconds: float, seed: int) -> Take:
    """What a run has shown, after its quiet."""
    leaked, quiet_s = await campaign.keep_quiet()
    figures = Figures(leaked=leaked, drift=await campaign.money.drift())
    for outcome in campaign.outcomes:
        figures.add(outcome.figures)
    money, seen = campaign.money, campaign.money.seen
    return Take(
        outcomes=campaign.outcomes, figures=figures, statuses=dict(seen.statuses), paid_credits=seen.paid_credits,
        unanswered_credits=seen.unanswered_credits, debited_credits=money.debited, waived_credits=await money.waived(),
        messages_unacknowledged=money.delivered_unpaid, reads_delivered=money.platform_reads,
        organizations=len(campaign.tenants), seconds=seconds, quiet_seconds=quiet_s, seed=seed,
    )  # fmt: skip


def earlier(folder: Path) -> list[Take]:
    """The takes that were kept there."""
    return [msgspec.json.decode(file.read_bytes(), type=Take) for file in sorted(folder.glob("take-*.json"))]


def keep(take: Take, folder: Path) -> None:
    """Keep it for a run that goes on from here."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"take-{time.time_ns()}.json").write_bytes(msgspec.json.encode(take))


def markdown(takes: Sequence[Take]) -> str:
    """The figures of a run in one or more takes."""
    figures, statuses = Figures(), Counter[int]()
    for take in takes:
        figures.add(take.figures)
        statuses.update(take.statuses)
    outcomes = [outcome for take in takes for outcome in take.outcomes]
    debited, paid = sum(take.debited_credits for take in takes), sum(take.paid_credits for take in takes)
    unanswered = sum(take.unanswered_credits for take in takes)
    reads = sum(take.reads_delivered for take in takes) - statuses[200]
    seeds = ", ".join(str(take.seed) for take in takes)
    minutes = sum(take.seconds for take in takes) / 60
    lines = [
        f"**{len(outcomes)} faults, {statuses.total():,} calls** by the customers of {takes[0].organizations} organizations, {minutes:.0f} minutes;",
        f"{len(takes)} takes, each on a fresh system (seeds {seeds}).",
        "",
        "| must be 0 | measured | what it counts |",
        "|---|---|---|",
        *(f"| {name.replace('_', ' ')} | {value} | {_MEANING[name]} |" for name, value in asdict(figures).items()),
        "",
        "| bounded, and this much | measured | why it may be |",
        "|---|---|---|",
        f"| credits debited | {debited:,} | answered 2xx: {paid:,} credits; the rest is of the next line |",
        f"| credits of calls without any answer | {unanswered:,} | their connection died with the edge: debited or not, never twice |",
        f"| debited of those | {debited - paid:,} | at most the line above |",
        f"| messages sent, not acknowledged | {sum(take.messages_unacknowledged for take in takes):,} | the customer was told 504 or 503 (unknown or unavailable), and did not pay |",
        f"| reads served by the platform, not answered 2xx | {max(0, reads):,} | the answer was lost on its way, or the read was repeated; free |",
        f"| credits waived | {sum(take.waived_credits for take in takes):,} | used after the end of their lease; nobody paid |",
        f"| seconds of quiet until nothing was reserved, at most | {max(take.quiet_seconds for take in takes):.0f} | a lease is final 60 s after its last use at the latest, and what the queue holds before its marker is posted |",
        "",
        f"All answers: {_shown(statuses)}.",
        "",
        "| fault | times | healed in s, median | slowest | answers meanwhile |",
        "|---|---|---|---|---|",
        *_rows(outcomes),
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


def _rows(outcomes: Sequence[Outcome]) -> list[str]:
    times: dict[str, list[float]] = defaultdict(list)
    meanwhile: dict[str, Counter[int]] = defaultdict(Counter)
    for outcome in outcomes:
        times[outcome.fault].append(outcome.heal_s)
        meanwhile[outcome.fault].update(outcome.meanwhile)
    return [
        f"| {name} | {len(each)} | {statistics.median(each):.1f} | {max(each):.1f} | {_shown(meanwhile[name])} |"
        for name, each in sorted(times.items())
    ]


def _shown(answers: Mapping[int, int]) -> str:
    return " · ".join(f"{status or 'none'}: {count:,}" for status, count in sorted(answers.items()))

"""What looks at a URL prove, and when the next one is due."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.takedowns.domain.fingerprint import fingerprint
from services.takedowns.domain.states import Stage, State
from services.takedowns.domain.verdict import (
    AFTER_NOTICE,
    Checked,
    Look,
    Site,
    Verdict,
    deadline,
    judge,
    next_look,
    settled,
)

NOW = datetime(2026, 11, 20, tzinfo=UTC)
URL = "https://leaks.example/video/17"
CONTENT = "<title>Luna Vale</title><p>" + " ".join(f"scene{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(200))
SORRY = "<title>Leaks</title><p>Oops, there is nothing here. Look at what others watch now and come back soon, there is always more to see"


def a_look(html: str = CONTENT, *, status: int | None = 200, final_url: str = URL, **more: Any) -> Look:
    return Look(at=NOW, status=status, final_url=final_url, text=html, print_=fingerprint(html), **more)


HONEST = Site(missing=a_look("<p>404", status=404))
SOFT = Site(missing=a_look(SORRY, final_url="https://leaks.example/video/xyz"))


@pytest.mark.parametrize("status", [404, 410, 451])
def test_gone_is_what_says_so(status: int) -> None:
    assert judge(URL, a_look(status=status), SOFT) is Verdict.GONE


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 521, 204, 206, 302, None])
def test_what_keeps_us_out_proves_nothing(status: int | None) -> None:
    assert judge(URL, a_look(status=status), SOFT) is Verdict.INCONCLUSIVE


def test_a_name_that_is_not_there() -> None:
    assert judge(URL, Look(at=NOW, is_unresolved=True), SOFT) is Verdict.UNRESOLVED


def test_a_challenge_is_a_door() -> None:
    assert (
        judge(URL, a_look("<title>Just a moment...</title>"), Site(removed_markers=("moment",))) is Verdict.INCONCLUSIVE
    )
    assert judge(URL, a_look(SORRY, headers={"cf-mitigated": "challenge"}), SOFT) is Verdict.INCONCLUSIVE


def test_the_page_itself_is_alive() -> None:
    for site in (HONEST, SOFT, Site()):
        assert judge(URL, a_look(), site) is Verdict.ALIVE


def test_what_a_site_shows_for_a_path_that_never_was_is_gone() -> None:
    assert judge(URL, a_look(SORRY), SOFT) is Verdict.SOFT_GONE
    assert judge(URL, a_look(SORRY.replace("Oops", "Hmm")), SOFT) is not Verdict.GONE


def test_a_page_of_little_text_with_a_title_of_its_own_is_content() -> None:
    own = SORRY.replace("<title>Leaks", "<title>Luna Vale - video 17")
    assert judge(URL, a_look(own), SOFT) is Verdict.ALIVE


def test_a_page_that_is_as_it_was_when_it_was_alive_is_alive() -> None:
    assert judge(URL, a_look(SORRY), SOFT, first=fingerprint(SORRY)) is Verdict.ALIVE


def test_markers() -> None:
    site = Site(removed_markers=("Has Been Removed",), live_markers=("player-id",), missing=SOFT.missing)
    assert judge(URL, a_look("<p>This video has been removed"), site) is Verdict.SOFT_GONE
    assert judge(URL, a_look(SORRY + "<div player-id=1>"), site) is Verdict.ALIVE


@pytest.mark.parametrize(
    ("final_url", "verdict"),
    [
        ("https://leaks.example/", Verdict.SOFT_GONE),
        ("https://leaks.example/search?q=luna", Verdict.SOFT_GONE),
        ("https://leaks.example/login?next=/video/17", Verdict.INCONCLUSIVE),
        ("https://leaks.example/video/17-luna", Verdict.ALIVE),
        (URL, Verdict.ALIVE),
    ],
)
def test_where_a_page_leads_when_the_site_knows_how_to_say_404(final_url: str, verdict: Verdict) -> None:
    assert judge(URL, a_look("<p>front door", final_url=final_url), HONEST) is verdict
    without = Verdict.ALIVE if verdict is Verdict.ALIVE else Verdict.INCONCLUSIVE
    assert judge(URL, a_look("<p>front door", final_url=final_url), Site()) is without, "nothing to compare with"


def test_a_home_page_that_was_submitted_is_not_led_home() -> None:
    home = "https://leaks.example/"
    assert judge(home, a_look(final_url=home), HONEST) is Verdict.ALIVE


def test_behind_a_wall_that_every_path_leads_to_nothing_is_known() -> None:
    wall = Site(missing=a_look("<p>sign in", final_url="https://leaks.example/login"))
    assert judge(URL, a_look("<p>sign in", final_url="https://leaks.example/login"), wall) is Verdict.INCONCLUSIVE


def looks(*pairs: tuple[float, Verdict]) -> list[Checked]:
    """Looks, `hours` before now, newest first."""
    return [Checked(at=NOW - timedelta(hours=hours), verdict=verdict) for hours, verdict in pairs]


G, S, A, I, U = Verdict.GONE, Verdict.SOFT_GONE, Verdict.ALIVE, Verdict.INCONCLUSIVE, Verdict.UNRESOLVED  # noqa: E741


@pytest.mark.parametrize(
    ("row", "is_settled"),
    [
        ([(0, G)], False), ([(0, G), (0.9, G)], False), ([(0, G), (1, G)], True), ([(0, G), (0.5, G), (1, G)], True),
        ([(0, G), (0.5, A), (1, G)], False), ([(0, G), (0.5, I), (1, G)], False), ([(0, A), (1, G), (2, G)], False),
        ([(0, S), (1, S)], False), ([(0, S), (6, S)], True), ([(0, G), (1, S)], False), ([(0, G), (6, S)], True), ([(0, S), (6, G)], True),
        ([(0, G), (1, G), (2, S)], True), ([(0, I), (6, G)], False),
        ([(0, U), (1, U), (2, U)], False), ([(0, U), (36, U), (72, U)], False), ([(0, U), (1, U), (36, U), (73, U)], True),
        ([(0, U), (2, U), (71, U)], False), ([(0, G), (1, U)], False),
    ],
)  # fmt: skip
def test_two_looks_apart_make_a_removal_one_never_does(row: list[tuple[float, Verdict]], is_settled: bool) -> None:
    now, *before = looks(*row)
    assert settled(now, before) is is_settled


def test_patience_by_stage() -> None:
    assert [deadline(stage, sent_at=NOW) - NOW for stage in Stage] == [timedelta(hours=h) for h in (72, 96, 120, 120)]
    assert deadline(Stage.SITE, sent_at=NOW, escalate_after_h=24) - NOW == timedelta(hours=24)
    assert deadline(Stage.HOSTING, sent_at=NOW, escalate_after_h=24) - NOW == timedelta(hours=96)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_looks_after_a_notice_come_as_planned_each_once(chance: float) -> None:
    now, seen = NOW, []
    for _ in range(10):
        due = next_look(state=State.NOTICED, verdict=A, now=now, since=NOW, chance=chance)
        assert due is not None
        now = due
        seen.append((due - NOW) / timedelta(hours=1))
    for hours, planned in zip(seen, AFTER_NOTICE, strict=False):
        assert planned / timedelta(hours=1) * 0.89 < hours < planned / timedelta(hours=1) * 1.11
    assert seen == sorted(seen)


def test_a_look_is_not_later_than_the_deadline() -> None:
    at = NOW + timedelta(hours=65)
    due = next_look(
        state=State.NOTICED, verdict=A, now=at, since=NOW, chance=0.5, deadline_at=NOW + timedelta(hours=72)
    )
    assert due == NOW + timedelta(hours=72)


@pytest.mark.parametrize(("verdict", "hours"), [(G, 1), (S, 6)])
def test_the_second_look_at_what_seems_gone_comes_soon(verdict: Verdict, hours: int) -> None:
    due = next_look(state=State.NOTICED, verdict=verdict, now=NOW, since=NOW, chance=0.5)
    assert due == NOW + timedelta(hours=hours)


@pytest.mark.parametrize("state", [State.COUNTER_NOTICED, State.REJECTED, State.CANCELLED, State.FAILED_REFUNDED])
def test_what_is_frozen_or_over_is_not_looked_at(state: State) -> None:
    assert next_look(state=state, verdict=A, now=NOW, since=NOW, chance=0.5) is None


def test_what_was_removed_is_watched_for_ever() -> None:
    now = NOW
    for _ in range(12):
        due = next_look(state=State.REMOVED, verdict=G, now=now, since=NOW, chance=0.5)
        assert due is not None
        assert timedelta(hours=12) < due - now < timedelta(days=101)
        now = due
    assert now - NOW > timedelta(days=500)

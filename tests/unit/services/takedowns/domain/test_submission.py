"""How the URLs of one request are sorted and counted: every URL is in exactly one of new, duplicate, invalid and failed."""

import uuid
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.creators import OfficialLink
from services.takedowns.domain.submission import SAMPLES_MAX, Intake, Target, outcome_of
from services.takedowns.domain.url import OwnProfiles, UrlReader

READER = UrlReader()
LINKS = (OfficialLink("onlyfans", "me"),)
URLS = [
    "https://a-host.com/1", "https://www.a-host.com/1?utm_source=x", "https://a-host.com/2", "https://b-host.com/1", "nonsense",
    "http://10.0.0.1/", "https://onlyfans.com/me", "https://onlyfans.com/other", "ftp://c-host.com/",
]  # fmt: skip


def intake_of(groups: list[tuple[int, list[str]]]) -> Intake:
    intake = Intake(READER)
    for creator, urls in groups:
        profiles = OwnProfiles(((link.platform, link.handle) for link in LINKS), READER)
        intake.add(Target(creator, uuid.UUID(int=creator), LINKS), profiles, urls)
    return intake


@given(
    st.lists(st.tuples(st.integers(1, 3), st.lists(st.sampled_from(URLS), max_size=12)), max_size=5),
    st.sets(st.integers(1, 3)),
    st.randoms(use_true_random=False),
)
def test_every_url_is_counted_once_at_every_level(
    groups: list[tuple[int, list[str]]], failed: set[int], chance: Random
) -> None:
    intake = intake_of(groups)
    known = [pair for pair in intake.candidates if chance.random() < 0.3]
    intake.drop_known(known)
    stored = [pair for pair in intake.candidates if pair[0] not in failed and chance.random() < 0.7]
    outcome = outcome_of(intake, set(stored), failed)

    total = outcome.total
    assert total.total == sum(len(urls) for _, urls in groups)
    assert total.total == total.new + total.duplicate + total.invalid + outcome.failed
    assert total.new == len(stored)
    for host in outcome.by_host.values():
        assert host.total >= host.new + host.duplicate + host.invalid
    assert sum(host.total for host in outcome.by_host.values()) <= total.total
    for creator, tally in outcome.by_creator.items():
        assert creator not in failed
        assert tally.total == tally.new + tally.duplicate + tally.invalid


def test_samples_of_what_is_invalid_are_few_and_their_number_is_exact() -> None:
    intake = intake_of([(1, [f"nonsense{n}" for n in range(50)]), (1, ["https://onlyfans.com/me"])])
    samples = {each.reason: (each.n, len(each.samples)) for each in intake.samples}
    assert samples == {"unparsable": (50, SAMPLES_MAX), "own_profile": (1, 1)}


def test_a_sample_can_always_be_stored() -> None:
    intake = intake_of([(1, ["nul\x00", "half \ud800 a pair", "x" * 10_000])])
    for each in intake.samples:
        for sample in each.samples:
            assert "\x00" not in sample
            assert len(sample.encode()) <= 1_500

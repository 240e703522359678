"""Topic matching as the broker does it."""

import pytest

from libs.common.bus.topology import definitions, matches, policies


@pytest.mark.parametrize(
    ("pattern", "key", "does"),
    [
        ("a.b", "a.b", True), ("a.b", "a.c", False), ("a.*", "a.b", True), ("a.*", "a.b.c", False), ("a.*", "a", False),
        ("a.#", "a", True), ("a.#", "a.b.c", True), ("#", "", True), ("#.s03", "edge.usage.recorded.v1.s03", True),
        ("#.s03", "s03", True), ("#.s03", "edge.s030", False), ("*.b.#", "a.b", True), ("#.b.#", "a.c", False),
        ("*.credits_*.v*", "billing.credits_low.v1", False),
    ],
)  # fmt: skip
def test_patterns_match_whole_words(pattern: str, key: str, does: bool) -> None:
    assert matches(pattern, key) is does


def test_every_policy_matches_its_own_queue_only() -> None:
    import re

    names = list(policies())
    patterns = {policy["name"]: policy["pattern"] for policy in definitions()["policies"]}
    for name, pattern in patterns.items():
        assert [other for other in names if re.search(pattern, other)] == [name]


def test_every_queue_has_a_bound_and_a_policy() -> None:
    queues = {queue["name"] for queue in definitions()["queues"]}
    assert queues == set(policies())
    assert all(policy["max-length"] and policy["overflow"] == "reject-publish" for policy in policies().values())

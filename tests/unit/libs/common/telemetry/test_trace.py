"""traceparent: ours is well-formed, a stranger's is continued only if it is."""

import re

import pytest

from libs.common.telemetry.trace import accept_traceparent, new_traceparent

SHAPE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_new_trace_is_well_formed_and_fresh() -> None:
    assert SHAPE.fullmatch(new_traceparent())
    assert new_traceparent() != new_traceparent()


def test_a_given_trace_is_continued_under_a_parent_of_ours() -> None:
    ours = accept_traceparent(GIVEN)
    assert SHAPE.fullmatch(ours)
    assert ours.split("-")[1] == GIVEN.split("-")[1]
    assert ours.split("-")[2] != GIVEN.split("-")[2]
    assert ours.endswith("-01")


@pytest.mark.parametrize(
    "given",
    [None, "", "x", GIVEN.upper(), GIVEN + "\n", GIVEN + "-more", GIVEN.replace("00-", "01-", 1), "00-" + "0" * 32 + GIVEN[35:],
     GIVEN[:36] + "0" * 16 + "-01"],
)  # fmt: skip
def test_a_malformed_trace_is_replaced(given: str | None) -> None:
    ours = accept_traceparent(given)
    assert SHAPE.fullmatch(ours)
    assert ours.split("-")[1] not in (given or "")

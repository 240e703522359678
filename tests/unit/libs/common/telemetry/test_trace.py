"""traceparent: ours is well-formed, a stranger's is continued only if it is."""

import re
import uuid

import pytest

from libs.common.ids import uuid7
from libs.common.telemetry.trace import (
    SAMPLE,
    accept_traceparent,
    is_sampled,
    is_sampled_id,
    names_of,
    new_traceparent,
)

SHAPE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_new_trace_is_well_formed_and_fresh() -> None:
    request_id = uuid7()
    assert SHAPE.fullmatch(new_traceparent(request_id))
    assert new_traceparent(request_id) != new_traceparent(request_id)


def test_a_given_trace_is_continued_under_a_parent_of_ours() -> None:
    ours = accept_traceparent(GIVEN, uuid7())
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
    ours = accept_traceparent(given, uuid7())
    assert SHAPE.fullmatch(ours)
    assert ours.split("-")[1] not in (given or "")


def test_a_request_is_found_by_its_id_in_the_lines_of_its_trace() -> None:
    request_id = uuid7()
    assert names_of(accept_traceparent(None, request_id)) == {"request_id": str(request_id)}
    assert names_of(accept_traceparent(GIVEN, request_id)) == {"trace_id": GIVEN.split("-")[1]}
    assert names_of("") == names_of("nonsense") == {}
    # a stranger's trace that looks like an id of ours, but of another day
    assert "trace_id" in names_of(f"00-{uuid.UUID('01808b31-0000-7000-8000-000000000000').hex}-{'1' * 16}-00")


def test_every_service_samples_the_same_requests() -> None:
    ids = [uuid7() for _ in range(2_000)]
    sampled = [one for one in ids if is_sampled_id(one)]
    assert [one for one in ids if is_sampled(new_traceparent(one))] == sampled
    assert len(ids) / SAMPLE / 4 < len(sampled) < 4 * len(ids) / SAMPLE
    assert not is_sampled("")
    assert not is_sampled("x" * 55)

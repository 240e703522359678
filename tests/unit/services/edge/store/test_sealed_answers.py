"""Kept answers at rest: unreadable without the ring, and bound to their row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.peppers import PepperRing
from services.edge.store.sealed_answers import AnswerBroken, SealedAnswers

OLD, NEW = "old:" + "11" * 32, "new:" + "22" * 32
SECRET = b'{"secret":"fgk_0123456789"}'


def seals(ring: str = OLD) -> SealedAnswers:
    return SealedAnswers(PepperRing.parse(ring))


@given(st.binary(max_size=2_000), st.binary(max_size=100))
def test_what_was_sealed_is_opened_and_never_looks_the_same_twice(answer: bytes, row: bytes) -> None:
    name, sealed = seals().seal(answer, bound_to=row)
    assert seals().open(name, sealed, bound_to=row) == answer
    assert seals().seal(answer, bound_to=row)[1] != sealed


def test_nothing_of_the_answer_shows() -> None:
    _, sealed = seals().seal(SECRET, bound_to=b"row")
    assert b"fgk_" not in sealed
    assert b"secret" not in sealed


def test_a_rotated_ring_opens_what_the_old_pepper_sealed() -> None:
    name, sealed = seals().seal(SECRET, bound_to=b"row")
    assert name == "old"
    assert seals(f"{NEW},{OLD}").open(name, sealed, bound_to=b"row") == SECRET
    assert seals(f"{NEW},{OLD}").seal(SECRET, bound_to=b"row")[0] == "new"
    with pytest.raises(AnswerBroken):
        seals(NEW).open(name, sealed, bound_to=b"row")


def test_a_row_that_was_changed_or_exchanged_is_not_opened() -> None:
    name, sealed = seals().seal(SECRET, bound_to=b"row")
    for broken, row in [
        (sealed, b"other"),
        (sealed[:-1] + b"\0", b"row"),
        (sealed[:5], b"row"),
        (b"", b"row"),
        (b"zz" + sealed, b"row"),
    ]:
        with pytest.raises(AnswerBroken):
            seals().open(name, broken, bound_to=row)

"""Giving back exactly what was paid, where it was paid from."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.ids import id_ms, uuid7
from services.billing.domain.ledger import CALLS, TAKEDOWNS, WAIVED, Code, PostError, Transfer
from services.billing.domain.reversal import refund_problem, refund_rows, unwind, void_id, void_rows

ORG = uuid.UUID(int=1)


def legs_of(*amounts: int, code: Code = Code.BATCH) -> list[Transfer]:
    """A debit with one leg per amount, from the buckets 1000, 1001, …"""
    id_ = uuid7()
    return [
        Transfer(
            id=id_, leg=leg, code=code, amount=amount, org_id=ORG, debit_account=1000 + leg, credit_account=TAKEDOWNS,
            key_id=ORG, route="r",
        )
        for leg, amount in enumerate(amounts)
    ]  # fmt: skip


def test_the_last_leg_is_unwound_first() -> None:
    legs = legs_of(10, 5)

    assert unwind(legs, 0, 7) == [(1001, 5), (1000, 2)]
    assert unwind(legs, 7, 8) == [(1000, 8)]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.lists(st.integers(1, 15), max_size=12))
def test_any_row_of_refunds_gives_back_each_leg_and_no_more(amounts: list[int], refunds: list[int]) -> None:
    legs, already = legs_of(*amounts), 0
    back: dict[int, int] = {}
    for amount in refunds:
        if refund_problem(ORG, amount, legs, already) is not None:
            assert already + amount > sum(amounts)
            continue
        rows = refund_rows(uuid7(), legs, already, amount, heirs={}, memo="")
        assert sum(row.amount for row in rows) == amount
        for row in rows:
            back[row.credit_account] = back.get(row.credit_account, 0) + row.amount
        already += amount
    assert all(back.get(leg.debit_account, 0) <= leg.amount for leg in legs)
    assert sum(back.values()) == already


def test_what_was_waived_is_not_given_back() -> None:
    paid, waived = legs_of(3, 4)
    waived = Transfer(**{name: getattr(waived, name) for name in waived.__struct_fields__} | {"code": Code.WAIVED})
    debit = [paid, waived]

    assert refund_problem(ORG, 3, debit, 0) is None
    assert refund_problem(ORG, 4, debit, 0) is PostError.REFUND_EXCEEDS_DEBIT
    assert [row.amount for row in refund_rows(uuid7(), debit, 0, 3, heirs={}, memo="")] == [3]


@pytest.mark.parametrize(
    ("org_id", "amount", "code", "problem"),
    [
        (ORG, 1, Code.BATCH, None),
        (ORG, 0, Code.BATCH, PostError.REFUND_EXCEEDS_DEBIT),
        (ORG, -1, Code.BATCH, PostError.REFUND_EXCEEDS_DEBIT),
        (uuid.UUID(int=2), 1, Code.BATCH, PostError.REFUND_OF_OTHER),
        (ORG, 1, Code.CALL, PostError.REFUND_OF_OTHER),
        (ORG, 1, Code.REFUND, PostError.REFUND_OF_OTHER),
    ],
)
def test_only_a_batch_of_the_same_organization_has_a_refund(
    org_id: uuid.UUID, amount: int, code: Code, problem: PostError | None
) -> None:
    assert refund_problem(org_id, amount, legs_of(5, code=code), 0) is problem


def test_a_refund_without_its_debit_is_known_as_such() -> None:
    assert refund_problem(ORG, 1, [], 0) is PostError.REFUND_WITHOUT_DEBIT


def test_an_heir_takes_the_place_of_a_bucket_that_has_ended() -> None:
    rows = refund_rows(uuid7(), legs_of(3, 4), 0, 7, heirs={1000: 1009}, memo="why")

    assert [(row.credit_account, row.amount, row.leg, row.memo) for row in rows] == [
        (1001, 4, 0, "why"),
        (1009, 3, 1, "why"),
    ]


def test_a_void_mirrors_the_call_and_has_an_id_of_the_same_moment() -> None:
    call = legs_of(1, 1, code=Code.CALL)

    rows = void_rows(call, heirs={})

    assert [(row.debit_account, row.credit_account, row.amount) for row in rows] == [(CALLS, 1001, 1), (CALLS, 1000, 1)]
    assert {row.id for row in rows} == {void_id(call[0].id)}
    assert id_ms(rows[0].id) == id_ms(call[0].id)
    assert (rows[0].key_id, rows[0].route, rows[0].refunds_id) == (ORG, "r", call[0].id)
    waived = Transfer(id=uuid7(), code=Code.WAIVED, amount=1, org_id=ORG, debit_account=WAIVED, credit_account=CALLS)
    assert void_rows([waived], heirs={}) == []

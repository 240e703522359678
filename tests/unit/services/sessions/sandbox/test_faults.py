"""Which call meets which fault, and how often."""

import pytest

from services.sessions.sandbox.faults import FAULTS_MAX, NO_FAULT, Fault, FaultBook


def book(*faults: Fault) -> FaultBook:
    made = FaultBook()
    for fault in faults:
        made.add(fault)
    return made


def test_a_fault_without_a_route_hits_any_catalogue_route_but_no_sign_in() -> None:
    faults = book(Fault(status=500))
    assert faults.take("chats_list", 1).status == 500
    assert faults.take("auth_login", 1) is NO_FAULT


def test_route_and_account_narrow_it() -> None:
    faults = book(Fault(status=500, route="chats_list", account=1), Fault(status=401, route="auth_login"))
    assert faults.take("chats_list", 2) is NO_FAULT
    assert faults.take("posts_list", 1) is NO_FAULT
    assert faults.take("chats_list", 1).status == 500
    assert faults.take("auth_login", None).status == 401


def test_it_happens_as_often_as_asked_and_in_the_order_asked() -> None:
    faults = book(Fault(status=500, times=2), Fault(status=503, times=1))
    assert [faults.take("chats_list", 1).status for _ in range(4)] == [500, 500, 503, None]
    assert faults.waiting() == []


def test_words_that_stand_for_numbers() -> None:
    assert Fault(rate_limit=True).retry_after_s == 30
    assert Fault(rate_limit=7).retry_after_s == 7
    assert Fault(too_large=True).too_large_bytes > 8 << 20
    assert (Fault(drop=True).drops_before, Fault(drop="after").drops_after, NO_FAULT.drops_before) == (
        True,
        True,
        False,
    )


def test_the_book_is_bounded() -> None:
    faults = book(*[Fault(status=500)] * FAULTS_MAX)
    with pytest.raises(ValueError, match=str(FAULTS_MAX)):
        faults.add(Fault(status=500))

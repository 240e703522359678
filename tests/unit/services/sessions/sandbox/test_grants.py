"""The sandbox as an authorization server: what works once, and what ends a whole family of tokens."""

import base64
import hashlib

import pytest

from services.sessions.sandbox.data.account import Account
from services.sessions.sandbox.grants import CODE_SECONDS, GRACE_SECONDS, TOKEN_SECONDS, GrantRefusedError, Grants

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "https://us.test/back"


class Bench:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.grants = Grants(lambda: self.seconds)
        self.account = Account(7, "a@sandbox.test")

    def code(self) -> str:
        return self.grants.give_code(self.account, ("read:self",), BACK, CHALLENGE)


def test_a_code_gives_tokens_once_and_ends_them_when_it_comes_again() -> None:
    bench = Bench()
    code = bench.code()
    tokens = bench.grants.exchange(code, BACK, VERIFIER)
    assert bench.grants.grant_of(tokens.access) is not None
    with pytest.raises(GrantRefusedError):
        bench.grants.exchange(code, BACK, VERIFIER)
    assert bench.grants.grant_of(tokens.access) is None
    assert bench.grants.counts == {"exchanges": 1, "reuses": 1}


@pytest.mark.parametrize(("back", "verifier"), [("https://evil.test", VERIFIER), (BACK, "w" * 43), (BACK, "")])
def test_a_code_opens_nothing_for_another(back: str, verifier: str) -> None:
    bench = Bench()
    code = bench.code()
    with pytest.raises(GrantRefusedError):
        bench.grants.exchange(code, back, verifier)
    with pytest.raises(GrantRefusedError):  # nor for the right one, after that
        bench.grants.exchange(code, BACK, VERIFIER)


def test_a_code_is_good_for_a_minute() -> None:
    bench = Bench()
    code = bench.code()
    bench.seconds += CODE_SECONDS + 1
    with pytest.raises(GrantRefusedError):
        bench.grants.exchange(code, BACK, VERIFIER)


def test_a_refresh_token_works_once_and_its_second_use_ends_the_family() -> None:
    bench = Bench()
    first = bench.grants.exchange(bench.code(), BACK, VERIFIER)
    second = bench.grants.renew(first.refresh)
    assert second.refresh != first.refresh
    assert bench.grants.grant_of(first.access) is not None, "calls on their way keep theirs for a moment"
    bench.seconds += GRACE_SECONDS + 1
    assert bench.grants.grant_of(first.access) is None
    with pytest.raises(GrantRefusedError):
        bench.grants.renew(first.refresh)
    assert bench.grants.grant_of(second.access) is None
    with pytest.raises(GrantRefusedError):
        bench.grants.renew(second.refresh)
    assert (bench.grants.counts["renewals"], bench.grants.counts["reuses"], bench.grants.living()) == (1, 1, 0)


def test_access_ends_with_its_hour_by_order_and_with_the_grant() -> None:
    bench = Bench()
    tokens = bench.grants.exchange(bench.code(), BACK, VERIFIER)
    bench.seconds += TOKEN_SECONDS + 1
    assert bench.grants.grant_of(tokens.access) is None
    tokens = bench.grants.renew(tokens.refresh)
    assert (bench.grants.expire(8), bench.grants.expire(7)) == (0, 1)
    bench.seconds += 0.1
    assert bench.grants.grant_of(tokens.access) is None
    tokens = bench.grants.renew(tokens.refresh)
    assert bench.grants.withdraw(7) == 1
    assert bench.grants.grant_of(tokens.access) is None


def test_either_token_revokes_the_grant_and_a_stranger_none() -> None:
    for kind in ("access", "refresh"):
        bench = Bench()
        tokens = bench.grants.exchange(bench.code(), BACK, VERIFIER)
        bench.grants.revoke("unknown")
        assert bench.grants.living() == 1
        for _ in range(2):
            bench.grants.revoke(getattr(tokens, kind))
        assert (bench.grants.living(), bench.grants.counts["revocations"]) == (0, 1)

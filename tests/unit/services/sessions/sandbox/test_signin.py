"""Signing in to the sandbox."""

import pytest

from services.sessions.sandbox.calls import PlatformError
from services.sessions.sandbox.signin import CHALLENGE_SECONDS, GRACE_SECONDS, PASSWORD, SESSION_SECONDS, SignIn


class Time:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def signin(now: Time) -> SignIn:
    return SignIn(now)


def refused(call: object, *args: str) -> str:
    with pytest.raises(PlatformError) as error:
        call(*args)  # type: ignore[operator]
    return f"{error.value.status} {error.value.code}"


def test_a_session_lives_for_its_time(signin: SignIn, now: Time) -> None:
    cookie, _ = signin.log_in("Demo@sandbox.test ", PASSWORD)
    assert cookie is not None
    now.seconds = SESSION_SECONDS
    account = signin.account_of(cookie)
    assert account is not None
    assert account.email == "demo@sandbox.test"
    now.seconds += 1
    assert signin.account_of(cookie) is None
    assert refused(signin.renew, cookie) == "401 session_expired"


def test_a_renewed_session_leaves_the_old_cookie_a_little_time(signin: SignIn, now: Time) -> None:
    old, _ = signin.log_in("demo@sandbox.test", PASSWORD)
    assert old is not None
    new = signin.renew(old)
    now.seconds = GRACE_SECONDS + 1
    assert signin.account_of(old) is None
    assert signin.account_of(new) is not None


def test_wrong_credentials_are_refused(signin: SignIn) -> None:
    assert refused(signin.log_in, "demo@sandbox.test", "wrong") == "401 invalid_credentials"
    assert refused(signin.log_in, "demo@elsewhere.test", PASSWORD) == "401 invalid_credentials"


def test_a_second_factor_is_asked_for_and_used_once(signin: SignIn, now: Time) -> None:
    cookie, challenge = signin.log_in("two-factor@sandbox.test", PASSWORD)
    assert cookie is None
    assert refused(signin.confirm, challenge, "000000") == "401 wrong_code"
    assert signin.account_of(signin.confirm(challenge, "123456")) is not None
    assert refused(signin.confirm, challenge, "123456") == "410 challenge_expired"
    _, late = signin.log_in("two-factor@sandbox.test", PASSWORD)
    now.seconds = CHALLENGE_SECONDS + 1
    assert refused(signin.confirm, late, "123456") == "410 challenge_expired"


def test_sessions_of_one_account_or_of_all_can_be_ended(signin: SignIn) -> None:
    a, _ = signin.log_in("a@sandbox.test", PASSWORD)
    b, _ = signin.log_in("b@sandbox.test", PASSWORD)
    assert a is not None
    assert b is not None
    account = signin.account_of(a)
    assert account is not None
    assert signin.expire(account.id) == 1
    assert (signin.account_of(a), signin.account_of(b) is None) == (None, False)
    assert signin.expire() == 1

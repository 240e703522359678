"""A key becomes a principal, or a 401, or a 429."""

from dataclasses import dataclass, field

import pytest

from libs.common.contracts.auth import Principal
from libs.common.ids import new_key
from services.edge.domain.ports import Credential
from services.edge.domain.refusal import Refusal
from services.edge.usecases.authenticate import Authenticate
from tests.support.edge import RING, ManualClock, a_principal


@dataclass
class Known:
    """The `Principals` port: `cached` without a question, `found` after one."""

    cached: Principal | None = None
    found: Principal | None = None
    asked: list[Credential] = field(default_factory=list)
    good: bool = False

    def was_good(self, credential: Credential) -> bool:
        return self.good

    def known(self, credential: Credential) -> Principal | None:
        return self.cached

    async def resolve(self, credential: Credential, *, age_ms_max: int | None = None) -> Principal | None:
        self.asked.append(credential)
        return self.found

    async def resolve_anew(self, credential: Credential) -> Principal | None:
        raise AssertionError


@dataclass
class Guesses:
    """The `Failures` port."""

    blocked: int = 0
    counted: list[str] = field(default_factory=list)

    def blocked_ms(self, address: str) -> int:
        return self.blocked

    async def count(self, address: str) -> None:
        self.counted.append(address)


class Uses:
    """Where keys were used from."""

    def __init__(self) -> None:
        self.seen: list[tuple[Principal, str]] = []

    def saw(self, caller: Principal, address: str) -> None:
        self.seen.append((caller, address))


async def outcome(principals: Known, failures: Guesses, key: str = "") -> Principal | str:
    do = Authenticate(ring=RING, principals=principals, failures=failures, uses=Uses(), clock=ManualClock(now_ms=1_000))
    try:
        return (await do(key or new_key("fgk_"), "203.0.113.7"))[1]
    except Refusal as refusal:
        return refusal.code


@pytest.mark.parametrize("prefix", ["fgk_", "fgt_", "fgu_", "fgo_"])
async def test_kinds_that_make_calls(prefix: str) -> None:
    principal = a_principal()
    assert await outcome(Known(found=principal), Guesses(), new_key(prefix)) is principal


@pytest.mark.parametrize(
    "key",
    ["x", new_key("fgr_"), new_key("fgs_"), "fgk_" + "0" * 36, new_key("fgk_").swapcase()],
    ids=lambda key: key[:4],
)
async def test_what_opens_nothing_is_not_even_asked_about(key: str) -> None:
    principals, failures = Known(found=a_principal()), Guesses()
    assert await outcome(principals, failures, key) == "INVALID_API_KEY"
    assert (principals.asked, failures.counted) == ([], [])


async def test_a_known_key_is_not_asked_for_its_address() -> None:
    principal = a_principal()
    assert await outcome(Known(cached=principal), Guesses(blocked=5_000)) is principal


async def test_an_unknown_key_is_counted_and_a_blocked_address_is_not_served() -> None:
    failures = Guesses()
    assert await outcome(Known(), failures) == "INVALID_API_KEY"
    assert failures.counted == ["203.0.113.7"]
    principals = Known(found=a_principal())
    assert await outcome(principals, Guesses(blocked=1)) == "TOO_MANY_FAILED_AUTH"
    assert principals.asked == []


async def test_a_key_that_was_good_is_asked_about_also_behind_a_blocked_address() -> None:
    principal = a_principal()
    assert await outcome(Known(found=principal, good=True), Guesses(blocked=5_000)) is principal


async def test_an_expired_key_is_a_401_also_from_the_cache() -> None:
    expired = a_principal(expires_at_ms=1_000)
    for principals in (Known(cached=expired), Known(found=expired)):
        failures = Guesses()
        assert await outcome(principals, failures) == "INVALID_API_KEY"
        assert len(failures.counted) == 1


async def test_digests_of_the_whole_ring_are_sent_and_the_key_is_not() -> None:
    principals, key = Known(found=a_principal()), new_key("fgk_")
    await outcome(principals, Guesses(), key)
    assert principals.asked[0].digests == RING.digests(key)
    assert key not in repr(principals.asked)

"""Networks as they are kept, and whether some lie within others."""

import pytest

from services.auth.domain.address import ADDRESSES_MAX, checked_addresses, is_within
from services.auth.domain.errors import InvalidRequest


def test_networks_are_kept_sorted_and_once() -> None:
    given = ["2001:db8::/32", " 203.0.113.7 ", "198.51.100.0/24", "203.0.113.7/32"]
    assert checked_addresses(given) == ("198.51.100.0/24", "203.0.113.7/32", "2001:db8::/32")
    assert checked_addresses([]) == ()


@pytest.mark.parametrize("bad", ["", "203.0.113.7/24", "203.0.113.0/33", "example.com", "203.0.113", "::1/129"])
def test_what_is_no_network_is_named(bad: str) -> None:
    with pytest.raises(InvalidRequest, match=r"addresses\[1\]: "):
        checked_addresses(["203.0.113.7", bad])


def test_there_are_so_many_and_no_more() -> None:
    many = [f"198.51.{number // 256}.{number % 256}" for number in range(ADDRESSES_MAX)]
    assert len(checked_addresses(many)) == ADDRESSES_MAX
    with pytest.raises(InvalidRequest):
        checked_addresses([*many, "203.0.113.7"])


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        (("203.0.113.7/32",), ("203.0.113.0/24",), True),
        (("203.0.113.0/24",), ("203.0.113.0/24",), True),
        (("203.0.112.0/23",), ("203.0.113.0/24",), False),
        (("203.0.113.7/32", "2001:db8::/48"), ("203.0.113.0/24", "2001:db8::/32"), True),
        (("203.0.113.7/32", "198.51.100.1/32"), ("203.0.113.0/24",), False),
        (("2001:db8::/48",), ("0.0.0.0/0",), False),
    ],
)
def test_networks_lie_within_others_or_not(inner: tuple[str, ...], outer: tuple[str, ...], within: bool) -> None:
    assert is_within(inner, outer) is within

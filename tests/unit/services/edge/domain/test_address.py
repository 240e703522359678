"""Where a key may be used."""

import pytest

from services.edge.domain.address import is_allowed


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (("203.0.113.0/24",), "203.0.113.255", True),
        (("203.0.113.0/24",), "203.0.114.0", False),
        (("203.0.113.7/32",), "203.0.113.7", True),
        (("203.0.113.7/32",), "203.0.113.8", False),
        (("203.0.113.7/32", "2001:db8::/32"), "2001:db8:1::1", True),
        (("2001:db8::/32",), "203.0.113.7", False),
        (("203.0.113.0/24",), "::ffff:203.0.113.7", True),
        (("203.0.113.0/24",), "::ffff:198.51.100.1", False),
        (("0.0.0.0/0",), "not an address", False),
        (("0.0.0.0/0",), "", False),
    ],
)
def test_an_address_lies_in_a_network_or_not(networks: tuple[str, ...], address: str, allowed: bool) -> None:
    assert is_allowed(networks, address) is allowed

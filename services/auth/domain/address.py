"""From where a key may be used: networks in CIDR notation. None of them = from anywhere."""

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

from services.auth.domain.errors import InvalidRequest

ADDRESSES_MAX: Final = 100  # networks of one key
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def checked_addresses(addresses: Iterable[str]) -> tuple[str, ...]:
    """`addresses` as networks (`203.0.113.7` is `203.0.113.7/32`), each once, sorted. Raises InvalidRequest naming the first
    that is none: `addresses[1]: …`.
    """
    networks: set[_Network] = set()
    for place, text in enumerate(addresses):
        try:
            networks.add(ipaddress.ip_network(text.strip()))
        except ValueError:
            raise InvalidRequest(
                f"addresses[{place}]: an address or a network is expected, such as 203.0.113.7 or 203.0.113.0/24"
            ) from None
    if len(networks) > ADDRESSES_MAX:
        raise InvalidRequest(f"addresses: at most {ADDRESSES_MAX} networks are possible")
    return tuple(str(network) for network in sorted(networks, key=lambda each: (each.version, each)))


def is_within(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """Whether everything in the networks `inner` lies in one of the networks `outer`."""
    bounds = [ipaddress.ip_network(text) for text in outer]
    return all(any(_covers(bound, ipaddress.ip_network(text)) for bound in bounds) for text in inner)


def _covers(bound: _Network, network: _Network) -> bool:
    if isinstance(bound, ipaddress.IPv4Network):
        return isinstance(network, ipaddress.IPv4Network) and network.subnet_of(bound)
    return isinstance(network, ipaddress.IPv6Network) and network.subnet_of(bound)

"""Whether a client's address lies in the networks a key may be used from."""

import functools
import ipaddress
from typing import TypeAlias

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_allowed(networks: tuple[str, ...], address: str) -> bool:
    """Whether `address` lies in one of `networks` (CIDR). What is no address lies in none."""
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped  # a server that listens on both kinds names IPv4 clients so
    return any(client in network for network in _parsed(networks))


@functools.lru_cache(maxsize=1_024)
def _parsed(networks: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in networks)


def network_of(address: str) -> str:
    """Whom a client address stands for: itself, or for IPv6 its /64, which one customer owns whole."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))

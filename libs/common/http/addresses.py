"""Which addresses strangers' URLs may lead us to: the public internet, and nothing that is ours or a machine's own.

Pure. Who asks: the guarded session (`guarded.py`), for every socket it is about to connect.
"""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Beside what `is_global` knows, which differs between versions of Python: carrier-grade NAT, protocol assignments,
# 6to4 relays, benchmarks, NAT64 (well-known and local), Teredo and its neighbours, 6to4, site-local, and the address at
# which a large cloud serves secrets to its virtual machines although it is public.
_DENIED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "168.63.129.16/32", "240.0.0.0/4",
        "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10",
    )
)  # fmt: skip


def unmapped(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped IPv6 one; any other as it is."""
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def is_public(address: Address) -> bool:
    """Whether `address` is somebody's on the public internet."""
    address = unmapped(address)
    if not address.is_global or address.is_multicast:
        return False
    return not any(address.version == net.version and address in net for net in _DENIED)

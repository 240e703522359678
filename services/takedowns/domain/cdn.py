"""Networks that stand in front of hosts and are not them: told by their address ranges and by what their servers add to answers.

Ranges as published by Cloudflare (www.cloudflare.com/ips) and Fastly (api.fastly.com/public-ip-list), from memory of 2025: to be
confirmed on the live web. A range that is missing costs one detour, by the network's own abuse desk.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final

from services.takedowns.domain.host import Address

_RANGES: Final = {
    "cloudflare": (
        "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18",
        "190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13",
        "104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22", "2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32",
        "2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32",
    ),
    "fastly": (
        "23.235.32.0/20", "43.249.72.0/22", "103.244.50.0/24", "103.245.222.0/23", "104.156.80.0/20", "146.75.0.0/17",
        "151.101.0.0/16", "157.52.64.0/18", "167.82.0.0/17", "185.31.16.0/22", "199.27.72.0/21", "199.232.0.0/16", "2a04:4e40::/32",
    ),
}  # fmt: skip
_NETWORKS: Final = tuple((name, ipaddress.ip_network(text)) for name, texts in _RANGES.items() for text in texts)
_HEADERS: Final = {"cf-ray": "cloudflare", "x-amz-cf-id": "cloudfront", "x-sucuri-id": "sucuri"}


def cdn_of(addresses: Iterable[Address], headers: Mapping[str, str] | None = None) -> str | None:
    """The network in front of a host, if it is a known one."""
    for address in addresses:
        for name, network in _NETWORKS:
            if network.version == address.version and address in network:
                return name
    names = {name.lower(): value for name, value in (headers or {}).items()}
    found = next((cdn for header, cdn in _HEADERS.items() if header in names), None)
    if found is None and names.get("server", "").lower().startswith("bunnycdn"):
        return "bunny"
    return found or ("fastly" if names.get("x-served-by", "").startswith("cache-") else None)

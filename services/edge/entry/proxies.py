"""Who the client is and how it came, when trusted proxies stand between: `X-Forwarded-For` and `-Proto`.

Both are believed only if the connection comes from a trusted proxy; the list is walked from the right past trusted hops, so
what a client wrote itself is never reached. (`aiohttp-remotes` answers 400 to two such headers; balancers send two.)
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, Self

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOPS_MAX: Final = 32  # a longer list is somebody's game
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](?::[0-9]{1,5})?")


class TrustedProxies:
    """The networks of our own balancers."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = tuple(networks)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read addresses and networks, separated by commas. Raises ValueError naming the bad one."""
        return cls([ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()])

    def client(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """The client's address: the first hop from the right that is not ours."""
        if not forwarded_for or not self._trusts(peer):
            return peer
        hops = [hop.strip() for line in forwarded_for for hop in line.split(",")][-HOPS_MAX:]
        nearest = peer
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                return nearest  # garbage: whoever wrote it is behind the last hop we can name
            nearest = str(address)
            if not self._trusts(nearest):
                return nearest
        return nearest

    def is_https(self, peer: str, forwarded_proto: Sequence[str], *, direct: bool) -> bool:
        """Whether the client came by HTTPS: as the nearest trusted proxy says, else as the connection is (`direct`)."""
        if not forwarded_proto or not self._trusts(peer):
            return direct
        return forwarded_proto[-1].rpartition(",")[2].strip().lower() == "https"

    def _trusts(self, text: str) -> bool:
        if not self._networks:
            return False
        address = _address(text)
        return address is not None and any(address in network for network in self._networks)


def origin_of(request: web.BaseRequest, proxies: TrustedProxies) -> str:
    """The gateway as the client reached it, `https://api.example.com`; empty for a Host that is none."""
    forwarded = request.headers.getall("X-Forwarded-Proto", ())
    scheme = "https" if proxies.is_https(request.remote or "", forwarded, direct=request.secure) else "http"
    host = request.headers.get("Host", "")
    return f"{scheme}://{host}" if _HOST.fullmatch(host) else ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as proxies write it: bare, `1.2.3.4:5678` or `[::1]:5678`."""
    bare = text.strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address

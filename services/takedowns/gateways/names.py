"""Host names to addresses, by the system's resolver."""

import asyncio
import ipaddress
import socket

from libs.common.http.addresses import Address, is_public


class SystemNames:
    """The port `Names`. Addresses that are not public are nobody's to write to."""

    async def addresses(self, host: str) -> list[Address]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return []
        addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
        return list(dict.fromkeys(address for address in addresses if is_public(address)))

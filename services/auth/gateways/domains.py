"""Proofs of domains: a TXT record, or a file below `/.well-known`, fetched by the guarded client, for the name is a stranger's."""

import ipaddress
from typing import Final

from dns.asyncresolver import Resolver
from dns.exception import DNSException
from dns.nameserver import Do53Nameserver

from libs.common.http.connection import HttpError
from libs.common.http.guarded import GuardedClient
from services.auth.domain.errors import Conflict

LOOKUP_SECONDS: Final = 4.0
FETCH_SECONDS: Final = 4.0
BODY_BYTES_MAX: Final = 1_024
PATH: Final = "/.well-known/fangate-domain-verification"
DNS_PORT: Final = 53


class NetworkDomainProofs:
    """The port `DomainProofs`."""

    def __init__(self, client: GuardedClient, resolver: Resolver) -> None:
        self._client = client
        self._resolver = resolver

    async def texts(self, name: str) -> list[str]:
        try:
            answer = await self._resolver.resolve(f"{name}.", "TXT", lifetime=LOOKUP_SECONDS, search=False)
        except DNSException as exc:
            raise Conflict(f"{name} has no TXT record that can be read ({type(exc).__name__})") from exc
        return [b"".join(record.strings).decode("utf-8", errors="replace") for record in answer]

    async def well_known(self, domain: str) -> str:
        url = f"https://{domain}{PATH}"
        try:
            found = await self._client.fetch(
                "GET", url, total_s=FETCH_SECONDS, body_bytes_max=BODY_BYTES_MAX, redirects_max=0
            )
        except HttpError as exc:
            raise Conflict(f"{url} cannot be read: {exc}") from exc
        if found.status != 200:
            raise Conflict(f"{url} answers {found.status}")
        return found.body.decode("utf-8", errors="replace")


def resolver_of(servers: str) -> Resolver:
    """A resolver that asks `servers` (`address` or `address:port`, separated by commas); none: those of this machine. Raises
    ValueError.
    """
    if not servers.strip():
        return Resolver()
    resolver = Resolver(configure=False)
    resolver.nameservers = [_server(each.strip()) for each in servers.split(",")]
    return resolver


def _server(text: str) -> Do53Nameserver:
    host, _, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    return Do53Nameserver(str(ipaddress.ip_address(host)), int(port or DNS_PORT))

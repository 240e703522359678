"""Which RDAP server knows a domain or an address: IANA's files (RFC 9224), as shipped and as refreshed."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any, Final

from libs.common.clock import Clock
from libs.common.http.addresses import Address
from libs.common.http.client import HttpError
from libs.common.http.guarded import GuardedClient
from libs.common.telemetry.log import logger

IANA: Final = "https://data.iana.org/rdap/"
FILES: Final = ("dns", "ipv4", "ipv6")
FILE_BYTES_MAX: Final = 2 << 20
SHIPPED_AT: Final = datetime(2026, 7, 23, tzinfo=UTC)  # when the shipped copies were IANA's newest; see iana/README.md
OLD: Final = timedelta(days=90)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_log = logger(__name__)


@dataclass(slots=True)
class Bootstrap:
    """Look-up over the files in memory. `confirmed_at`: when each was last known to be IANA's newest."""

    clock: Clock
    base: str = IANA
    domains: dict[str, str] = field(default_factory=dict)
    networks: dict[str, list[tuple[Network, str]]] = field(default_factory=dict)  # by file
    confirmed_at: dict[str, datetime] = field(default_factory=dict)
    _etags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def shipped(cls, clock: Clock) -> "Bootstrap":
        """The files that come with the program."""
        made = cls(clock)
        folder = resources.files("services.takedowns.gateways").joinpath("iana")
        for name in FILES:
            made.take(name, json.loads(folder.joinpath(f"{name}.json").read_text(encoding="utf-8")))
            made.confirmed_at[name] = SHIPPED_AT
        return made

    def take(self, name: str, content: Any) -> None:
        """Use `content` as the file `name`. Raises ValueError and changes nothing when it is not of RFC 9224's shape."""
        services = content.get("services") if isinstance(content, dict) else None
        if not isinstance(services, list) or not services:
            raise ValueError(f"{name}.json: no services")
        pairs: list[tuple[str, str]] = []
        for service in services:
            match service:
                case [[*keys], [*urls]] if all(isinstance(word, str) for word in (*keys, *urls)):
                    url = next((url for url in urls if url.startswith("https://")), None)
                    if url is not None:  # plain http would let anybody on the way name the mailbox we write to
                        pairs += [(key, url if url.endswith("/") else f"{url}/") for key in keys]
                case _:
                    raise ValueError(f"{name}.json: a service of another shape")
        if name == "dns":
            self.domains = {key.lower().strip("."): url for key, url in pairs}
        else:
            self.networks[name] = [(ipaddress.ip_network(key), url) for key, url in pairs]

    def for_domain(self, domain: str) -> str | None:
        """The server for a registrable domain (ASCII), by the longest matching suffix; many ccTLDs have none."""
        labels = domain.lower().split(".")
        suffixes = (".".join(labels[start:]) for start in range(len(labels)))
        return next((self.domains[suffix] for suffix in suffixes if suffix in self.domains), None)

    def for_address(self, address: Address) -> str | None:
        """The server of the registry that the address belongs to, by the longest prefix."""
        found = [pair for pair in self.networks.get(f"ipv{address.version}", ()) if address in pair[0]]
        return max(found, key=lambda pair: pair[0].prefixlen)[1] if found else None

    def old_files(self) -> list[str]:
        """Files that nobody confirmed for 90 days."""
        now = self.clock.now()
        return [name for name in FILES if now - self.confirmed_at[name] > OLD]

    async def refresh(self, http: GuardedClient) -> None:
        """Ask IANA for newer files; what does not come or makes no sense leaves the old one in place."""
        for name in FILES:
            headers = {"If-None-Match": self._etags[name]} if name in self._etags else {}
            try:
                await self._refresh(http, name, headers)
            except (HttpError, ValueError) as exc:
                _log.warning("bootstrap file not refreshed", file=name, error=str(exc))
        if old := self.old_files():
            _log.warning("bootstrap files are old: contacts may be asked for at the wrong place", files=old)

    async def _refresh(self, http: GuardedClient, name: str, headers: Mapping[str, str]) -> None:
        got = await http.fetch("GET", f"{self.base}{name}.json", headers=headers, body_bytes_max=FILE_BYTES_MAX)
        if got.status == 200 and not got.is_cut:
            self.take(name, json.loads(got.body))
            self._etags[name] = got.headers.get("ETag", "")
        elif got.status != 304:
            raise ValueError(f"status {got.status}")
        self.confirmed_at[name] = self.clock.now()

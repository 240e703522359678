"""Find out who can remove what is on a host: the directory, the registrar of its domain, the holder of its address."""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from libs.common.clock import Clock
from services.takedowns.domain.cdn import cdn_of
from services.takedowns.domain.host import INFRASTRUCTURE, Address, HostFacts, Responsible, best_entry
from services.takedowns.domain.notice_errors import RegistryTrouble
from services.takedowns.domain.notice_ports import Names, Registries
from services.takedowns.domain.progress_ports import HostFound, HostRow, Progress
from services.takedowns.usecases.give_back import WORLDS

CLAIMED_FOR: Final = timedelta(minutes=2)
AGAIN_AFTER: Final = tuple(timedelta(minutes=minutes) for minutes in (5, 30, 120, 360))  # after tries that found nobody
ADDRESSES_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class ResolveHost:
    """One host, by one process at a time. What cannot be had now is asked for again later."""

    progress: Progress
    registries: Registries
    names: Names
    clock: Clock
    failed: Callable[[Exception], None]  # a defect was met

    async def __call__(self, host_id: int) -> None:
        now = self.clock.now()
        host = await self.progress.claim_host(host_id, now=now, until=now + CLAIMED_FOR)
        if host is None:
            return
        try:
            found = await self._find(host, now)
        except WORLDS:
            raise
        except Exception as exc:
            # A try like any other: what waits for the host gives its credits back in the end, and nobody else waits for a person.
            self.failed(exc)
            async with self.progress.transaction() as tx:
                await tx.postpone_host(host_id, until=now + AGAIN_AFTER[min(host.resolve_tries, len(AGAIN_AFTER) - 1)])
            return
        async with self.progress.transaction() as tx:
            await tx.settle_host(host_id, found, now=self.clock.now())

    async def _find(self, host: HostRow, now: datetime) -> HostFound:
        facts = host.facts
        addresses = tuple(await self._addresses(facts.host))[:ADDRESSES_MAX]
        waits_s = 0
        registrar: Responsible = Responsible()
        holder: Responsible = Responsible()
        is_domain = _address(facts.site) is None
        try:
            if is_domain:
                registrar = await self.registries.registrar(facts.site)
            if addresses:
                holder = await self.registries.holder(addresses[0])
        except RegistryTrouble as trouble:
            waits_s = max(60, trouble.seconds)
        entries = await self.progress.directory()
        entry = best_entry((entry for entry in entries if entry.kind not in INFRASTRUCTURE), facts.host)
        cdn = cdn_of(addresses)
        found = HostFacts(
            host=facts.host,
            site=facts.site,
            registrar_name=registrar.name or facts.registrar_name,
            registrar_email=registrar.abuse_email or facts.registrar_email,
            hoster_name=holder.name or facts.hoster_name,
            hoster_email=holder.abuse_email or facts.hoster_email,
            cdn=cdn or facts.cdn,
        )
        return HostFound(
            facts=found,
            entry=entry,
            addresses=addresses,
            registrar_iana=registrar.iana_id,
            compliance=entry.compliance if entry else None,
            is_confirmed=waits_s == 0,
            again_at=self._again(
                host, waits_s, is_anybody=bool(entry or found.registrar_email or found.hoster_email), now=now
            ),
        )

    def _again(self, host: HostRow, waits_s: int, *, is_anybody: bool, now: datetime) -> datetime | None:
        """When the host is resolved again; None: when it is next needed and a week has passed."""
        if is_anybody and not waits_s:
            return None
        step = AGAIN_AFTER[min(host.resolve_tries, len(AGAIN_AFTER) - 1)]
        return now + max(step if not is_anybody else timedelta(), timedelta(seconds=waits_s))

    async def _addresses(self, host: str) -> Sequence[Address]:
        literal = _address(host)
        return [literal] if literal is not None else await self.names.addresses(host)


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None

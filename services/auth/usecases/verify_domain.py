"""Who registers an app shows that a domain is under their control."""

import secrets
import uuid
from dataclasses import dataclass
from typing import Final

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from services.auth.domain.app import DOMAINS_MAX, Domain, Method, checked_domain
from services.auth.domain.app_ports import AppAccounts, AppChange, DomainProofs
from services.auth.domain.errors import Conflict, InvalidRequest

RECORD_NAME: Final = "_fangate"  # of the TXT record, below the domain
RECORD_START: Final = "fangate-domain-verification="
TOKEN_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class VerifyDomain:
    """Name a domain, and with a method look for its proof. A proved domain stays proved.

    Raises InvalidRequest (domain, method), NotFound (the app), Conflict (no proof there, too many domains).
    """

    accounts: AppAccounts
    proofs: DomainProofs
    clock: Clock

    async def __call__(
        self, org_id: uuid.UUID, app_id: uuid.UUID, *, domain: str, method: str | None, by: Actor | None = None
    ) -> Domain:
        name, way = checked_domain(domain), None if method is None else _method(method)
        async with self.accounts.change(org_id, by) as change:
            await change.app(app_id)
            found = await self._named(change, app_id, name)
        if way is None or found.verified_at is not None:
            return found
        await self._look(found, way)  # outside of any transaction: it takes as long as the other side likes
        now = self.clock.now()
        async with self.accounts.change(org_id, by) as change:
            await change.app(app_id)
            await change.verify_domain(app_id, name, way, now)
        return msgspec.structs.replace(found, method=way, verified_at=now)

    async def _named(self, change: AppChange, app_id: uuid.UUID, name: str) -> Domain:
        known = {each.domain: each for each in await change.domains(app_id)}
        if name in known:
            return known[name]
        if len(known) >= DOMAINS_MAX:
            raise Conflict(f"An app has {DOMAINS_MAX} domains at most")
        new = Domain(domain=name, token=secrets.token_urlsafe(TOKEN_BYTES), created_at=self.clock.now())
        await change.add_domain(app_id, new)
        return new

    async def _look(self, domain: Domain, way: Method) -> None:
        if way is Method.DNS:
            name = f"{RECORD_NAME}.{domain.domain}"
            if RECORD_START + domain.token not in await self.proofs.texts(name):
                raise Conflict(f"No TXT record at {name} is {RECORD_START}{domain.token}")
        elif (await self.proofs.well_known(domain.domain)).strip() != domain.token:
            raise Conflict(f"What https://{domain.domain} shows there is not {domain.token}")


def _method(name: str) -> Method:
    try:
        return Method(name)
    except ValueError:
        raise InvalidRequest(f"method: one of {', '.join(Method)}") from None

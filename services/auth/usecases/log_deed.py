"""What somebody did in another service, as that service tells it: a line of the audit log."""

import uuid
from dataclasses import dataclass

from libs.common.contracts.auth import Actor
from services.auth.domain.audit import Deed
from services.auth.domain.errors import OrganizationDeleted
from services.auth.domain.ports import Accounts


@dataclass(frozen=True, slots=True)
class LogDeed:
    """Write the line once, with the time of the deed. Any number of deliveries has one effect; no right changes by it.

    Raises NotFound for an organization that does not exist.
    """

    accounts: Accounts

    async def __call__(self, org_id: uuid.UUID, by: Actor, deed: Deed, message_id: uuid.UUID) -> None:
        try:
            async with self.accounts.change(org_id, by) as change:
                if await change.accept_once(message_id):
                    # The message's id was made with the deed: it tells when.
                    change.did(deed, entry_id=message_id)
        except OrganizationDeleted:
            return  # there is nobody to read it

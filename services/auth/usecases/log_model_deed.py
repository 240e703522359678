"""What somebody did with a model, as sessions tells it: a line of the audit log."""

import uuid
from dataclasses import dataclass

from libs.common.contracts.sessions import ModelManaged
from services.auth.domain import audit
from services.auth.domain.errors import OrganizationDeleted
from services.auth.domain.ports import Accounts


@dataclass(frozen=True, slots=True)
class LogModelDeed:
    """Write the line once, with the time of the deed. Any number of deliveries has one effect; no right changes by it.

    Raises NotFound for an organization that does not exist.
    """

    accounts: Accounts

    async def __call__(self, event: ModelManaged, message_id: uuid.UUID) -> None:
        try:
            async with self.accounts.change(event.org_id, event.by) as change:
                if await change.accept_once(message_id):
                    # The message's id was made with the deed: it tells when.
                    change.did(audit.model_managed(event), entry_id=message_id)
        except OrganizationDeleted:
            return  # there is nobody to read it

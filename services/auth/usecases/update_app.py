"""An app changes: its name, its URLs, its stage."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from libs.common.contracts.auth import Actor
from services.auth.domain.app import (
    AppState,
    Stage,
    check_hosts,
    checked_app_name,
    checked_redirects,
    checked_webhooks,
)
from services.auth.domain.app_ports import AppAccounts
from services.auth.domain.errors import Conflict
from services.auth.usecases.create_app import checked_stage


@dataclass(frozen=True, slots=True)
class UpdateApp:
    """Change what is given. In production every host lies under a verified domain, and there is no way back to development.

    Raises InvalidRequest, NotFound, Conflict (suspended; a host that is not proved; back to development).
    """

    accounts: AppAccounts

    async def __call__(
        self,
        org_id: uuid.UUID,
        app_id: uuid.UUID,
        *,
        name: str | None = None,
        redirect_uris: Collection[str] | None = None,
        webhook_urls: Collection[str] | None = None,
        stage: str | None = None,
        by: Actor | None = None,
    ) -> None:
        async with self.accounts.change(org_id, by) as change:
            old = new = await change.app(app_id)
            if old.state is not AppState.ACTIVE:
                raise Conflict("The app is suspended: ask the operator")
            wanted = old.stage if stage is None else checked_stage(stage)
            if old.stage is Stage.PRODUCTION and wanted is not Stage.PRODUCTION:
                raise Conflict("An app in production stays there: register another one for development")
            new = msgspec.structs.replace(
                old,
                stage=wanted,
                name=old.name if name is None else checked_app_name(name),
                redirect_uris=checked_redirects(old.redirect_uris if redirect_uris is None else redirect_uris, wanted),
                webhook_urls=old.webhook_urls if webhook_urls is None else checked_webhooks(webhook_urls),
            )
            if new == old:
                return
            if new.stage is Stage.PRODUCTION:
                check_hosts(new, await change.domains(app_id))
            await change.update_app(old, new)

"""The end of an app, or of what outlived one: grants and tokens end with it, wherever their users are (R181, R184)."""

import uuid
from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor, Moved
from services.auth.domain.app import AppState
from services.auth.domain.app_ports import AppAccounts, AppsRead
from services.auth.domain.audit import SYSTEM
from services.auth.domain.errors import NotFound


@dataclass(frozen=True, slots=True)
class EndApp:
    """Suspend or delete an app. Its state is what counts, and stands first: from then on no token of it is resolved. Then its grants
    end, one organization after another, each in its own transaction (two at once could wait in a circle); what a crash leaves
    over, `EndDeadGrants` finds. Repeating it is safe.

    Returns whose principals are outdated: whoever asked brings that to Redis before saying that it is done. Raises NotFound.
    """

    accounts: AppAccounts
    apps: AppsRead
    clock: Clock

    async def __call__(
        self, org_id: uuid.UUID, app_id: uuid.UUID, state: AppState, *, by: Actor | None = None
    ) -> tuple[Moved, ...]:
        async with self.accounts.change(org_id, by) as change:
            app = await change.app(app_id)
            if app.state is not state:
                await change.update_app(app, msgspec.structs.replace(app, state=state))
        if state is AppState.ACTIVE:
            return ()
        moved = []
        for granting in await self.apps.organizations_granting(app_id):
            async with self.accounts.change(granting, SYSTEM) as change:
                for grant in await change.grants_of_app(app_id):
                    await change.revoke_grant(grant, self.clock.now(), reason=f"the app was {state}")
                moved.append(Moved(org_id=granting, av=change.av))
        return tuple(moved)


@dataclass(frozen=True, slots=True)
class EndDeadGrants:
    """End the grants whose app or user is no more; how many."""

    accounts: AppAccounts
    apps: AppsRead
    clock: Clock

    async def __call__(self) -> int:
        dead = await self.apps.dead_grants()
        for org_id, grant_id in dead:
            async with self.accounts.change(org_id, SYSTEM) as change:
                grant = await change.grant(grant_id)
                await change.revoke_grant(grant, self.clock.now(), reason="the app or the user is no more")
        return len(dead)


@dataclass(frozen=True, slots=True)
class OutdateGrantors:
    """A user rests or leaves, or an organization is suspended: what their apps may do is read anew, wherever they were allowed
    something. Nothing ends by it, so that it can come back.
    """

    accounts: AppAccounts
    apps: AppsRead

    async def __call__(self, org_id: uuid.UUID, user_id: uuid.UUID | None = None) -> tuple[Moved, ...]:
        granting: set[uuid.UUID] = set()
        for app_id in await self.apps.apps_behind(org_id, user_id):
            granting |= set(await self.apps.organizations_granting(app_id))
        moved = []
        for each in sorted(granting - {org_id}):
            try:
                async with self.accounts.change(each) as change:
                    change.touch()
                    moved.append(Moved(org_id=each, av=change.av))
            except NotFound:  # deleted: nobody calls there any more
                continue
        return tuple(moved)

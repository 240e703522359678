"""Somebody follows the link of an invitation."""

from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from services.auth.domain.errors import LinkGone
from services.auth.domain.organization import UserState
from services.auth.domain.ports import Accounts
from services.auth.domain.user import InvitationView


@dataclass(frozen=True, slots=True)
class AcceptInvitation:
    """Both verbs raise LinkGone for a link that is unknown, expired or used: nobody is told which."""

    accounts: Accounts
    clock: Clock

    async def show(self, link: bytes) -> InvitationView:
        """What the link says."""
        view = await self.accounts.find_invitation(link.hex(), self.clock.now())
        if view is None:
            raise LinkGone
        return view

    async def __call__(self, link: bytes, *, address: str, password: str = "") -> InvitationView:
        """The user is active from now on, with the password whose digest is `password`, and the link used. Raises Conflict when the
        address is another organization's user's.
        """
        view = await self.show(link)
        invitation, now = view.invitation, self.clock.now()
        by = Actor(user_id=invitation.user_id, address=address, is_link=True)
        async with self.accounts.change(invitation.org_id, by) as change:
            if not await change.end_invitation(invitation.user_id, now, digest=invitation.digest):
                raise LinkGone  # somebody was faster, or it was replaced
            user = await change.user(invitation.user_id)
            await change.update_user(user, msgspec.structs.replace(user, state=UserState.ACTIVE))
            if password:
                await change.set_password(user.user_id, password, now)
        return view

"""A user's password: set behind a link that the operator handed over, or by the operator."""

import uuid
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from services.auth.domain.app_ports import AppAccounts, Passwords, SealedPasswords, SignIns
from services.auth.domain.errors import Conflict, LinkGone
from services.auth.domain.organization import UserState
from services.auth.domain.sign_in import PASSWORD_LINK_LIFE, PasswordLink, PasswordLinkView, checked_password
from services.auth.domain.user import InvitationView
from services.auth.usecases.accept_invitation import AcceptInvitation


@dataclass(frozen=True, slots=True)
class SetPassword:
    """All sessions that began before end with it. Raises LinkGone for a link that is unknown, expired or used, InvalidRequest for a
    password that may not be one.
    """

    accounts: AppAccounts
    sign_ins: SignIns
    passwords: Passwords
    sealed: SealedPasswords
    clock: Clock

    async def show(self, link: bytes) -> PasswordLinkView:
        """What the link says."""
        view = await self.sign_ins.find_link(link.hex(), self.clock.now())
        if view is None:
            raise LinkGone
        return view

    async def by_link(self, link: bytes, sealed: bytes, *, address: str) -> PasswordLinkView:
        """The link is used."""
        view = await self.show(link)
        digest = await self.passwords.digest(
            checked_password(self.sealed.password(sealed, bound_to=link), email=view.email)
        )
        user_id, now = view.link.user_id, self.clock.now()
        by = Actor(user_id=user_id, address=address, is_link=True)
        async with self.accounts.change(view.link.org_id, by) as change:
            if not await change.end_password_link(user_id, now, view.link.digest):
                raise LinkGone  # somebody was faster, or it was replaced
            await change.set_password(user_id, digest, now)
            await change.end_sessions(user_id, now)
        return view

    async def by_operator(self, org_id: uuid.UUID, user_id: uuid.UUID, password: str) -> None:
        """Raises NotFound, Conflict (the user has not joined), InvalidRequest."""
        now = self.clock.now()
        email = (await self.accounts.listed_user(org_id, user_id)).user.email
        digest = await self.passwords.digest(checked_password(password, email=email))
        async with self.accounts.change(org_id) as change:
            if (await change.user(user_id)).state is UserState.INVITED:
                raise Conflict("The user has not joined yet: the invitation sets the password")
            await change.set_password(user_id, digest, now)
            await change.end_sessions(user_id, now)


@dataclass(frozen=True, slots=True)
class JoinWithPassword:
    """Accept an invitation, and sign in with a password from then on. Raises what AcceptInvitation raises, and InvalidRequest for a
    password that may not be one.
    """

    accept: AcceptInvitation
    passwords: Passwords
    sealed: SealedPasswords

    async def __call__(self, link: bytes, sealed: bytes, *, address: str) -> InvitationView:
        digest = ""
        if sealed:
            email = (await self.accept.show(link)).email  # first: a link that is none costs no argon2
            digest = await self.passwords.digest(
                checked_password(self.sealed.password(sealed, bound_to=link), email=email)
            )
        return await self.accept(link, address=address, password=digest)


@dataclass(frozen=True, slots=True)
class LinkPassword:
    """A link for an active user, in the place of an earlier one. Raises NotFound, Conflict."""

    accounts: AppAccounts
    clock: Clock

    async def __call__(self, org_id: uuid.UUID, user_id: uuid.UUID, link: bytes) -> PasswordLink:
        now = self.clock.now()
        made = PasswordLink(
            digest=link.hex(), org_id=org_id, user_id=user_id, created_at=now, expires_at=now + PASSWORD_LINK_LIFE
        )
        async with self.accounts.change(org_id) as change:
            user = await change.user(user_id)
            if user.state is not UserState.ACTIVE:
                raise Conflict(f"The user is {user.state}: only active users sign in")
            await change.add_password_link(made)
        return made

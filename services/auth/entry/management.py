"""The commands behind the gateway's own routes on organizations, users, keys and roles: read, or call one use case, and answer."""

import uuid
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from libs.common.bus import Consumer
from libs.common.clock import Clock
from libs.common.contracts import auth
from libs.common.contracts.envelope import Context
from services.auth.domain.key import ListedKey
from services.auth.domain.organization import Organization
from services.auth.domain.permission import PERMISSIONS
from services.auth.domain.ports import Accounts, CallRecords
from services.auth.domain.role import Role
from services.auth.domain.user import InvitationView, ListedUser
from services.auth.entry.personal_keys import PersonalKeyDesk
from services.auth.entry.shown_once import shown_once
from services.auth.usecases import UseCases
from services.auth.usecases.issue_key import IssuedKey, KeyOrder

# Whoever an app's owner was allowed something by reads anew what the app may do (usecases/end_app.py).
Outdate: TypeAlias = Callable[[uuid.UUID, uuid.UUID | None], Awaitable[tuple[auth.Moved, ...]]]


def managed(
    consumer: Consumer,
    do: UseCases,
    accounts: Accounts,
    records: CallRecords,
    clock: Clock,
    *,
    outdate_grantors: Outdate,
) -> Consumer:
    """`consumer` with a handler for each management command."""
    desk = _Desk(do, accounts, clock, outdate_grantors)
    personal = PersonalKeyDesk(do, accounts, records, clock)
    return (
        personal.serving(consumer)
        .on(auth.GetOrganization, desk.get_organization)
        .on(auth.UpdateOrganization, desk.update_organization)
        .on(auth.ListAudit, desk.list_audit)
        .on(auth.ListUsers, desk.list_users)
        .on(auth.InviteUser, desk.invite_user)
        .on(auth.UpdateUser, desk.update_user)
        .on(auth.RemoveUser, desk.remove_user)
        .on(auth.GetInvitation, desk.get_invitation)
        .on(auth.ListKeys, desk.list_keys)
        .on(auth.GetKey, desk.get_key)
        .on(auth.CreateKey, desk.create_key)
        .on(auth.UpdateKey, desk.update_key)
        .on(auth.RotateKey, desk.rotate_key)
        .on(auth.RevokeKey, desk.revoke_key)
        .on(auth.ListPermissions, desk.list_permissions)
        .on(auth.ListRoles, desk.list_roles)
        .on(auth.CreateRole, desk.create_role)
        .on(auth.ReplaceRole, desk.replace_role)
        .on(auth.DeleteRole, desk.delete_role)
    )


class _Desk:
    def __init__(self, do: UseCases, accounts: Accounts, clock: Clock, outdate_grantors: Outdate) -> None:
        self._do = do
        self._outdate_grantors = outdate_grantors
        self._accounts = accounts
        self._clock = clock

    async def get_organization(self, message: auth.GetOrganization, _context: Context) -> auth.Organization:
        return _shown_organization(await self._accounts.organization(message.org_id))

    async def update_organization(
        self, message: auth.UpdateOrganization, _context: Context
    ) -> auth.OrganizationUpdated:
        av = await self._do.rename_organization(message.org_id, name=message.name, by=message.by)
        organization = await self._accounts.organization(message.org_id)
        return auth.OrganizationUpdated(av=av, organization=_shown_organization(organization))

    async def list_audit(self, message: auth.ListAudit, _context: Context) -> auth.Audit:
        # One more than asked for tells whether there is a next page.
        entries = await self._accounts.audit_page(message.org_id, limit=message.limit + 1, before=message.before)
        page = tuple(entries[: message.limit])
        return auth.Audit(entries=page, next=page[-1].entry_id if page and len(entries) > len(page) else None)

    async def list_users(self, message: auth.ListUsers, _context: Context) -> auth.Users:
        page, total = await self._accounts.user_page(message.org_id, limit=message.limit, offset=message.offset)
        return auth.Users(users=tuple(_shown_user(each) for each in page), total=total)

    async def invite_user(self, message: auth.InviteUser, _context: Context) -> auth.UserInvited:
        user_id = await self._do.invite_user(
            message.org_id, email=message.email, role=message.role, link=message.link, by=message.by
        )
        return auth.UserInvited(user=await self._user(message.org_id, user_id))

    async def update_user(self, message: auth.UpdateUser, _context: Context) -> auth.UserUpdated:
        av = await self._do.update_user(
            message.org_id, message.user_id, role=message.role, is_suspended=message.is_suspended, by=message.by
        )
        return await self._updated(message, av)

    async def remove_user(self, message: auth.RemoveUser, _context: Context) -> auth.UserUpdated:
        return await self._updated(message, await self._do.remove_user(message.org_id, message.user_id, by=message.by))

    async def _updated(self, message: auth.UpdateUser | auth.RemoveUser, av: int) -> auth.UserUpdated:
        moved = await self._outdate_grantors(message.org_id, message.user_id)
        return auth.UserUpdated(av=av, moved=moved, user=await self._user(message.org_id, message.user_id))

    async def get_invitation(self, message: auth.GetInvitation, _context: Context) -> auth.InvitationShown:
        return shown_invitation(await self._do.accept_invitation.show(message.link))

    async def list_keys(self, message: auth.ListKeys, _context: Context) -> auth.Keys:
        page, total = await self._accounts.key_page(message.org_id, limit=message.limit, offset=message.offset)
        return auth.Keys(keys=tuple(self._shown(each) for each in page), total=total)

    async def get_key(self, message: auth.GetKey, _context: Context) -> auth.FoundKey:
        return auth.FoundKey(key=await self._key(message.org_id, message.key_id))

    async def create_key(self, message: auth.CreateKey, _context: Context) -> auth.KeyCreated:
        issued = await self._do.issue_key(
            KeyOrder(
                org_id=message.org_id,
                role=message.role,
                label=message.label,
                expires_at=message.expires_at,
                key_per_minute=message.per_minute,
                model_id=message.model_id,
                read_only=message.read_only,
                addresses=message.addresses,
                api_version=message.api_version,
                by=message.by,
            )
        )
        told = shown_once(issued.text, message.reply_key, bound_to=issued.key.key_id)
        return auth.KeyCreated(key=self._shown_new(issued), text=told.text, sealed=told.sealed)

    async def update_key(self, message: auth.UpdateKey, _context: Context) -> auth.KeyUpdated:
        av = await self._do.update_key(
            message.org_id,
            message.key_id,
            label=message.label,
            role=message.role,
            addresses=message.addresses,
            by=message.by,
        )
        return auth.KeyUpdated(av=av, key=await self._key(message.org_id, message.key_id))

    async def rotate_key(self, message: auth.RotateKey, _context: Context) -> auth.KeyRotated:
        issued = await self._do.rotate_key(
            message.org_id,
            message.key_id,
            overlap_seconds=message.overlap_seconds,
            expires_at=message.expires_at,
            by=message.by,
        )
        told = shown_once(issued.text, message.reply_key, bound_to=issued.key.key_id)
        return auth.KeyRotated(av=issued.av, key=self._shown_new(issued), text=told.text, sealed=told.sealed)

    async def revoke_key(self, message: auth.RevokeKey, _context: Context) -> auth.KeyUpdated:
        av = await self._do.revoke_key(message.org_id, message.key_id, by=message.by)
        return auth.KeyUpdated(av=av, key=await self._key(message.org_id, message.key_id))

    async def list_permissions(self, _message: auth.ListPermissions, _context: Context) -> auth.Permissions:
        return auth.Permissions(permissions=tuple(sorted(PERMISSIONS)))

    async def list_roles(self, message: auth.ListRoles, _context: Context) -> auth.Roles:
        return auth.Roles(roles=tuple(_shown_role(each) for each in await self._accounts.roles(message.org_id)))

    async def create_role(self, message: auth.CreateRole, _context: Context) -> auth.RoleCreated:
        role = await self._do.create_role(
            message.org_id, name=message.name, permissions=message.permissions, by=message.by
        )
        return auth.RoleCreated(role=_shown_role(role))

    async def replace_role(self, message: auth.ReplaceRole, _context: Context) -> auth.RoleChanged:
        role, av = await self._do.replace_role(
            message.org_id, message.role_id, name=message.name, permissions=message.permissions, by=message.by
        )
        return auth.RoleChanged(av=av, role=_shown_role(role))

    async def delete_role(self, message: auth.DeleteRole, _context: Context) -> auth.RoleDeleted:
        return auth.RoleDeleted(av=await self._do.remove_role(message.org_id, message.role_id, by=message.by))

    async def _user(self, org_id: uuid.UUID, user_id: uuid.UUID) -> auth.User:
        return _shown_user(await self._accounts.listed_user(org_id, user_id))

    async def _key(self, org_id: uuid.UUID, key_id: uuid.UUID) -> auth.Key:
        return self._shown(await self._accounts.listed_key(org_id, key_id))

    def _shown_new(self, issued: IssuedKey) -> auth.Key:
        return self._shown(ListedKey(key=issued.key, role_name=issued.role_name))

    def _shown(self, listed: ListedKey) -> auth.Key:
        key = listed.key
        return auth.Key(
            key_id=key.key_id,
            start=key.start,
            label=key.label,
            kind=key.kind,
            role=listed.role_name,
            role_id=key.role_id,
            state=key.state(self._clock.now()),
            model_id=key.model_id,
            per_minute=key.key_per_minute,
            read_only=key.read_only,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            addresses=key.addresses,
        )


def _shown_organization(organization: Organization) -> auth.Organization:
    plan = organization.subscription
    return auth.Organization(
        org_id=organization.org_id,
        name=organization.name,
        state=organization.state,
        is_sandbox=organization.is_sandbox,
        read_only=organization.read_only,
        plan=plan.plan,
        subscription=plan.status,
        per_minute=plan.per_minute,
        per_day=plan.per_day,
        period_start=plan.period_start,
        period_end=plan.period_end,
    )


def _shown_user(listed: ListedUser) -> auth.User:
    user = listed.user
    return auth.User(
        user_id=user.user_id,
        email=user.email,
        role=listed.role_name,
        role_id=user.role_id,
        state=user.state,
        created_at=listed.created_at,
        invited_until=listed.invited_until,
    )


def shown_invitation(view: InvitationView) -> auth.InvitationShown:
    """What the page of an invitation says."""
    return auth.InvitationShown(
        organization=view.organization,
        email=view.email,
        role=view.role_name,
        expires_at=view.invitation.expires_at,
    )


def _shown_role(role: Role) -> auth.Role:
    return auth.Role(
        role_id=role.role_id,
        name=role.name,
        is_built_in=role.is_built_in,
        permissions=tuple(sorted(role.permissions)),
    )

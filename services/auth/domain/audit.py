"""What the audit log says of a change: its name, what it was done to, and the facts. Every write of the store takes its line
from here, so that no use case can forget one.
"""

import uuid
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from libs.common.contracts.auth import Actor
from libs.common.contracts.billing import SubscriptionManaged
from libs.common.contracts.sessions import ModelManaged
from services.auth.domain.key import Key
from services.auth.domain.organization import Organization, OrganizationState, User, UserState
from services.auth.domain.role import Role
from services.auth.domain.user import Invitation
from services.auth.domain.webhook import Endpoint


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log, without who, when and from where. `details` are plain JSON values, never secrets."""

    action: str
    object_id: uuid.UUID | None = None
    details: dict[str, Any] = {}


SYSTEM: Final = Actor(is_system=True)  # who does what nobody asked for


def actor_of(by: Actor) -> str:
    """The log's word for who it was."""
    if by.is_system:
        return "system"
    return "link" if by.is_link else "key" if by.key_id else "user" if by.user_id else "operator"


def organization_created(organization: Organization) -> Deed:
    return Deed(action="organization.create", object_id=organization.org_id, details={"name": organization.name})


def organization_renamed(organization: Organization, name: str) -> Deed:
    details = {"name": _moved(organization.name, name)}
    return Deed(action="organization.update", object_id=organization.org_id, details=details)


def state_set(organization: Organization, state: OrganizationState) -> Deed:
    details = {"state": _moved(str(organization.state), str(state))}
    return Deed(action="organization.set_state", object_id=organization.org_id, details=details)


def features_set(organization: Organization, features: frozenset[str]) -> Deed:
    details = {"features": _moved(_text(tuple(sorted(organization.features))), _text(tuple(sorted(features))))}
    return Deed(action="organization.set_features", object_id=organization.org_id, details=details)


def user_added(user: User) -> Deed:
    return Deed(action="user.create", object_id=user.user_id, details={"email": user.email})


def user_invited(invitation: Invitation) -> Deed:
    return Deed(
        action="user.invite", object_id=invitation.user_id, details={"until": invitation.expires_at.isoformat()}
    )


def user_updated(old: User, new: User) -> Deed:
    """A user joins, leaves, rests, or has another role."""
    if new.state is UserState.REMOVED:
        return Deed(action="user.remove", object_id=new.user_id, details={"email": old.email})
    if old.state is UserState.INVITED and new.state is UserState.ACTIVE:
        return Deed(action="user.join", object_id=new.user_id, details={"email": old.email})
    return Deed(action="user.update", object_id=new.user_id, details=differences(old, new, "role_id", "state"))


def role_created(role: Role) -> Deed:
    return Deed(
        action="role.create", object_id=role.role_id, details={"name": role.name, "permissions": sorted(role.granted)}
    )


def role_replaced(old: Role, new: Role) -> Deed:
    details: dict[str, Any] = {
        "added": sorted(new.granted - old.granted), "removed": sorted(old.granted - new.granted),
    }  # fmt: skip
    if old.name != new.name:
        details["name"] = _moved(old.name, new.name)
    return Deed(action="role.update", object_id=new.role_id, details=details)


def role_removed(role: Role) -> Deed:
    return Deed(action="role.delete", object_id=role.role_id, details={"name": role.name})


def key_created(key: Key, replaces: uuid.UUID | None) -> Deed:
    details: dict[str, Any] = {"label": key.label, "start": key.start, "role_id": _text(key.role_id)}
    if key.scopes is not None:
        details |= {"user_id": _text(key.user_id), "scopes": sorted(key.scopes)}
    if replaces is not None:
        details["replaces"] = str(replaces)
    return Deed(action="key.create", object_id=key.key_id, details=details)


def key_updated(old: Key, new: Key) -> Deed:
    details = differences(old, new, "label", "role_id", "expires_at", "addresses")
    return Deed(action="key.update", object_id=new.key_id, details=details)


def key_revoked(key_id: uuid.UUID) -> Deed:
    return Deed(action="key.revoke", object_id=key_id)


def model_managed(event: ModelManaged) -> Deed:
    return Deed(action=f"model.{event.action}", object_id=event.model_id, details=event.details)


def subscription_managed(event: SubscriptionManaged) -> Deed:
    return Deed(action=f"subscription.{event.action}", object_id=event.org_id, details=event.details)


def webhook_created(endpoint: Endpoint) -> Deed:
    details: dict[str, Any] = {"host": _host(endpoint), "event_types": _text(endpoint.event_types)}
    if endpoint.app_id is not None:
        details["app_id"] = str(endpoint.app_id)
    return Deed(action="webhook.create", object_id=endpoint.webhook_id, details=details)


def webhook_updated(old: Endpoint, new: Endpoint) -> Deed:
    """An endpoint lies elsewhere, hears of other things, rests or goes on; its path may hold a secret and is not told."""
    details = differences(old, new, "event_types", "description", "state", "reason")
    if old.url != new.url:
        details["host"] = _moved(_host(old), _host(new))
    return Deed(action="webhook.update", object_id=new.webhook_id, details=details)


def webhook_deleted(endpoint: Endpoint) -> Deed:
    return Deed(action="webhook.delete", object_id=endpoint.webhook_id, details={"host": _host(endpoint)})


def webhook_disabled(endpoint: Endpoint, reason: str) -> Deed:
    """Nobody asked for it: the receiver said that it is gone, or took nothing for days."""
    details = {"host": _host(endpoint), "reason": reason}
    return Deed(action="webhook.disable", object_id=endpoint.webhook_id, details=details)


def webhook_secret_rotated(endpoint: Endpoint, until: datetime) -> Deed:
    details = {"old_until": until.isoformat()}
    return Deed(action="webhook.rotate_secret", object_id=endpoint.webhook_id, details=details)


def webhook_tested(endpoint: Endpoint) -> Deed:
    return Deed(action="webhook.test", object_id=endpoint.webhook_id)


def webhook_replayed(endpoint: Endpoint, delivery_id: uuid.UUID) -> Deed:
    return Deed(action="webhook.replay", object_id=endpoint.webhook_id, details={"delivery_id": str(delivery_id)})


def _host(endpoint: Endpoint) -> str:
    return urlsplit(endpoint.url).hostname or ""


def differences(old: object, new: object, *names: str) -> dict[str, Any]:
    """What of these fields is another, from what to what."""
    return {
        name: _moved(_text(getattr(old, name)), _text(getattr(new, name)))
        for name in names
        if getattr(old, name) != getattr(new, name)
    }


def _moved(old: str | None, new: str | None) -> dict[str, str | None]:
    return {"from": old, "to": new}


def _text(value: object) -> str | None:
    if isinstance(value, tuple):
        return ", ".join(value)
    return None if value is None else str(value)
